/**
 * The items of a table as DynamoDB keeps them (PROTOCOL §2). One string key, `machine#key`, so that a machine's items
 * spread over the table's partitions; attribute names are short, since they are paid for with every item.
 *
 *   cell        pb promise, sl slot, vb vote's ballot, vl value, dg its hash
 *   Head        si covered slot, ss snapshot's slot, ref snapshot
 *   chunk, part vl text, dg its hash
 *
 * `vl` is a string, or packed bytes (packing.ts); `dg` is the string's hash in both cases.
 */
import type { AttributeValue } from "@aws-sdk/client-dynamodb";
import { CELL_VALUE_BYTES_MAX } from "../limits.ts";
import { type Head, type Item, type Key, keyText, type Value, type Verb } from "../protocol/acceptor.ts";
import { type Ballot, birthBallot } from "../protocol/ballot.ts";
import type { MachineId } from "../protocol/configuration.ts";
import { MACHINE_GEOMETRY, NO_SLOT, type Slot } from "../protocol/slot.ts";
import { pack, unpack } from "./packing.ts";

export type Attributes = Record<string, AttributeValue>;

/** DynamoDB's limit for an item, names included. */
const ITEM_BYTES_MAX = 400 * 1024;
/** A machine's and a key's name, the hash, a chunk's header: far below this. */
const ITEM_OVERHEAD_BYTES_MAX = 2 * 1024;

if (MACHINE_GEOMETRY.chunkSlots * CELL_VALUE_BYTES_MAX + ITEM_OVERHEAD_BYTES_MAX > ITEM_BYTES_MAX)
  throw new RangeError("limits: a chunk of the largest values does not fit a DynamoDB item");

/** The first "#" ends the machine, whatever its name. */
export function partitionKey(machine: MachineId, key: Key): string {
  return `${machine.replace(/[%#]/g, encodeURIComponent)}#${keyText(key)}`;
}

/** The item that `create` makes. */
export function bornAttributes(key: Extract<Verb, { verb: "create" }>["key"]): Attributes {
  if (key.kind === "head") return { si: number(NO_SLOT), ss: number(NO_SLOT), ref: text("-") };
  return { pb: text(birthBallot(key.configuration)), sl: number(NO_SLOT) };
}

export function contentAttributes(content: Value): Attributes {
  return { vl: valueText(content.text), dg: text(content.digest) };
}

/** @throws RangeError when the attributes are not those of such an item: something else wrote it. */
export function itemOf(key: Key, item: Attributes): Item {
  switch (key.kind) {
    case "cell":
      return cellOf(item);
    case "head":
      return headOf(item);
    case "chunk":
    case "part":
      return { kind: "content", content: valueIn(item) };
  }
}

export function text(value: string): AttributeValue {
  return { S: value };
}

export function valueText(value: string): AttributeValue {
  const packed = pack(value);
  return packed === undefined ? text(value) : { B: packed };
}

export function number(value: number): AttributeValue {
  return { N: String(value) };
}

/** Why the verb's item would be too large for DynamoDB, were it not packed; undefined when it fits. */
export function whyTooLarge(machine: MachineId, verb: Verb): string | undefined {
  if (verb.verb !== "put" && verb.verb !== "vote") return undefined;
  const pk = partitionKey(machine, verb.key);
  const bytes = verb.verb === "put" ? contentBytes(pk, verb.content) : voteBytes(pk, verb.ballot, verb.value);
  if (bytes <= ITEM_BYTES_MAX) return undefined;
  return `${pk} would have ${bytes} bytes, and an item of DynamoDB has at most ${ITEM_BYTES_MAX}`;
}

function contentBytes(pk: string, { text, digest }: Value): number {
  return bytesOf("pk", pk, "vl", text, "dg", digest);
}

/** The slot's number is counted as its digits, a little more than DynamoDB does. */
function voteBytes(pk: string, ballot: Ballot, { text, digest }: Value): number {
  const slotDigits = String(Number.MAX_SAFE_INTEGER);
  return bytesOf("pk", pk, "pb", ballot, "sl", slotDigits, "vb", ballot, "vl", text, "dg", digest);
}

function bytesOf(...texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
}

function cellOf(item: Attributes): Item {
  const cell = { kind: "cell", promised: textIn(item, "pb") as Ballot, slot: slotIn(item, "sl") } as const;
  if (item.vb === undefined) return cell;
  return { ...cell, vote: { ballot: textIn(item, "vb") as Ballot, value: valueIn(item) } };
}

function headOf(item: Attributes): Head {
  return {
    kind: "head",
    covered: slotIn(item, "si"),
    snapshotSlot: slotIn(item, "ss"),
    snapshot: textIn(item, "ref"),
  };
}

function valueIn(item: Attributes): Value {
  const packed = item.vl?.B;
  const text = packed === undefined ? textIn(item, "vl") : unpack(packed, ITEM_BYTES_MAX);
  return { text, digest: textIn(item, "dg") };
}

function textIn(item: Attributes, name: string): string {
  const value = item[name]?.S;
  if (value === undefined) throw new RangeError(`${item.pk?.S} has no text ${name}: it is none of ours`);
  return value;
}

function slotIn(item: Attributes, name: string): Slot {
  const value = Number(item[name]?.N);
  if (!Number.isSafeInteger(value))
    throw new RangeError(`${item.pk?.S} has no number ${name}: it is none of ours`);
  return value as Slot;
}
