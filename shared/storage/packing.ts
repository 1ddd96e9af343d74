/**
 * A value as an item keeps it when that is paid for by the KB: packed, if that saves a KB, and else as it is. Commands of
 * one machine resemble each other, so a slot of many packs well.
 *
 * It is the adapter's own affair. Hashes are of the value itself, and all that conditions compare of a value is its hash:
 * two versions that pack differently still write the same value.
 */
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";

/** The first byte says how the rest is packed. */
const ZSTD = 1;
const UNIT_BYTES = 1024;
/** What a vote's item has besides its value. A chunk's has less, and may be packed for nothing. */
const OVERHEAD_BYTES = 290;

/** Undefined: as it is, it costs no more. */
export function pack(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text);
  if (unitsOf(bytes.length) === 1) return undefined;
  const packed = zstdCompressSync(bytes);
  if (unitsOf(1 + packed.length) >= unitsOf(bytes.length)) return undefined;
  return Buffer.concat([Uint8Array.of(ZSTD), packed]);
}

/** @throws RangeError for what `pack` did not make, or what has more than `bytesMax` bytes. */
export function unpack(packed: Uint8Array, bytesMax: number): string {
  if (packed[0] !== ZSTD)
    throw new RangeError(`a value is packed in a way (${packed[0]}) that this version does not know`);
  try {
    return zstdDecompressSync(packed.subarray(1), { maxOutputLength: bytesMax }).toString();
  } catch (cause) {
    throw new RangeError("a packed value is damaged", { cause });
  }
}

function unitsOf(valueBytes: number): number {
  return Math.ceil((valueBytes + OVERHEAD_BYTES) / UNIT_BYTES);
}
