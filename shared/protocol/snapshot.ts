/**
 * A snapshot as tables keep it (PROTOCOL §2, §5): a frozen replica, cut into parts that fit an item each.
 *
 * Its name is its slot, how many parts it has, and the digest over the parts' digests: so the key of a part
 * decides its content, and whoever reads them one by one can tell at the end that they are the ones that the
 * Head names. A part is text, as every item's content: base64 costs a third and is the same in every store.
 * Each part begins with a format version; an unknown one stops the reader, it is never skipped.
 */
import type { Digest, PartKey, Value } from "./acceptor.ts";
import type { Slot } from "./slot.ts";

export interface Snapshot {
  /** What a Head calls it. */
  readonly name: string;
  readonly slot: Slot;
  readonly parts: readonly Value[];
}

/** As base64 it is 256 KB of text: below DynamoDB's 400 KB for an item, with the key and the digest. */
const PART_BYTES = 192 * 1024;
const PART_FORMAT = "theseus-part-1";
const NAME = /^(\d+)-(\d+)-(\w+)$/;

/** `frozen`: a replica's state after `slot` (`Replica.freeze`). */
export function snapshotOf(slot: Slot, frozen: Uint8Array, digest: Digest, partBytes = PART_BYTES): Snapshot {
  const parts: Value[] = [];
  for (let from = 0; from < frozen.length || from === 0; from += partBytes) {
    const text = encodePart(frozen.subarray(from, from + partBytes));
    parts.push({ text, digest: digest(text) });
  }
  const digests = parts.map((part) => part.digest);
  return { name: nameOf(slot, digests, digest), slot, parts };
}

/** The name of the snapshot whose parts have these digests, in order. */
export function nameOf(slot: Slot, digests: readonly string[], digest: Digest): string {
  return `${slot}-${digests.length}-${digest(digests.join("\n"))}`;
}

export function slotOf(name: string): Slot {
  return parseName(name).slot;
}

export function partKeys(name: string): readonly PartKey[] {
  const { parts } = parseName(name);
  return Array.from({ length: parts }, (_, part) => ({ kind: "part", snapshot: name, part }));
}

/** At least so many characters do its parts have; at most one part more. */
export function leastSizeOf(name: string): number {
  return (parseName(name).parts - 1) * PART_BYTES;
}

/** @throws RangeError when a newer version named it: guessing would lose state. */
function parseName(name: string): { readonly slot: Slot; readonly parts: number } {
  const match = NAME.exec(name);
  if (match === null) throw new RangeError(`not a snapshot, or one of another version: ${name.slice(0, 80)}`);
  return { slot: Number(match[1]) as Slot, parts: Number(match[2]) };
}

function encodePart(bytes: Uint8Array): string {
  const { buffer, byteOffset, byteLength } = bytes;
  return `${PART_FORMAT}\n${Buffer.from(buffer, byteOffset, byteLength).toString("base64")}`;
}

/** @throws RangeError on another format. */
export function decodePart(text: string): Uint8Array {
  const header = text.slice(0, text.indexOf("\n") + 1);
  if (header !== `${PART_FORMAT}\n`)
    throw new RangeError(`a snapshot's part in a format of another version: ${text.slice(0, 40)}`);
  return Buffer.from(text.slice(header.length), "base64");
}
