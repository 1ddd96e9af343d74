import { beforeEach, describe, expect, it } from "vitest";
import { type Cell, HEAD, type Head, type Outcome } from "../../shared/protocol/acceptor.ts";
import { type Ballot, ballotOf, type ConfigurationNumber } from "../../shared/protocol/ballot.ts";
import { Fence } from "../../shared/protocol/fence.ts";
import { type AcceptorId, majority, type QuorumSpec, QuorumSystem } from "../../shared/protocol/quorum.ts";
import type { Lane, Slot } from "../../shared/protocol/slot.ts";
import { acceptors, CONFIGURATION, hashed, processOf } from "../paper/support.ts";

const GEOMETRY = { lanes: 2, chunkSlots: 1 };
const LANES = [0, 1, 2] as Lane[];
const [S1, S2, S3] = acceptors("S1", "S2", "S3") as [AcceptorId, AcceptorId, AcceptorId];
const ballot = (round: number, name = "S3") => ballotOf(CONFIGURATION, round, processOf(name));
const NOBODY: ReadonlySet<AcceptorId> = new Set();

let fence: Fence;
beforeEach(() => {
  fence = fenceOf(majority([S1, S2, S3]));
});

function fenceOf(quorums: QuorumSpec, lost: ReadonlySet<AcceptorId> = NOBODY): Fence {
  const configuration = { number: CONFIGURATION, previous: 0, quorums };
  return new Fence(configuration, new QuorumSystem(quorums), GEOMETRY, ballot(5), lost);
}

type Answer = Exclude<Outcome, { outcome: "unknown" }>;
const record = (of: AcceptorId, lane: Lane, outcome: Answer) =>
  fence.record(
    of,
    { verb: "promise", key: { kind: "cell", configuration: CONFIGURATION, lane }, ballot: ballot(5) },
    outcome,
  );
const cellOf = (slot = 0, vote?: { ballot: Ballot; text: string }): Cell => ({
  kind: "cell",
  promised: ballot(5),
  slot: slot as Slot,
  ...(vote && { vote: { ballot: vote.ballot, value: hashed(vote.text) } }),
});
const promised = (of: AcceptorId, lane: Lane, item: Cell = cellOf()) =>
  record(of, lane, { outcome: "applied", item });
const headOf = (covered: number): Head => ({
  kind: "head",
  covered: covered as Slot,
  snapshotSlot: 0 as Slot,
  snapshot: "-",
});
const readHead = (of: AcceptorId, covered = 0) =>
  fence.record(of, { verb: "read", key: HEAD }, { outcome: "applied", item: headOf(covered) });

describe("what is asked", () => {
  it("of an acceptor: a promise in every lane, the fence lane too, and its Head", () => {
    expect(fence.verbs(S1)).toEqual([
      ...LANES.map((lane) => ({
        verb: "promise",
        key: { kind: "cell", configuration: CONFIGURATION, lane },
        ballot: ballot(5),
      })),
      { verb: "read", key: HEAD },
    ]);
  });

  it("of a witness: the promises only", () => {
    fence = fenceOf({ ...majority([S1, S2, S3]), witnesses: [S2] });
    expect(fence.verbs(S2)).toHaveLength(LANES.length);
    expect(fence.verbs(S1)).toHaveLength(LANES.length + 1);
  });
});

describe("a fence is complete", () => {
  it.each(LANES)(
    "with a read quorum of promises in every lane, and of Heads: not before lane %d has them",
    (last) => {
      readHead(S1);
      readHead(S2);
      for (const lane of LANES) promised(S1, lane);
      for (const lane of LANES) if (lane !== last) promised(S2, lane);
      expect(fence.complete).toBe(false);
      promised(S2, last);
      expect(fence.complete).toBe(true);
    },
  );

  it("whose quorums may differ by lane", () => {
    readHead(S1);
    readHead(S3);
    const pairs = [
      [S1, S2],
      [S2, S3],
      [S3, S1],
    ] as const;
    pairs.forEach(([one, other], lane) => {
      promised(one, lane as Lane);
      promised(other, lane as Lane);
    });
    expect(fence.complete).toBe(true);
  });

  it("not by one acceptor's promise twice", () => {
    for (const of of [S1, S2]) readHead(of);
    for (const lane of LANES) {
      promised(S1, lane);
      promised(S1, lane);
    }
    expect(fence.complete).toBe(false);
  });

  it("not without the Heads of a read quorum", () => {
    for (const of of [S1, S2, S3]) for (const lane of LANES) promised(of, lane);
    readHead(S1);
    expect([fence.complete, [...fence.heads.keys()]]).toEqual([false, [S1]]);
    readHead(S3);
    expect(fence.complete).toBe(true);
  });

  it("when a witness counts as answered and shows no Head", () => {
    fence = fenceOf({ ...majority([S1, S2, S3]), witnesses: [S3] });
    for (const of of [S1, S2]) for (const lane of LANES) promised(of, lane);
    expect(fence.complete).toBe(false);
    readHead(S1, 7);
    expect(fence.complete).toBe(true);
    expect([...fence.heads]).toEqual([[S1, headOf(7)]]);
  });
});

describe("a refusal", () => {
  const refusedBy = (promisedTo: Ballot): Answer => ({
    outcome: "refused",
    by: { ...cellOf(), promised: promisedTo },
  });

  it("by a higher promise beats the ballot: the highest is told", () => {
    expect(fence.beatenBy).toBeUndefined();
    record(S1, 1 as Lane, refusedBy(ballot(7)));
    record(S2, 1 as Lane, refusedBy(ballot(9, "S1")));
    record(S3, 1 as Lane, refusedBy(ballot(8)));
    expect(fence.beatenBy).toBe(ballot(9, "S1"));
    expect(fence.hopeless).toBe(false);
  });

  it("by a later configuration's fence is above every round", () => {
    const later = ballotOf(2 as ConfigurationNumber, 0, processOf("S1"));
    record(S1, 1 as Lane, refusedBy(later));
    record(S2, 1 as Lane, refusedBy(ballot(99)));
    expect(fence.beatenBy).toBe(later);
  });

  it("of Heads by too many is hopeless too; so is having lost them before; a witness has none to lose", () => {
    const readNone = (of: AcceptorId) =>
      fence.record(of, { verb: "read", key: HEAD }, { outcome: "refused" });
    fence = fenceOf({ ...majority([S1, S2, S3]), witnesses: [S3] });
    for (const of of [S1, S2]) for (const lane of LANES) promised(of, lane);
    record(S3, 1 as Lane, { outcome: "refused", gone: true });
    // S1 and S2 have promised, and S1 and the witness answer for the Heads.
    expect([fence.hopeless, fence.complete]).toEqual([false, false]);
    readHead(S1);
    expect([fence.hopeless, fence.complete]).toEqual([false, true]);
    fence = fenceOf(majority([S1, S2, S3]), new Set([S2]));
    expect(fence.hopeless).toBe(false);
    readNone(S1);
    expect(fence.hopeless).toBe(true);
  });

  it("by nothing is no promise: the acceptor forgot or is gone, and too many such are hopeless", () => {
    record(S1, 1 as Lane, { outcome: "refused" });
    for (const lane of LANES) {
      promised(S2, lane);
      record(S1, lane, { outcome: "refused", gone: true });
    }
    readHead(S2);
    readHead(S3);
    expect([fence.complete, fence.hopeless, fence.beatenBy]).toEqual([false, false, undefined]);
    record(S3, 0 as Lane, { outcome: "refused", gone: true });
    expect(fence.hopeless).toBe(true);
  });
});

describe("what the promises show", () => {
  it("nothing, when nothing was voted: all values are safe", () => {
    for (const of of [S1, S2]) for (const lane of LANES) promised(of, lane);
    expect(fence.highestVoted).toBe(0);
    expect(fence.voteFor(1 as Slot)).toBeUndefined();
  });

  it("the highest slot of all, whichever lane and acceptor has it", () => {
    promised(S1, 1 as Lane, cellOf(6, { ballot: ballot(1), text: "x" }));
    promised(S2, 2 as Lane, cellOf(9, { ballot: ballot(1), text: "y" }));
    promised(S2, 1 as Lane, cellOf(4, { ballot: ballot(4), text: "z" }));
    expect(fence.highestVoted).toBe(9);
  });

  it("for a slot the value of the largest ballot, not of the most votes or the last reply", () => {
    promised(S1, 1 as Lane, cellOf(6, { ballot: ballot(2), text: "old" }));
    promised(S2, 1 as Lane, cellOf(6, { ballot: ballot(3, "S2"), text: "new" }));
    promised(S3, 1 as Lane, cellOf(6, { ballot: ballot(3, "S1"), text: "older process" }));
    expect(fence.voteFor(6 as Slot)).toEqual({ of: S2, ballot: ballot(3, "S2"), value: hashed("new") });
  });

  it("and for another slot of the same lane nothing of it", () => {
    promised(S1, 1 as Lane, cellOf(6, { ballot: ballot(4), text: "other slot" }));
    promised(S2, 1 as Lane, cellOf(4, { ballot: ballot(2), text: "this slot" }));
    expect(fence.voteFor(4 as Slot)?.value).toEqual(hashed("this slot"));
    expect(fence.voteFor(8 as Slot)).toBeUndefined();
  });
});
