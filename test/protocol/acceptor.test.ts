/**
 * `decide` against the conditions as PROTOCOL §3 writes them: every verb on every item there may be, missing,
 * lower, equal and higher. What a table keeps is compared by test/conformance for every store.
 */
import { describe, expect, it } from "vitest";
import {
  type Cell,
  type CellKey,
  type Content,
  decide,
  FIRST_HEAD,
  HEAD,
  type Head,
  type Item,
  keyText,
  type Outcome,
  type Verb,
} from "../../shared/protocol/acceptor.ts";
import { type Ballot, birthBallot, type ConfigurationNumber } from "../../shared/protocol/ballot.ts";
import type { ChunkNumber, Lane, Slot } from "../../shared/protocol/slot.ts";
import { CONDITIONS } from "../conformance/conditions.ts";

const CONFIGURATION = 1 as ConfigurationNumber;
const CELL: CellKey = { kind: "cell", configuration: CONFIGURATION, lane: 1 as Lane };
const BALLOTS = ["b1", "b2", "b3"] as Ballot[];
const SLOTS = [4, 5, 6] as Slot[];
const VALUES = ["x", "y"].map((text) => ({ text, digest: `hash of ${text}` }));

const cells: Cell[] = BALLOTS.flatMap((promised) => [
  { kind: "cell" as const, promised, slot: 0 as Slot },
  ...BALLOTS.filter((ballot) => ballot <= promised).flatMap((ballot) =>
    SLOTS.flatMap((slot) =>
      VALUES.map((value): Cell => ({ kind: "cell", promised, slot, vote: { ballot, value } })),
    ),
  ),
]);
const heads: Head[] = SLOTS.flatMap((covered) =>
  SLOTS.flatMap((snapshotSlot) =>
    ["5-aa", "5-bb"].map((snapshot): Head => ({ kind: "head", covered, snapshotSlot, snapshot })),
  ),
);
const contents: Content[] = VALUES.map((content) => ({ kind: "content", content }));

/** What a verb came to: applied or refused, what it answers, and what stands there afterwards. */
function result(verb: Verb, item: Item | undefined) {
  const { outcome, next } = decide(verb, item);
  return { outcome, stands: next === undefined ? item : (next ?? undefined) };
}
const refusedBy = (item: Item): Outcome => ({ outcome: "refused", by: item });
const REFUSED: Outcome = { outcome: "refused" };
const APPLIED: Outcome = { outcome: "applied" };

describe("create: attribute_not_exists(pk); exists = success", () => {
  it("makes what is missing", () => {
    const born = { kind: "cell", promised: birthBallot(CONFIGURATION), slot: 0 };
    expect(result({ verb: "create", key: CELL }, undefined)).toEqual({ outcome: APPLIED, stands: born });
    expect(result({ verb: "create", key: HEAD }, undefined)).toEqual({
      outcome: APPLIED,
      stands: FIRST_HEAD,
    });
  });
  it("changes nothing that is there", () => {
    for (const cell of cells)
      expect(result({ verb: "create", key: CELL }, cell)).toEqual({ outcome: APPLIED, stands: cell });
    for (const head of heads)
      expect(result({ verb: "create", key: HEAD }, head)).toEqual({ outcome: APPLIED, stands: head });
  });
});

describe("promise: attribute_exists(pk) AND pb <= :b", () => {
  it.each(BALLOTS)("of %s on every cell", (ballot) => {
    expect(result({ verb: "promise", key: CELL, ballot }, undefined)).toEqual({
      outcome: REFUSED,
      stands: undefined,
    });
    for (const cell of cells) {
      const after = { ...cell, promised: ballot };
      expect(result({ verb: "promise", key: CELL, ballot }, cell)).toEqual(
        cell.promised <= ballot
          ? { outcome: { outcome: "applied", item: after }, stands: after }
          : { outcome: refusedBy(cell), stands: cell },
      );
    }
  });
});

describe("vote: attribute_exists(pk) AND pb <= :b AND (sl < :i OR (sl = :i AND (vb < :b OR dg = :d)))", () => {
  it.each(BALLOTS)("at %s on every cell, in every slot, of every value", (ballot) => {
    for (const slot of SLOTS)
      for (const value of VALUES) {
        const verb: Verb = { verb: "vote", key: CELL, ballot, slot, value };
        expect(result(verb, undefined)).toEqual({ outcome: REFUSED, stands: undefined });
        for (const cell of cells) {
          const { promised: pb, slot: sl } = cell;
          const { ballot: vb, value: stood } = cell.vote ?? { ballot: undefined, value: undefined };
          const isAllowed =
            pb <= ballot &&
            (sl < slot ||
              (sl === slot && ((vb !== undefined && vb < ballot) || stood?.digest === value.digest)));
          const after: Cell = { kind: "cell", promised: ballot, slot, vote: { ballot, value } };
          expect(result(verb, cell)).toEqual(
            isAllowed ? { outcome: APPLIED, stands: after } : { outcome: refusedBy(cell), stands: cell },
          );
        }
      }
  });
});

describe("advance: attribute_exists(pk) AND si <= :si AND (ss < :ss OR (ss = :ss AND ref = :ref))", () => {
  it("to every Head from every Head", () => {
    for (const head of heads) {
      const verb: Verb = { verb: "advance", key: HEAD, head };
      expect(result(verb, undefined)).toEqual({ outcome: REFUSED, stands: undefined });
      for (const stood of heads) {
        const isAllowed =
          stood.covered <= head.covered &&
          (stood.snapshotSlot < head.snapshotSlot ||
            (stood.snapshotSlot === head.snapshotSlot && stood.snapshot === head.snapshot));
        expect(result(verb, stood)).toEqual(
          isAllowed
            ? { outcome: { outcome: "applied", item: head }, stands: head }
            : { outcome: refusedBy(stood), stands: stood },
        );
      }
    }
  });
});

describe("put: attribute_not_exists(pk) OR dg = :d; drop: none", () => {
  const key = { kind: "chunk", chunk: 0 as ChunkNumber } as const;
  it.each(VALUES)("of $text", (content) => {
    const put: Verb = { verb: "put", key, content };
    expect(result(put, undefined)).toEqual({ outcome: APPLIED, stands: { kind: "content", content } });
    for (const stood of contents)
      expect(result(put, stood)).toEqual({
        outcome: stood.content.digest === content.digest ? APPLIED : refusedBy(stood),
        stands: stood,
      });
  });
  it("drops what is there, and what is not", () => {
    for (const stood of [undefined, ...contents])
      expect(result({ verb: "drop", key }, stood)).toEqual({ outcome: APPLIED, stands: undefined });
  });
});

describe("read", () => {
  it("answers what stands there, and changes nothing", () => {
    for (const item of cells)
      expect(result({ verb: "read", key: CELL }, item)).toEqual({
        outcome: { outcome: "applied", item },
        stands: item,
      });
    for (const item of heads)
      expect(result({ verb: "read", key: HEAD }, item)).toEqual({
        outcome: { outcome: "applied", item },
        stands: item,
      });
  });
  it("a missing cell or Head is a refusal, never nothing voted; a missing chunk or part is nothing", () => {
    expect(decide({ verb: "read", key: CELL }, undefined)).toEqual({ outcome: REFUSED });
    expect(decide({ verb: "read", key: HEAD }, undefined)).toEqual({ outcome: REFUSED });
    expect(decide({ verb: "read", key: { kind: "chunk", chunk: 0 as ChunkNumber } }, undefined)).toEqual({
      outcome: APPLIED,
    });
    expect(decide({ verb: "read", key: { kind: "part", snapshot: "8-aa", part: 0 } }, undefined)).toEqual({
      outcome: APPLIED,
    });
  });
});

it("an item of another kind is refused, not overwritten", () => {
  const content = { text: "x", digest: "d" };
  const chunk = { kind: "chunk", chunk: 0 as ChunkNumber } as const;
  const [cell, head] = [cells[0] as Cell, heads[0] as Head];
  for (const [verb, item] of [
    [{ verb: "promise", key: CELL, ballot: "b9" as Ballot }, head],
    [{ verb: "vote", key: CELL, ballot: "b9" as Ballot, slot: 9 as Slot, value: content }, head],
    [{ verb: "advance", key: HEAD, head: FIRST_HEAD }, cell],
    [{ verb: "put", key: chunk, content }, cell],
  ] as const satisfies readonly (readonly [Verb, Item])[])
    expect(decide(verb, item)).toEqual({ outcome: { outcome: "refused", by: item } });
});

describe("invariant 3: nothing decreases", () => {
  it("by any verb on any cell, and no vote is above its promise", () => {
    const verbs: Verb[] = BALLOTS.flatMap((ballot) => [
      { verb: "promise" as const, key: CELL, ballot },
      ...SLOTS.flatMap((slot) =>
        VALUES.map((value) => ({ verb: "vote" as const, key: CELL, ballot, slot, value })),
      ),
    ]);
    for (const cell of cells)
      for (const verb of verbs) {
        const after = result(verb, cell).stands as Cell;
        expect(after.promised >= cell.promised && after.slot >= cell.slot).toBe(true);
        expect((after.vote?.ballot ?? "") <= after.promised).toBe(true);
        const isOlderVote =
          after.slot === cell.slot && (after.vote?.ballot ?? "") < (cell.vote?.ballot ?? "");
        expect(isOlderVote).toBe(false);
      }
  });

  it("saying it twice is saying it once: a verb that applied applies again and changes nothing more", () => {
    const verbs: Verb[] = [
      { verb: "create", key: CELL },
      { verb: "promise", key: CELL, ballot: "b2" as Ballot },
      ...SLOTS.flatMap((slot) =>
        VALUES.map((value) => ({ verb: "vote" as const, key: CELL, ballot: "b2" as Ballot, slot, value })),
      ),
    ];
    for (const cell of [undefined, ...cells])
      for (const verb of verbs) {
        const once = result(verb, cell);
        if (once.outcome.outcome === "applied") expect(result(verb, once.stands)).toMatchObject(once);
      }
  });
});

describe("the examples that every store has to agree with", () => {
  it.each(CONDITIONS)("$name", ({ given, when, outcome, stands }) => {
    const items = new Map<string, Item>();
    const say = (verb: Verb): Outcome => {
      const key = keyText(verb.key);
      const { outcome, next } = decide(verb, items.get(key));
      if (next === null) items.delete(key);
      else if (next !== undefined) items.set(key, next);
      return outcome;
    };
    for (const verb of given) say(verb);
    expect(say(when)).toEqual(outcome);
    expect(say({ verb: "read", key: when.key })).toEqual(stands);
  });
});

it("keys are these, for ever: tables keep them", () => {
  expect(
    [
      CELL,
      { kind: "cell", configuration: 12 as ConfigurationNumber, lane: 0 as Lane },
      HEAD,
      { kind: "chunk", chunk: 7 as ChunkNumber },
      { kind: "part", snapshot: "8-aa", part: 3 },
    ].map((key) => keyText(key as CellKey)),
  ).toEqual(["C#1#1", "C#12#0", "H", "A#7", "S#8-aa#3"]);
});
