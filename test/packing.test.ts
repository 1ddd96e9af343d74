/** How values are packed where items are paid for by the KB. */
import { zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { pack, unpack } from "../shared/storage/packing.ts";

const BYTES_MAX = 400 * 1024;

describe("a value", () => {
  test("is the same when it is unpacked, whatever it is", () => {
    const value = fc.tuple(fc.string({ unit: "grapheme", minLength: 1 }), fc.integer({ min: 1, max: 4_000 }));
    fc.assert(
      fc.property(value, ([unit, times]) => {
        const text = unit.repeat(times);
        const packed = pack(text);
        return packed === undefined || unpack(packed, 1_000_000) === text;
      }),
    );
    expect(unpack(pack("é😀".repeat(2_000)) as Uint8Array, BYTES_MAX)).toBe("é😀".repeat(2_000));
  });

  test("stays as it is where packing saves no KB", () => {
    expect(pack("x".repeat(700))).toBeUndefined();
    expect(pack("x".repeat(2_000))?.length).toBeLessThan(100);
    const random = () => String.fromCharCode(32 + Math.floor(Math.random() * 95));
    expect(pack(Array.from({ length: 1_500 }, random).join(""))).toBeUndefined();
  });
});

describe("what is refused with a word", () => {
  const packed = pack("x".repeat(5_000)) as Uint8Array;
  test.each([
    ["another way of packing", Uint8Array.of(2, ...packed.subarray(1)), /a way \(2\) that this version/],
    ["nothing at all", Uint8Array.of(), /a way \(undefined\)/],
    ["half of it", packed.subarray(0, packed.length / 2), /damaged/],
    ["noise", Uint8Array.of(1, 2, 3, 4), /damaged/],
  ])("%s", (_, bytes, words) => {
    expect(() => unpack(bytes, BYTES_MAX)).toThrow(words);
  });

  test("more than an item may have", () => {
    const bomb = Buffer.concat([Uint8Array.of(1), zstdCompressSync(Buffer.alloc(50_000_000))]);
    expect(bomb.length).toBeLessThan(10_000);
    expect(() => unpack(bomb, BYTES_MAX)).toThrow(/damaged/);
  });
});
