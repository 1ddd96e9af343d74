import { describe, expect, it } from "vitest";
import { RecentLog } from "../../shared/protocol/log.ts";
import type { Slot } from "../../shared/protocol/slot.ts";

const GEOMETRY = { lanes: 4, chunkSlots: 2 };
const KEPT = 16;
const at = (number: number) => number as Slot;

function logOf(slots: number): RecentLog {
  const log = new RecentLog(GEOMETRY);
  for (let slot = 1; slot <= slots; slot++) log.append(at(slot), `value ${slot}`);
  return log;
}

describe("a recent log", () => {
  it("begins with nothing", () => {
    const log = logOf(0);
    expect(log.last).toBe(0);
    expect(log.get(at(1))).toBeUndefined();
    expect(log.range(at(1), at(1))).toBeUndefined();
  });

  it("gives back what was appended, one by one and in a row", () => {
    const log = logOf(5);
    expect(log.last).toBe(5);
    expect(log.get(at(3))).toBe("value 3");
    expect(log.range(at(2), at(4))).toEqual(["value 2", "value 3", "value 4"]);
    expect(log.range(at(5), at(5))).toEqual(["value 5"]);
  });

  it("keeps four windows of K slots, and then forgets the oldest", () => {
    const log = logOf(KEPT + 3);
    expect(log.get(at(3))).toBeUndefined();
    expect(log.get(at(4))).toBe("value 4");
    expect(log.range(at(4), at(KEPT + 3))).toHaveLength(KEPT);
    expect(log.range(at(3), at(5))).toBeUndefined();
  });

  it("has no range that is not all there", () => {
    expect(logOf(5).range(at(4), at(6))).toBeUndefined();
  });

  it.each([0, 1, 4, 5])("takes no slot twice, and none before its last: %d after 5", (slot) => {
    const log = logOf(5);
    expect(() => log.append(at(slot), "again")).toThrow(RangeError);
    expect([log.last, log.get(at(5))]).toEqual([5, "value 5"]);
  });
});

describe("a snapshot taken over", () => {
  it("forgets what is before it, and goes on with the next slot", () => {
    const log = new RecentLog(GEOMETRY);
    log.append(1 as Slot, "1");
    log.install(6 as Slot);
    expect([log.last, log.get(1 as Slot), log.range(6 as Slot, 6 as Slot)]).toEqual([
      6,
      undefined,
      undefined,
    ]);
    log.append(7 as Slot, "7");
    expect(log.range(7 as Slot, 7 as Slot)).toEqual(["7"]);
  });

  it("is ahead of the log", () => {
    const log = new RecentLog(GEOMETRY);
    log.append(1 as Slot, "1");
    expect(() => log.install(1 as Slot)).toThrow(RangeError);
  });
});
