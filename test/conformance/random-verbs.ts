/** Random verbs over few keys and few values, so that they meet each other. */
import fc from "fast-check";
import { type ChunkKey, HEAD, type Key, type PartKey, type Verb } from "../../shared/protocol/acceptor.ts";
import { birthBallot } from "../../shared/protocol/ballot.ts";
import type { Slot } from "../../shared/protocol/slot.ts";
import { b1, b2, b2Twin, b3, b9, b16, C1, cell, chunk, headOf, part, value } from "./items.ts";

const RANDOM_CELLS = [cell(1, 0), cell(1, 1)];
const RANDOM_CONTENTS: readonly (ChunkKey | PartKey)[] = [chunk(0), part("8-aa", 0)];
export const RANDOM_KEYS: readonly Key[] = [...RANDOM_CELLS, HEAD, ...RANDOM_CONTENTS];

export const anyVerb: fc.Arbitrary<Verb> = (() => {
  const cellKey = fc.constantFrom(...RANDOM_CELLS);
  const contentKey = fc.constantFrom(...RANDOM_CONTENTS);
  const ballot = fc.constantFrom(birthBallot(C1), b1, b2, b2Twin, b3, b9, b16);
  const text = fc.constantFrom("", "a", "b", "漢字");
  const slot = fc.integer({ min: 0, max: 4 }).map((number) => number as Slot);
  const snapshot = fc.constantFrom("-", "8-aa", "8-bb");
  const head = fc
    .tuple(slot, slot, snapshot)
    .map(([covered, snapshotSlot, name]) => headOf(covered, snapshotSlot, name));
  return fc.oneof(
    fc.record({ verb: fc.constant("create" as const), key: fc.constantFrom(...RANDOM_CELLS, HEAD) }),
    fc.record({ verb: fc.constant("promise" as const), key: cellKey, ballot }),
    fc.record({ verb: fc.constant("vote" as const), key: cellKey, ballot, slot, value: text.map(value) }),
    fc.record({ verb: fc.constant("advance" as const), key: fc.constant(HEAD), head }),
    fc.record({ verb: fc.constant("put" as const), key: contentKey, content: text.map(value) }),
    fc.record({ verb: fc.constant("drop" as const), key: contentKey }),
    fc.record({ verb: fc.constant("read" as const), key: fc.constantFrom(...RANDOM_KEYS) }),
  );
})();
