import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  allLanes,
  type ChunkNumber,
  chunkOf,
  FENCE_LANE,
  firstSlotOf,
  type Geometry,
  laneOf,
  lastSlotOf,
  MACHINE_GEOMETRY,
  REGISTRY_GEOMETRY,
  type Slot,
  slot,
} from "../../shared/protocol/slot.ts";
import { forAll } from "./for-all.ts";

const geometry: fc.Arbitrary<Geometry> = fc
  .tuple(fc.integer({ min: 1, max: 64 }), fc.integer({ min: 1, max: 64 }))
  .map(([one, other]) => ({ lanes: Math.max(one, other), chunkSlots: Math.min(one, other) }));
const anySlot = fc
  .oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 2 ** 52 }))
  .map((number) => number as Slot);

describe("lanes", () => {
  forAll("every slot is in exactly one, and never in the fence lane", [geometry, anySlot], (of, at) => {
    const lanes = allLanes(of);
    expect(lanes.filter((lane) => lane === laneOf(of, at))).toHaveLength(1);
    expect(laneOf(of, at)).not.toBe(FENCE_LANE);
    expect(lanes).toHaveLength(of.lanes + 1);
    expect(lanes[0]).toBe(FENCE_LANE);
  });

  forAll(
    "K slots in a row have K lanes, and the next has the first one's again",
    [geometry, anySlot],
    (of, at) => {
      const run = Array.from({ length: of.lanes }, (_, index) => laneOf(of, (at + index) as Slot));
      expect(new Set(run).size).toBe(of.lanes);
      expect(laneOf(of, (at + of.lanes) as Slot)).toBe(run[0]);
    },
  );
});

describe("chunks", () => {
  forAll("every slot is in exactly one", [geometry, anySlot], (of, at) => {
    const chunk = chunkOf(of, at);
    expect(firstSlotOf(of, chunk)).toBeLessThanOrEqual(at);
    expect(lastSlotOf(of, chunk)).toBeGreaterThanOrEqual(at);
    expect(lastSlotOf(of, chunk) - firstSlotOf(of, chunk) + 1).toBe(of.chunkSlots);
    expect(firstSlotOf(of, (chunk + 1) as ChunkNumber)).toBe(lastSlotOf(of, chunk) + 1);
  });

  it("the first begins with slot 1", () => {
    expect(firstSlotOf(MACHINE_GEOMETRY, 0 as ChunkNumber)).toBe(1);
    expect([1, 8, 9, 16, 17].map((at) => chunkOf(MACHINE_GEOMETRY, at as Slot))).toEqual([0, 0, 1, 1, 2]);
    expect(lastSlotOf(MACHINE_GEOMETRY, 1 as ChunkNumber)).toBe(16);
  });

  it.each([MACHINE_GEOMETRY, REGISTRY_GEOMETRY])("hold at most K slots: %o", ({ lanes, chunkSlots }) => {
    expect(chunkSlots).toBeLessThanOrEqual(lanes);
  });
});

it("the constants are these for a machine's life: they decide where its votes lie", () => {
  expect([MACHINE_GEOMETRY, REGISTRY_GEOMETRY]).toEqual([
    { lanes: 32, chunkSlots: 8 },
    { lanes: 8, chunkSlots: 4 },
  ]);
  expect([1, 31, 32, 33].map((at) => laneOf(MACHINE_GEOMETRY, at as Slot))).toEqual([2, 32, 1, 2]);
});

describe("a slot", () => {
  it.each([0, 1, Number.MAX_SAFE_INTEGER])("may be %d", (number) => {
    expect(slot(number)).toBe(number);
  });
  it.each([-1, 0.5, Number.NaN, 2 ** 53, Number.POSITIVE_INFINITY])("may not be %d", (number) => {
    expect(() => slot(number)).toThrow(RangeError);
  });
});
