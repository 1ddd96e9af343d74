import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { defineMachine, machineCode } from "../../shared/machine.ts";
import { birthBallot, type ConfigurationNumber } from "../../shared/protocol/ballot.ts";
import { decodeFrozen, encodeFrozen, type Frozen } from "../../shared/protocol/frozen.ts";
import { INBOX_MESSAGES_MAX, INBOXES_MAX } from "../../shared/protocol/inbox.ts";
import { Replica } from "../../shared/protocol/replica.ts";
import { KEYS_MAX, SESSIONS_MAX } from "../../shared/protocol/session.ts";
import type { Slot } from "../../shared/protocol/slot.ts";
import {
  type Command,
  encodeBatch,
  encodeCommand,
  type Sequence,
  type SessionId,
} from "../../shared/protocol/value.ts";
import { forAll } from "./for-all.ts";

const BALLOT = birthBallot(1 as ConfigurationNumber);

/** Keeps everything that it is offered; some commands throw half-way, and messages go to a few clients. */
const machine = defineMachine({
  name: "keeper",
  version: 1,
  command: z.unknown(),
  init: () => ({ seen: [] as unknown[], offered: new Map<number, number>() }),
  apply(state, command, context) {
    state.seen.push(command);
    state.offered.set(context.slot, context.time + context.random());
    context.notify(`client ${state.seen.length % 3}`, state.seen.length);
    if (command === "throw") throw new Error(`the ${state.seen.length}th`);
    return state.seen.length;
  },
  queries: {},
});
const code = machineCode(machine);

class Log {
  readonly replica: Replica;
  constructor(replica = new Replica(code)) {
    this.replica = replica;
  }
  execute(time: number, commands: readonly Command[]) {
    const text = encodeBatch(BALLOT, time, commands.map(encodeCommand));
    return this.replica.execute((this.replica.applied + 1) as Slot, text);
  }
  /** Another one that took this one's snapshot over. */
  get installed(): Log {
    const other = new Replica(code);
    other.install(this.replica.freeze());
    return new Log(other);
  }
  get visible() {
    const { replica } = this;
    return {
      applied: replica.applied,
      state: replica.state,
      inboxes: [0, 1, 2].map((client) => replica.inbox(`client ${client}`, 0)),
      // The same state may be frozen to other bytes: it is compared as it is.
      remembered: { ...decodeFrozen(replica.freeze()), state: undefined },
    };
  }
}

/** Few of everything, so that they meet: sessions by the slot that may have opened them. */
const command: fc.Arbitrary<Command> = fc.oneof(
  fc.record({ open: fc.constantFrom("a", "b", "c") }),
  fc.record({
    session: fc.constantFrom("1-0", "1-1", "2-0", "3-0").map((id) => id as SessionId),
    sequence: fc.integer({ min: 1, max: 4 }).map((sequence) => sequence as Sequence),
    command: fc.constantFrom("one", "other", "throw"),
  }),
  fc.record({ key: fc.constantFrom("k", "l"), command: fc.constantFrom("one", "throw") }),
  fc.record({ command: fc.constantFrom("one", "throw", { deep: [null] }) }),
);
const slots = fc.array(
  fc.record({ time: fc.integer({ min: 0, max: 9 }), commands: fc.array(command, { maxLength: 4 }) }),
  { maxLength: 8 },
);

describe("a replica that took a snapshot over", () => {
  forAll("goes on exactly as the one that executed everything", [slots, slots], (before, after) => {
    const executed = new Log();
    for (const { time, commands } of before) executed.execute(time, commands);
    if (before.length === 0) executed.execute(0, []);
    const { installed } = executed;
    expect(installed.visible).toEqual(executed.visible);
    for (const { time, commands } of after) {
      expect(installed.execute(time, commands)).toEqual(executed.execute(time, commands));
      expect(installed.visible).toEqual(executed.visible);
    }
  });

  forAll("has what is settled settled", [slots, command], (before, asked) => {
    const executed = new Log();
    executed.execute(0, []);
    for (const { time, commands } of before) executed.execute(time, commands);
    expect(executed.installed.replica.settled(asked)).toEqual(executed.replica.settled(asked));
  });

  it("forgets the same session next", () => {
    const executed = new Log();
    executed.execute(
      0,
      Array.from({ length: SESSIONS_MAX }, (_, nonce) => ({ open: `${nonce}` })),
    );
    // A use: the first is the last to be forgotten by now.
    executed.execute(0, [{ session: "1-0" as SessionId, sequence: 1 as Sequence, command: "one" }]);
    const { installed } = executed;
    for (const each of [executed, installed]) each.execute(0, [{ open: "one more" }]);
    const known = (log: Log, index: number) =>
      log.replica.settled({ session: `1-${index}` as SessionId, sequence: 2 as Sequence, command: 0 }) ===
      undefined;
    for (const log of [executed, installed])
      expect([0, 1, 2].map((at) => known(log, at))).toEqual([true, false, true]);
  });

  it("forgets the same key next", () => {
    const executed = new Log();
    const keyed = Array.from({ length: KEYS_MAX }, (_, key) => ({ key: `${key}`, command: 0 }));
    executed.execute(0, keyed);
    const { installed } = executed;
    for (const each of [executed, installed]) each.execute(0, [{ key: "one more", command: 0 }]);
    for (const { replica } of [executed, installed])
      expect(["0", "1", "one more"].map((key) => replica.settled({ key, command: 0 }) !== undefined)).toEqual(
        [false, true, true],
      );
  });

  it("forgets the same messages and the same inbox next, and counts on", () => {
    const shouter = machineCode(
      defineMachine({
        name: "shouter",
        version: 1,
        command: z.unknown(),
        init: () => ({}),
        apply: (_, to, { notify }) => notify(to as string, to),
        queries: {},
      }),
    );
    const executed = new Log(new Replica(shouter));
    const many = (count: number, to: (at: number) => string) =>
      Array.from({ length: count }, (_, at) => ({ command: to(at) }));
    executed.execute(0, many(INBOXES_MAX - 1, String));
    executed.execute(
      0,
      many(INBOX_MESSAGES_MAX, () => "0"),
    );
    const replica = new Replica(shouter);
    replica.install(executed.replica.freeze());
    const installed = new Log(replica);
    for (const log of [executed, installed])
      log.execute(
        0,
        many(2, (at) => `more ${at}`),
      );
    for (const log of [executed, installed])
      log.execute(
        0,
        many(1, () => "0"),
      );
    const seen = [executed, installed].map((log) =>
      ["0", "1", "2", "more 1"].map((client) => [
        log.replica.inbox(client, 0).length,
        log.replica.inbox(client, 0).at(-1)?.cursor,
      ]),
    );
    expect(seen[1]).toEqual(seen[0]);
    expect(seen[0]).toEqual([
      [INBOX_MESSAGES_MAX, INBOXES_MAX + INBOX_MESSAGES_MAX + 2],
      [0, undefined],
      [1, 3],
      [1, INBOXES_MAX + INBOX_MESSAGES_MAX + 1],
    ]);
  });

  it("undoes a command that throws at once, to the snapshot's state", () => {
    const executed = new Log();
    executed.execute(5, [{ command: "one" }]);
    const { installed } = executed;
    const before = structuredClone(installed.replica.state);
    expect(installed.execute(5, [{ command: "throw" }])).toEqual([
      { reply: "failed", slot: 2, error: "the 2th" },
    ]);
    expect(installed.replica.state).toEqual(before);
  });

  it("takes over only what is ahead of it", () => {
    const executed = new Log();
    executed.execute(0, [{ command: "one" }]);
    const frozen = executed.replica.freeze();
    expect(() => executed.replica.install(frozen)).toThrow(RangeError);
    executed.execute(0, [{ command: "other" }]);
    expect(() => executed.replica.install(frozen)).toThrow(RangeError);
    expect(executed.replica.applied).toBe(2);
  });
});

describe("a frozen replica", () => {
  const golden: Frozen = {
    slot: 8 as Slot,
    time: 1_700_000_000_000,
    sessions: {
      sessions: [
        ["1-0" as SessionId, "nonce", 2 as Sequence, { reply: "response", slot: 3 as Slot, response: '"ü"' }],
        ["2-0" as SessionId, "fresh", 0 as Sequence, null],
      ],
      keys: [["k", { reply: "failed", slot: 4 as Slot, error: "no\nway" }]],
    },
    inboxes: { cursor: 7, inboxes: [["bob", [{ cursor: 7, message: "1" }]]] },
    state: Uint8Array.of(10, 0, 255, 10),
  };
  const text = [
    '{"format":1,"slot":8,"time":1700000000000,"cursor":7,"sessions":2,"keys":1,"inboxes":1}',
    '["1-0","nonce",2,{"reply":"response","slot":3,"response":"\\"ü\\""}]',
    '["2-0","fresh",0,null]',
    '["k",{"reply":"failed","slot":4,"error":"no\\nway"}]',
    '["bob",[{"cursor":7,"message":"1"}]]',
    "",
  ].join("\n");

  it("is lines of JSON and then the state, byte by byte", () => {
    const bytes = Buffer.concat([Buffer.from(text), golden.state]);
    expect(Buffer.from(encodeFrozen(golden))).toEqual(bytes);
    expect(decodeFrozen(bytes)).toEqual(golden);
  });

  it("of another format stops the reader, and changes nothing", () => {
    const replica = new Replica(code);
    const other = Buffer.from(text.replace('"format":1', '"format":2'));
    expect(() => replica.install(other)).toThrow("format 2");
    expect(replica.applied).toBe(0);
  });
});
