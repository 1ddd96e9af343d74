import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Slot } from "../../shared/protocol/slot.ts";
import { decodePart, nameOf, partKeys, slotOf, snapshotOf } from "../../shared/protocol/snapshot.ts";
import { sha256 } from "../paper/support.ts";
import { forAll } from "./for-all.ts";

const SLOT = 16 as Slot;
const bytes = (length: number) => Uint8Array.from({ length }, (_, index) => index % 251);

describe("a snapshot", () => {
  forAll(
    "is its parts, whatever their size",
    [fc.uint8Array({ maxLength: 300 }), fc.integer({ min: 1, max: 100 })],
    (frozen, partBytes) => {
      const { parts } = snapshotOf(SLOT, frozen, sha256, partBytes);
      expect(Buffer.concat(parts.map(({ text }) => decodePart(text)))).toEqual(Buffer.from(frozen));
    },
  );

  it("is named by its slot, the number of its parts, and a digest over theirs", () => {
    const { name, slot, parts } = snapshotOf(SLOT, bytes(10), sha256, 4);
    expect(parts.map(({ text }) => text)).toEqual([
      "theseus-part-1\nAAECAw==",
      "theseus-part-1\nBAUGBw==",
      "theseus-part-1\nCAk=",
    ]);
    expect(parts.every(({ text, digest }) => digest === sha256(text))).toBe(true);
    expect([slot, name]).toEqual([16, `16-3-${sha256(parts.map(({ digest }) => digest).join("\n"))}`]);
    expect(slotOf(name)).toBe(16);
    expect(partKeys(name)).toEqual([0, 1, 2].map((part) => ({ kind: "part", snapshot: name, part })));
  });

  it("has another name with another byte, another order, another slot", () => {
    const parts = snapshotOf(SLOT, bytes(10), sha256, 4).parts.map(({ digest }) => digest);
    const changed = bytes(10);
    changed[9] = 0;
    const names = [
      snapshotOf(SLOT, bytes(10), sha256, 4).name,
      snapshotOf(SLOT, changed, sha256, 4).name,
      snapshotOf(17 as Slot, bytes(10), sha256, 4).name,
      nameOf(SLOT, parts.toReversed(), sha256),
    ];
    expect(new Set(names).size).toBe(4);
  });

  it("has parts that fit an item of any store: below DynamoDB's 400 KB", () => {
    const { parts } = snapshotOf(SLOT, bytes(500_000), sha256);
    expect(parts).toHaveLength(3);
    expect(Math.max(...parts.map(({ text }) => text.length))).toBeLessThan(300_000);
  });

  it("of nothing has one part, so that it can be told from none", () => {
    const { name, parts } = snapshotOf(SLOT, new Uint8Array(), sha256);
    expect([parts.length, partKeys(name).length]).toEqual([1, 1]);
    expect(decodePart((parts[0] as { text: string }).text)).toHaveLength(0);
  });

  it.each(["-", "", "16-3", "16-3-ab-c", "v2:16:3:ab"])("stops at a name of another version: %j", (name) => {
    expect(() => partKeys(name)).toThrow(RangeError);
    expect(() => slotOf(name)).toThrow(RangeError);
  });

  it.each(["theseus-part-2\nAAEC", "AAEC", "theseus-part-1"])(
    "stops at a part of another format: %j",
    (text) => {
      expect(() => decodePart(text)).toThrow(RangeError);
    },
  );
});
