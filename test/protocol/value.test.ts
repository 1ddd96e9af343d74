import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ballotOf, type ConfigurationNumber, type ProcessId } from "../../shared/protocol/ballot.ts";
import { type AcceptorId, majority } from "../../shared/protocol/quorum.ts";
import type { ChunkNumber } from "../../shared/protocol/slot.ts";
import {
  type Command,
  decodeBatch,
  decodeChunk,
  encodeBatch,
  encodeChunk,
  encodeCommand,
  type Sequence,
  type SessionId,
} from "../../shared/protocol/value.ts";
import { forAll } from "./for-all.ts";

const BALLOT = ballotOf(1 as ConfigurationNumber, 2, "0123456789abcdef0123456789abcdef" as ProcessId);
const COMMANDS: readonly Command[] = [
  { open: "a nonce" },
  { session: "3-0" as SessionId, sequence: 7 as Sequence, command: { type: "deposit", amount: 20 } },
  { key: "a key", command: null },
  { command: "bare" },
  { reconfigure: { expect: 1 as ConfigurationNumber, quorums: majority(["S1" as AcceptorId]) } },
];

describe("format 1, for ever: logs are full of it", () => {
  const GOLDEN =
    '{"format":1,"ballot":"00000000000001.00000000000002.0123456789abcdef0123456789abcdef","time":1700000000000,"commands":[' +
    '{"open":"a nonce"},' +
    '{"session":"3-0","sequence":7,"command":{"type":"deposit","amount":20}},' +
    '{"key":"a key","command":null},' +
    '{"command":"bare"},' +
    '{"reconfigure":{"expect":1,"quorums":{"acceptors":["S1"],"witnesses":[],"read":{"atLeast":1},"write":{"atLeast":1}}}}]}';
  const NO_OP =
    '{"format":1,"ballot":"00000000000001.00000000000002.0123456789abcdef0123456789abcdef","time":0,"commands":[]}';

  it("writes a batch so", () => {
    expect(encodeBatch(BALLOT, 1_700_000_000_000, COMMANDS.map(encodeCommand))).toBe(GOLDEN);
    expect(encodeBatch(BALLOT, 0, [])).toBe(NO_OP);
  });

  it("reads what was written so", () => {
    expect(decodeBatch(GOLDEN)).toEqual({
      format: 1,
      ballot: BALLOT,
      time: 1_700_000_000_000,
      commands: COMMANDS,
    });
    expect(decodeBatch(NO_OP).commands).toEqual([]);
  });

  it("writes and reads a chunk so", () => {
    const chunk = 5 as ChunkNumber;
    const golden = `theseus-chunk-1 5\n${GOLDEN}\n${NO_OP}`;
    expect(encodeChunk(chunk, [GOLDEN, NO_OP])).toBe(golden);
    expect(decodeChunk({ lanes: 4, chunkSlots: 2 }, chunk, golden)).toEqual([GOLDEN, NO_OP]);
  });
});

describe("another format stops the reader, it is never skipped", () => {
  it.each([
    ["a newer one", '{"format":2,"ballot":"","time":0,"commands":[]}', "format 2"],
    ["an older one", '{"format":0,"ballot":"","time":0,"commands":[]}', "format 0"],
    ["one as text", '{"format":"1","ballot":"","time":0,"commands":[]}', "format 1"],
    ["none", '{"ballot":"","time":0,"commands":[]}', "format undefined"],
  ])("in a value: %s", (_, text, words) => {
    expect(() => decodeBatch(text)).toThrow(RangeError);
    expect(() => decodeBatch(text)).toThrow(words);
  });

  it("in a value that is no JSON", () => {
    expect(() => decodeBatch("garbage")).toThrow(SyntaxError);
  });

  it.each([
    ["a newer one", "theseus-chunk-2 5\na\nb"],
    ["another chunk", "theseus-chunk-1 6\na\nb"],
    ["a chunk whose number only begins so", "theseus-chunk-1 55\na\nb"],
    ["too few values", "theseus-chunk-1 5\na"],
    ["too many values", "theseus-chunk-1 5\na\nb\nc"],
    ["a newline too many", "theseus-chunk-1 5\na\nb\n"],
    ["nothing", ""],
    ["another header", "chunk 5\na\nb"],
  ])("in a chunk: %s", (_, text) => {
    expect(() => decodeChunk({ lanes: 4, chunkSlots: 2 }, 5 as ChunkNumber, text)).toThrow(RangeError);
  });
});

describe("what was encoded is decoded", () => {
  const command: fc.Arbitrary<Command> = fc.oneof(
    fc.record({ open: fc.string() }),
    fc.record({
      session: fc.string().map((id) => id as SessionId),
      sequence: fc.nat().map((number) => number as Sequence),
      command: fc.jsonValue(),
    }),
    fc.record({ key: fc.string(), command: fc.jsonValue() }),
    fc.record({ command: fc.jsonValue() }),
  );
  const batch = fc.tuple(fc.maxSafeNat(), fc.array(command, { maxLength: 5 }));

  forAll("a batch, whatever is in it", [batch], ([time, commands]) => {
    const text = encodeBatch(BALLOT, time, commands.map(encodeCommand));
    // JSON has one zero.
    expect(decodeBatch(text)).toEqual({
      format: 1,
      ballot: BALLOT,
      time,
      commands: JSON.parse(JSON.stringify(commands)),
    });
    expect(text).not.toContain("\n");
  });

  forAll(
    "a chunk, whatever its batches hold",
    [fc.array(batch, { minLength: 1, maxLength: 5 }), fc.nat()],
    (batches, at) => {
      const values = batches.map(([time, commands]) =>
        encodeBatch(BALLOT, time, commands.map(encodeCommand)),
      );
      const chunk = at as ChunkNumber;
      expect(decodeChunk({ lanes: 8, chunkSlots: values.length }, chunk, encodeChunk(chunk, values))).toEqual(
        values,
      );
    },
  );
});
