/**
 * Verbs, items and outcomes as the conformance tests write them: short, and around one cell and a few ballots.
 */
import { createHash } from "node:crypto";
import {
  type CellKey,
  type ChunkKey,
  HEAD,
  type Head,
  type Item,
  type Outcome,
  type PartKey,
  type Value,
  type Verb,
} from "../../shared/protocol/acceptor.ts";
import {
  type Ballot,
  ballotOf,
  birthBallot,
  type ConfigurationNumber,
  type ProcessId,
} from "../../shared/protocol/ballot.ts";
import type { ChunkNumber, Lane, Slot } from "../../shared/protocol/slot.ts";

export const C1 = 1 as ConfigurationNumber;
export const CELL = cell(1, 1);
/** Lower, equal and higher ballots around b2. b2 and its twin differ only in their process. */
export const [b1, b2, b2Twin, b3] = [
  ballotOf(C1, 1, processOf("f")),
  ballotOf(C1, 2, processOf("a")),
  ballotOf(C1, 2, processOf("b")),
  ballotOf(C1, 3, processOf("0")),
] as const;
/** Round 16 above round 9: their order must not be the one of decimal or of unpadded digits. */
export const [b9, b16] = [ballotOf(C1, 9, processOf("f")), ballotOf(C1, 16, processOf("0"))] as const;

export const createCell: Verb = { verb: "create", key: CELL };
export const createHead: Verb = { verb: "create", key: HEAD };
export const readCell: Verb = { verb: "read", key: CELL };
export const readHead: Verb = { verb: "read", key: HEAD };
export const bornCell: Item = { kind: "cell", promised: birthBallot(C1), slot: 0 as Slot };

export function applied(item?: Item): Outcome {
  return item === undefined ? { outcome: "applied" } : { outcome: "applied", item };
}

export function refused(by?: Item): Outcome {
  return by === undefined ? { outcome: "refused" } : { outcome: "refused", by };
}

export function cell(configuration: number, lane: number): CellKey {
  return { kind: "cell", configuration: configuration as ConfigurationNumber, lane: lane as Lane };
}

export function chunk(number: number): ChunkKey {
  return { kind: "chunk", chunk: number as ChunkNumber };
}

export function part(snapshot: string, number: number): PartKey {
  return { kind: "part", snapshot, part: number };
}

export function value(text: string): Value {
  return { text, digest: createHash("sha256").update(text).digest("hex") };
}

export function content(text: string): Item {
  return { kind: "content", content: value(text) };
}

export function contentVerbs(key: ChunkKey | PartKey, content: Value): { put: Verb; drop: Verb } {
  return { put: { verb: "put", key, content }, drop: { verb: "drop", key } };
}

export function vote(ballot: Ballot, slot: number, text: string): Verb {
  return { verb: "vote", key: CELL, ballot, slot: slot as Slot, value: value(text) };
}

export function voted(ballot: Ballot, slot: number, text: string): Item {
  return { kind: "cell", promised: ballot, slot: slot as Slot, vote: { ballot, value: value(text) } };
}

export function headOf(covered: number, snapshotSlot: number, snapshot: string): Head {
  return { kind: "head", covered: covered as Slot, snapshotSlot: snapshotSlot as Slot, snapshot };
}

export function advance(covered: number, snapshotSlot: number, snapshot: string): Verb {
  return { verb: "advance", key: HEAD, head: headOf(covered, snapshotSlot, snapshot) };
}

export function processOf(digit: string): ProcessId {
  return digit.repeat(32) as ProcessId;
}

/** Text that does not compress and has no two pages alike. */
export function randomText(length: number): string {
  let text = "";
  for (let block = 0; text.length < length; block++)
    text += createHash("sha256").update(`${block}`).digest("base64");
  return text.slice(0, length);
}
