import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ballotOf, type ConfigurationNumber, type ProcessId } from "../../shared/protocol/ballot.ts";
import type { Configuration } from "../../shared/protocol/configuration.ts";
import {
  afterSlot,
  firstSuccession,
  type Horizontal,
  lastSlotBefore,
  reconfigured,
  type Succession,
} from "../../shared/protocol/horizontal.ts";
import { majority, type QuorumSpec, withWitness } from "../../shared/protocol/quorum.ts";
import { Replica } from "../../shared/protocol/replica.ts";
import type { Slot } from "../../shared/protocol/slot.ts";
import { encodeBatch, encodeCommand } from "../../shared/protocol/value.ts";
import { acceptors } from "../paper/support.ts";
import { forAll } from "./for-all.ts";

const geometry = { lanes: 8, chunkSlots: 4 };
const quorums = majority(acceptors("S1", "S2", "S3"));
const others = majority(acceptors("S4", "S2", "S3"));
const first: Configuration = { number: 1 as ConfigurationNumber, previous: 0, quorums };
const epochs: Horizontal = { first };

function after(succession: Succession, expect: number, to: QuorumSpec, slot: number): Succession | string {
  const command = { expect: expect as ConfigurationNumber, quorums: to };
  return reconfigured(succession, command, slot as Slot, epochs, geometry);
}

/** A state in which configuration 2 is next, from slot 9 on. */
const pending = after(firstSuccession(epochs), 1, others, 5) as Succession;

describe("F − 1 = s + α − 1, rounded up to a multiple of C", () => {
  it.each([
    [undefined, 5, 8],
    [undefined, 8, 8],
    [1, 9, 12],
    [3, 6, 8],
    [3, 7, 12],
    [8, 1, 8],
  ])("α = %s, s = %i: %i", (alpha, slot, last) => {
    const horizontal = alpha === undefined ? epochs : { ...epochs, alpha };
    expect(lastSlotBefore(slot as Slot, horizontal, geometry)).toBe(last);
  });

  forAll(
    "a whole number of chunks, and as few as leave α − 1 slots",
    [fc.integer({ min: 1, max: 10_000 }), fc.integer({ min: 1, max: 8 })],
    (slot, alpha) => {
      const last = lastSlotBefore(slot as Slot, { ...epochs, alpha }, geometry);
      expect(last % geometry.chunkSlots).toBe(0);
      expect(last).toBeGreaterThanOrEqual(slot + alpha - 1);
      expect(last - geometry.chunkSlots).toBeLessThan(slot + alpha - 1);
    },
  );
});

describe("a reconfiguration command", () => {
  it("makes its configuration the next one, numbered after the current", () => {
    expect(pending).toEqual({
      current: { configuration: first, first: 1 },
      next: { configuration: { number: 2, previous: 1, quorums: others }, first: 9 },
    });
  });

  it.each([
    [
      "that expects another configuration",
      firstSuccession(epochs),
      2,
      others,
      "configuration 1 is current, not 2",
    ],
    ["while one is pending", pending, 1, quorums, "configuration 2 is next already"],
    ["with witnesses", firstSuccession(epochs), 1, withWitness(acceptors("S1", "S2", "S3")), "no witnesses"],
    [
      "with quorums that miss each other",
      firstSuccession(epochs),
      1,
      { ...quorums, read: { atLeast: 1 } },
      "misses",
    ],
  ])("is void %s", (_, succession, number, to, why) => {
    expect(after(succession, number, to, 5)).toContain(why);
  });

  it("takes effect when slot F − 1 is applied, and no sooner", () => {
    expect(afterSlot(pending, 7 as Slot)).toBe(pending);
    expect(afterSlot(pending, 8 as Slot)).toEqual({ previous: first, current: pending.next });
    expect(afterSlot(firstSuccession(epochs), 8 as Slot)).toEqual(firstSuccession(epochs));
  });

  it("is what its text says: the state is plain data", () => {
    expect(JSON.parse(JSON.stringify(pending))).toEqual(pending);
  });
});

describe("a replica", () => {
  const ballot = ballotOf(1 as ConfigurationNumber, 1, "1".repeat(32) as ProcessId);
  const reconfigure = { expect: 1 as ConfigurationNumber, quorums: others };
  const code = {
    init: () => [] as unknown[],
    apply: (state: unknown, command: unknown) => (state as unknown[]).push(command),
    freeze: () => new Uint8Array(),
    thaw: () => [],
  };
  const text = (...commands: Parameters<typeof encodeCommand>[0][]): string =>
    encodeBatch(ballot, 0, commands.map(encodeCommand));

  it("answers with the state of its configurations, and says why if the command was void", () => {
    const replica = new Replica(code, { ...epochs, geometry });
    const replies = replica.execute(1 as Slot, text({ reconfigure }, { command: "A1" }, { reconfigure }));
    expect(replies[0]).toMatchObject({
      reply: "reconfiguration",
      slot: 1,
      succession: { next: { first: 5 } },
    });
    expect(replies[0]).not.toHaveProperty("void");
    expect(replies[2]).toMatchObject({ void: "configuration 2 is next already" });
    expect(replica.state).toEqual(["A1"]);
  });

  it("makes the next configuration current at the end of slot F − 1", () => {
    const replica = new Replica(code, { ...epochs, geometry });
    replica.execute(1 as Slot, text({ reconfigure }));
    for (const slot of [2, 3]) replica.execute(slot as Slot, text());
    expect(replica.succession?.current.configuration.number).toBe(1);
    replica.execute(4 as Slot, text());
    expect(replica.succession).toMatchObject({ previous: { number: 1 }, current: { first: 5 } });
  });

  it("of a machine that has a registry refuses", () => {
    const replica = new Replica(code);
    expect(replica.execute(1 as Slot, text({ reconfigure }))[0]).toMatchObject({ reply: "failed" });
    expect(replica.succession).toBeUndefined();
  });
});
