/**
 * The acceptor: a passive table of items, and the seven verbs that may be said to it (PROTOCOL §2–3).
 *
 * Every verb touches one item and is one conditional write, or one consistent read. Golden rule: items
 * that change are never deleted, and items that can be deleted have content that follows from their key.
 * Only `create` makes a cell or a Head: a missing one is a refusal, never "nothing voted".
 */
import { type Ballot, birthBallot, type ConfigurationNumber } from "./ballot.ts";
import { type ChunkNumber, type Lane, NO_SLOT, type Slot } from "./slot.ts";

/** A text and the hash by which tables compare it. A value is a batch of commands (value.ts). */
export interface Value {
  readonly text: string;
  readonly digest: string;
}

/** The hash of a text, as hexadecimal; it must resist collisions. */
export type Digest = (text: string) => string;

export type CellKey = {
  readonly kind: "cell";
  readonly configuration: ConfigurationNumber;
  readonly lane: Lane;
};
export type HeadKey = { readonly kind: "head" };
export type ChunkKey = { readonly kind: "chunk"; readonly chunk: ChunkNumber };
/** A piece of a snapshot; `snapshot` names slot and content hash, so the key decides the content. */
export type PartKey = { readonly kind: "part"; readonly snapshot: string; readonly part: number };
export type Key = CellKey | HeadKey | ChunkKey | PartKey;

/** What one lane of one configuration has promised and voted. `slot` 0: nothing voted yet. */
export interface Cell {
  readonly kind: "cell";
  readonly promised: Ballot;
  readonly slot: Slot;
  readonly vote?: { readonly ballot: Ballot; readonly value: Value };
}

/** The Head claim: this table alone rebuilds the state through `covered`, from its snapshot and chunks. */
export interface Head {
  readonly kind: "head";
  readonly covered: Slot;
  readonly snapshotSlot: Slot;
  readonly snapshot: string;
}

/** A chunk or a part. */
export interface Content {
  readonly kind: "content";
  readonly content: Value;
}

export type Item = Cell | Head | Content;

export type Verb =
  | { readonly verb: "create"; readonly key: CellKey | HeadKey }
  | { readonly verb: "promise"; readonly key: CellKey; readonly ballot: Ballot }
  | {
      readonly verb: "vote";
      readonly key: CellKey;
      readonly ballot: Ballot;
      readonly slot: Slot;
      readonly value: Value;
    }
  | { readonly verb: "advance"; readonly key: HeadKey; readonly head: Head }
  | { readonly verb: "put"; readonly key: ChunkKey | PartKey; readonly content: Value }
  | { readonly verb: "drop"; readonly key: ChunkKey | PartKey }
  | { readonly verb: "read"; readonly key: Key };

/**
 * applied: the condition held. `item` is what stands there now, after `promise`, `advance` and `read`;
 *          a chunk or part that is not there is read as applied without an item.
 * refused: the condition did not hold, and nothing changed. `by` is what beat it; without `by` there is
 *          no such cell or Head, and with `gone` the whole table is lost and will refuse everything.
 * unknown: it may have happened. Say the identical thing again. Never "failed".
 */
export type Outcome =
  | { readonly outcome: "applied"; readonly item?: Item }
  | { readonly outcome: "refused"; readonly by?: Item; readonly gone?: true }
  | { readonly outcome: "unknown" };

export const HEAD: HeadKey = { kind: "head" };
export const FIRST_HEAD: Head = { kind: "head", covered: NO_SLOT, snapshotSlot: NO_SLOT, snapshot: "-" };
export const UNKNOWN: Outcome = { outcome: "unknown" };
export const GONE: Outcome = { outcome: "refused", gone: true };

/** A key as text, unique within one machine of one table. */
export function keyText(key: Key): string {
  switch (key.kind) {
    case "cell":
      return `C#${key.configuration}#${key.lane}`;
    case "head":
      return "H";
    case "chunk":
      return `A#${key.chunk}`;
    case "part":
      return `S#${key.snapshot}#${key.part}`;
  }
}

/**
 * The conditions and effects of PROTOCOL §3 on one item: what the memory store and the simulator run,
 * and what every other store must agree with (the conformance suite compares them).
 * `next` is the item that stands there afterwards, `null` for none; absent when nothing changes.
 */
export function decide(verb: Verb, item: Item | undefined): { outcome: Outcome; next?: Item | null } {
  switch (verb.verb) {
    case "create":
      return item === undefined ? { outcome: APPLIED, next: born(verb.key) } : { outcome: APPLIED };
    case "promise":
      return decidePromise(verb.ballot, item);
    case "vote":
      return decideVote(verb, item);
    case "advance":
      return decideAdvance(verb.head, item);
    case "put":
      return decidePut(verb.content, item);
    case "drop":
      return { outcome: APPLIED, next: null };
    case "read":
      return { outcome: decideRead(verb.key, item) };
  }
}

const APPLIED: Outcome = { outcome: "applied" };

function refusedBy(item: Item | undefined): { outcome: Outcome } {
  return { outcome: item === undefined ? { outcome: "refused" } : { outcome: "refused", by: item } };
}

function born(key: CellKey | HeadKey): Item {
  if (key.kind === "head") return FIRST_HEAD;
  return { kind: "cell", promised: birthBallot(key.configuration), slot: NO_SLOT };
}

/** Condition `pb <= :b`. */
function decidePromise(ballot: Ballot, item: Item | undefined): { outcome: Outcome; next?: Item } {
  if (item?.kind !== "cell" || item.promised > ballot) return refusedBy(item);
  const next = { ...item, promised: ballot };
  return { outcome: { outcome: "applied", item: next }, next };
}

/** Condition `pb <= :b AND (sl < :i OR (sl = :i AND (vb < :b OR dg = :d)))`. */
function decideVote(
  vote: Extract<Verb, { verb: "vote" }>,
  item: Item | undefined,
): { outcome: Outcome; next?: Item } {
  if (item?.kind !== "cell") return refusedBy(item);
  const notPromisedAway = item.promised <= vote.ballot;
  const laneIsFree = item.slot < vote.slot;
  const sameSlot = item.slot === vote.slot && item.vote !== undefined;
  const olderVote = sameSlot && item.vote.ballot < vote.ballot;
  const sameValue = sameSlot && item.vote.value.digest === vote.value.digest;
  if (!(notPromisedAway && (laneIsFree || olderVote || sameValue))) return refusedBy(item);
  const { ballot, slot, value } = vote;
  return { outcome: APPLIED, next: { kind: "cell", promised: ballot, slot, vote: { ballot, value } } };
}

/** Condition `si <= :si AND (ss < :ss OR (ss = :ss AND ref = :ref))`. */
function decideAdvance(head: Head, item: Item | undefined): { outcome: Outcome; next?: Item } {
  if (item?.kind !== "head") return refusedBy(item);
  const coversMore = item.covered <= head.covered;
  const newerSnapshot = item.snapshotSlot < head.snapshotSlot;
  const sameSnapshot = item.snapshotSlot === head.snapshotSlot && item.snapshot === head.snapshot;
  if (!(coversMore && (newerSnapshot || sameSnapshot))) return refusedBy(item);
  return { outcome: { outcome: "applied", item: head }, next: head };
}

/** Condition `attribute_not_exists(pk) OR dg = :d`; a refusal is an alarm: the key no longer decides the content. */
function decidePut(content: Value, item: Item | undefined): { outcome: Outcome; next?: Item } {
  if (item === undefined) return { outcome: APPLIED, next: { kind: "content", content } };
  return item.kind === "content" && item.content.digest === content.digest
    ? { outcome: APPLIED }
    : refusedBy(item);
}

function decideRead(key: Key, item: Item | undefined): Outcome {
  if (item !== undefined) return { outcome: "applied", item };
  return key.kind === "cell" || key.kind === "head" ? { outcome: "refused" } : APPLIED;
}
