/**
 * Each condition of PROTOCOL §3 with missing, lower, equal and higher values: what is given, what is said
 * then, its outcome, and what stands there afterwards.
 */
import { FIRST_HEAD, type Item, type Outcome, type Verb } from "../../shared/protocol/acceptor.ts";
import { type Ballot, birthBallot, type ConfigurationNumber } from "../../shared/protocol/ballot.ts";
import type { Slot } from "../../shared/protocol/slot.ts";
import {
  advance,
  applied,
  b1,
  b2,
  b2Twin,
  b3,
  b9,
  b16,
  bornCell,
  C1,
  CELL,
  cell,
  chunk,
  content,
  contentVerbs,
  createCell,
  createHead,
  headOf,
  part,
  readCell,
  readHead,
  refused,
  value,
  vote,
  voted,
} from "./items.ts";

export interface Example {
  readonly name: string;
  readonly given: readonly Verb[];
  readonly when: Verb;
  readonly outcome: Outcome;
  /** What a read answers afterwards. */
  readonly stands: Outcome;
}

/** An applied verb that answers the item that stands there afterwards. */
function answersItem(name: string, given: readonly Verb[], when: Verb, item: Item): Example {
  return { name, given, when, outcome: applied(item), stands: applied(item) };
}

/** An applied verb that answers no item. */
function applies(name: string, given: readonly Verb[], when: Verb, stands?: Item): Example {
  return { name, given, when, outcome: applied(), stands: applied(stands) };
}

/** A refused verb: what beat it is what stood and stands there. */
function isRefused(name: string, given: readonly Verb[], when: Verb, by?: Item): Example {
  return { name, given, when, outcome: refused(by), stands: by === undefined ? refused() : applied(by) };
}

const promised = (ballot: Ballot): Item => ({ kind: "cell", promised: ballot, slot: 0 as Slot });
const promise = (ballot: Ballot): Verb => ({ verb: "promise", key: CELL, ballot });
/** Voted in slot 33 at b2. */
const GIVEN_VOTE = [createCell, vote(b2, 33, "old")];
const OLD_VOTE = voted(b2, 33, "old");
/** Promised b3 above a vote in slot 33 at b2. */
const GIVEN_FENCED_VOTE = [...GIVEN_VOTE, promise(b3)];
const FENCED_VOTE: Item = { ...OLD_VOTE, promised: b3 } as Item;
/** Covered 16, snapshot through 8. */
const GIVEN_HEAD = [createHead, advance(16, 8, "8-aa")];
const HEAD_16 = headOf(16, 8, "8-aa");
const GIVEN_CHUNK = [contentVerbs(chunk(0), value("old")).put];
const SNAPSHOT_PART = part("8-aa", 3);
const GIVEN_PART = [contentVerbs(SNAPSHOT_PART, value("old")).put];

export const CONDITIONS: readonly Example[] = [
  applies("create makes a cell", [], createCell, bornCell),
  applies("create leaves a promised cell as it is", [createCell, promise(b2)], createCell, promised(b2)),
  applies("create leaves a voted cell as it is", GIVEN_VOTE, createCell, OLD_VOTE),
  applies("create makes a Head", [], createHead, FIRST_HEAD),
  applies("create leaves a Head as it is", GIVEN_HEAD, createHead, HEAD_16),
  applies(
    "create gives a cell the first ballot of its own configuration",
    [],
    { verb: "create", key: cell(7, 1) },
    { kind: "cell", promised: birthBallot(7 as ConfigurationNumber), slot: 0 as Slot },
  ),

  isRefused("promise makes no cell", [], promise(b2)),
  answersItem("promise of a higher ballot", [createCell, promise(b1)], promise(b2), promised(b2)),
  answersItem("promise of the equal ballot", [createCell, promise(b2)], promise(b2), promised(b2)),
  isRefused("promise of a lower ballot", [createCell, promise(b2)], promise(b1), promised(b2)),
  answersItem(
    "promise of the first ballot, ⟨c,0,0⟩",
    [createCell],
    promise(birthBallot(C1)),
    promised(birthBallot(C1)),
  ),
  answersItem(
    "promise of a higher process in the same round",
    [createCell, promise(b2)],
    promise(b2Twin),
    promised(b2Twin),
  ),
  isRefused(
    "promise of a lower process in the same round",
    [createCell, promise(b2Twin)],
    promise(b2),
    promised(b2Twin),
  ),
  answersItem("promise of round 16 after round 9", [createCell, promise(b9)], promise(b16), promised(b16)),
  isRefused("promise of round 9 after round 16", [createCell, promise(b16)], promise(b9), promised(b16)),
  answersItem(
    "promise of a later configuration's ballot, a fence",
    [createCell, promise(b3)],
    promise(birthBallot(2 as ConfigurationNumber)),
    promised(birthBallot(2 as ConfigurationNumber)),
  ),
  answersItem("promise keeps the vote and answers it", GIVEN_VOTE, promise(b3), FENCED_VOTE),
  isRefused("promise below a vote's ballot, answered with the vote", GIVEN_VOTE, promise(b1), OLD_VOTE),

  isRefused("vote makes no cell", [], vote(b2, 33, "new")),
  applies("vote in a new cell", [createCell], vote(b2, 33, "new"), voted(b2, 33, "new")),
  applies(
    "vote at the first ballot, ⟨c,0,0⟩",
    [createCell],
    vote(birthBallot(C1), 33, "new"),
    voted(birthBallot(C1), 33, "new"),
  ),
  applies(
    "vote at the promised ballot",
    [createCell, promise(b2)],
    vote(b2, 33, "new"),
    voted(b2, 33, "new"),
  ),
  applies(
    "vote above the promised ballot raises the promise",
    [createCell, promise(b2)],
    vote(b3, 33, "new"),
    voted(b3, 33, "new"),
  ),
  isRefused("vote below the promised ballot", [createCell, promise(b2)], vote(b1, 33, "new"), promised(b2)),
  applies("vote in a higher slot, same ballot", GIVEN_VOTE, vote(b2, 65, "new"), voted(b2, 65, "new")),
  applies("vote in a higher slot, higher ballot", GIVEN_VOTE, vote(b3, 65, "new"), voted(b3, 65, "new")),
  isRefused("vote in a higher slot, lower ballot", GIVEN_VOTE, vote(b1, 65, "new"), OLD_VOTE),
  applies("vote in slot 100 after slot 33", GIVEN_VOTE, vote(b2, 100, "new"), voted(b2, 100, "new")),
  isRefused("vote in slot 9 after slot 33", GIVEN_VOTE, vote(b2, 9, "new"), OLD_VOTE),
  isRefused("vote in a lower slot, higher ballot", GIVEN_VOTE, vote(b3, 1, "new"), OLD_VOTE),
  isRefused("vote in a lower slot, same value", GIVEN_VOTE, vote(b3, 1, "old"), OLD_VOTE),
  isRefused("vote in slot 0 of a new cell", [createCell], vote(b2, 0, "new"), bornCell),
  applies("vote in the same slot, higher ballot", GIVEN_VOTE, vote(b3, 33, "new"), voted(b3, 33, "new")),
  applies(
    "vote in the same slot, higher ballot, same value",
    GIVEN_VOTE,
    vote(b3, 33, "old"),
    voted(b3, 33, "old"),
  ),
  isRefused("vote in the same slot, same ballot, other value", GIVEN_VOTE, vote(b2, 33, "new"), OLD_VOTE),
  applies("vote in the same slot, same ballot, same value", GIVEN_VOTE, vote(b2, 33, "old"), OLD_VOTE),
  isRefused("vote in the same slot, lower ballot, other value", GIVEN_VOTE, vote(b1, 33, "new"), OLD_VOTE),
  isRefused("vote in the same slot, lower ballot, same value", GIVEN_VOTE, vote(b1, 33, "old"), OLD_VOTE),
  isRefused(
    "vote again after a higher promise, same value",
    GIVEN_FENCED_VOTE,
    vote(b2, 33, "old"),
    FENCED_VOTE,
  ),
  isRefused(
    "vote in a higher slot after a higher promise",
    GIVEN_FENCED_VOTE,
    vote(b2, 65, "x"),
    FENCED_VOTE,
  ),
  applies(
    "vote at the promise above an older vote",
    GIVEN_FENCED_VOTE,
    vote(b3, 33, "new"),
    voted(b3, 33, "new"),
  ),
  applies(
    "vote in a slot near 2^53",
    [createCell, vote(b2, Number.MAX_SAFE_INTEGER - 1, "old")],
    vote(b2, Number.MAX_SAFE_INTEGER, "new"),
    voted(b2, Number.MAX_SAFE_INTEGER, "new"),
  ),
  isRefused(
    "vote one slot lower near 2^53",
    [createCell, vote(b2, Number.MAX_SAFE_INTEGER, "old")],
    vote(b2, Number.MAX_SAFE_INTEGER - 1, "new"),
    voted(b2, Number.MAX_SAFE_INTEGER, "old"),
  ),

  isRefused("advance makes no Head", [], advance(8, 0, "-")),
  answersItem("advance of a new Head", [createHead], advance(8, 0, "-"), headOf(8, 0, "-")),
  answersItem(
    "advance to more slots, same snapshot",
    GIVEN_HEAD,
    advance(24, 8, "8-aa"),
    headOf(24, 8, "8-aa"),
  ),
  answersItem("advance to the same", GIVEN_HEAD, advance(16, 8, "8-aa"), HEAD_16),
  isRefused("advance to fewer slots, same snapshot", GIVEN_HEAD, advance(8, 8, "8-aa"), HEAD_16),
  isRefused("advance to fewer slots, newer snapshot", GIVEN_HEAD, advance(8, 9, "9-aa"), HEAD_16),
  answersItem("advance to a newer snapshot", GIVEN_HEAD, advance(16, 16, "16-bb"), headOf(16, 16, "16-bb")),
  answersItem("advance to both", GIVEN_HEAD, advance(24, 16, "16-bb"), headOf(24, 16, "16-bb")),
  isRefused("advance to another snapshot of the same slot", GIVEN_HEAD, advance(24, 8, "8-bb"), HEAD_16),
  isRefused("advance to an older snapshot", GIVEN_HEAD, advance(24, 0, "-"), HEAD_16),
  isRefused("advance to an older snapshot of the same name", GIVEN_HEAD, advance(24, 0, "8-aa"), HEAD_16),
  answersItem("advance from 16 to 104 slots", GIVEN_HEAD, advance(104, 8, "8-aa"), headOf(104, 8, "8-aa")),
  answersItem("advance from snapshot 8 to 16", GIVEN_HEAD, advance(16, 16, "1-a"), headOf(16, 16, "1-a")),

  ...(
    [
      ["chunk", chunk(0), GIVEN_CHUNK],
      ["part", SNAPSHOT_PART, GIVEN_PART],
    ] as const
  ).flatMap(([kind, key, given]) => [
    applies(`put of a new ${kind}`, [], contentVerbs(key, value("old")).put, content("old")),
    applies(`put of the same ${kind}`, given, contentVerbs(key, value("old")).put, content("old")),
    isRefused(`put of another ${kind}, an alarm`, given, contentVerbs(key, value("new")).put, content("old")),
    applies(
      `put of a ${kind} that was dropped`,
      [...given, contentVerbs(key, value("old")).drop],
      {
        verb: "put",
        key,
        content: value("new"),
      },
      content("new"),
    ),
    applies(`drop of a ${kind}`, given, contentVerbs(key, value("old")).drop),
    applies(`drop of a missing ${kind}`, [], contentVerbs(key, value("old")).drop),
    answersItem(`read of a ${kind}`, given, { verb: "read", key }, content("old")),
    applies(`read of a missing ${kind}`, [], { verb: "read", key }),
  ]),

  answersItem("read of a new cell", [createCell], readCell, bornCell),
  answersItem("read of a voted cell", GIVEN_VOTE, readCell, OLD_VOTE),
  answersItem("read of a fenced cell", GIVEN_FENCED_VOTE, readCell, FENCED_VOTE),
  isRefused("read of a missing cell", [], readCell),
  answersItem("read of a Head", GIVEN_HEAD, readHead, HEAD_16),
  isRefused("read of a missing Head", [], readHead),
];
