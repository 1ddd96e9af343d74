import { describe, expect, it } from "vitest";
import type { Slot } from "../../shared/protocol/slot.ts";
import { Pace } from "../../shared/runtime/snapshots/pace.ts";

const SLOTS = 64;
const PART = 192 * 1024;

/** Executes values of this length up to and including the first slot at which a snapshot is due. */
function firstDue(pace: Pace, from: number, length: number, upTo = from + 100_000): number | undefined {
  for (let slot = from; slot <= upTo; slot++) {
    pace.executed(length);
    if (pace.isDue(slot as Slot)) return slot;
  }
  return undefined;
}

function snapshotAt(slot: number, parts = 1) {
  return { snapshotSlot: slot as Slot, snapshot: `${slot}-${parts}-d` };
}

describe("a snapshot is due", () => {
  it("after so many slots since the last one", () => {
    const pace = new Pace(SLOTS);
    expect(firstDue(pace, 1, 100)).toBe(SLOTS);
    pace.noteHead(snapshotAt(56));
    expect(firstDue(pace, 65, 100)).toBe(56 + SLOTS);
  });

  it("after fewer, if they are large", () => {
    expect(firstDue(new Pace(1_000_000), 1, 48 * 1024)).toBe(Math.ceil((16 * 1024) / 48));
  });

  it("no sooner than there is as much log as the last one is large", () => {
    const pace = new Pace(SLOTS);
    pace.noteHead(snapshotAt(8, 11));
    expect(firstDue(pace, 9, 1_000)).toBe(8 + Math.ceil((10 * PART) / 1_000));
  });

  it("at once for whoever comes to lead a machine with a long log, and not for one whose log is short", () => {
    const pace = new Pace(SLOTS);
    pace.noteHead(snapshotAt(8));
    pace.executed(100);
    expect(pace.isDue((8 + SLOTS - 1) as Slot)).toBe(false);
    expect(pace.isDue((8 + SLOTS) as Slot)).toBe(true);
  });

  it("however often the leader changes, each having executed only the last few slots", () => {
    for (let leader = 0; leader < 20; leader++) {
      const pace = new Pace(SLOTS);
      pace.noteHead(snapshotAt(8, 11));
      for (let slot = 0; slot < 5; slot++) pace.executed(1_000);
      expect(pace.isDue((8 + leader * 100) as Slot)).toBe(leader * 100 * 1_000 >= 10 * PART);
    }
  });

  it("not again for an older Head that another table shows", () => {
    const pace = new Pace(SLOTS);
    pace.noteHead(snapshotAt(128));
    pace.noteHead({ snapshotSlot: 0 as Slot, snapshot: "-" });
    pace.noteHead(snapshotAt(64));
    expect(firstDue(pace, 129, 100)).toBe(128 + SLOTS);
  });
});

describe("a snapshot that could not be taken", () => {
  it("is tried again after more and more log, but never after more than twice the usual", () => {
    const pace = new Pace(SLOTS);
    const tries: number[] = [];
    for (let slot = 0; tries.length < 8; ) {
      slot = firstDue(pace, slot + 1, 100) as number;
      tries.push(slot);
      pace.failed(slot as Slot);
    }
    const waits = tries.slice(1).map((slot, index) => slot - (tries[index] as number));
    expect(waits).toEqual([8, 16, 32, 64, 128, 128, 128]);
  });

  it("is no trouble any more once one was taken, by whomever", () => {
    const pace = new Pace(SLOTS);
    for (let failure = 0; failure < 5; failure++) pace.failed(64 as Slot);
    pace.noteHead(snapshotAt(72));
    expect(firstDue(pace, 73, 100)).toBe(72 + SLOTS);
    pace.failed(136 as Slot);
    expect(firstDue(pace, 137, 100)).toBe(136 + SLOTS / 8);
  });
});
