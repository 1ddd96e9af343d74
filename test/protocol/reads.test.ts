import { beforeEach, describe, expect, it } from "vitest";
import { GONE, type Outcome, UNKNOWN } from "../../shared/protocol/acceptor.ts";
import { type Ballot, ballotOf } from "../../shared/protocol/ballot.ts";
import { type AcceptorId, majority, type QuorumSpec, QuorumSystem } from "../../shared/protocol/quorum.ts";
import { type ReadId, Reads } from "../../shared/protocol/reads.ts";
import { type Ask, Requests } from "../../shared/protocol/requests.ts";
import type { Slot } from "../../shared/protocol/slot.ts";
import { acceptors, CONFIGURATION, processOf } from "../paper/support.ts";

const ALL = acceptors("S1", "S2", "S3");
const ballot = (round: number) => ballotOf(CONFIGURATION, round, processOf("S2"));

let asks: Ask[];
let retries: number;
let passed: number[];
let fenced: Ballot[];
let lost: AcceptorId[];
let requests: Requests;
let reads: Reads;

function start(quorums: QuorumSpec): void {
  [asks, retries, passed, fenced, lost] = [[], 0, [], [], []];
  requests = new Requests((effect) => {
    if (effect.effect === "ask") asks.push(effect);
    else retries++;
  });
  reads = new Reads({
    requests,
    quorums: new QuorumSystem(quorums),
    configuration: CONFIGURATION,
    ballot: ballot(5),
    passed: (of) => passed.push(...of),
    fenced: (by) => fenced.push(by),
    lost: (of) => lost.push(of),
    isLost: (of) => lost.includes(of),
  });
}
beforeEach(() => start(majority(ALL)));

function queue(...ids: number[]): void {
  for (const id of ids) reads.queue(id as ReadId);
  reads.work();
}
const UNFENCED = cellWith(ballot(5));
function cellWith(promised: Ballot): Outcome {
  return { outcome: "applied", item: { kind: "cell", promised, slot: 0 as Slot } };
}
/** The oldest request to this table is answered so. */
function answer(of: string, outcome: Outcome): void {
  const ask = asks.find((each) => each.of === of);
  if (ask === undefined) throw new Error(`nothing was asked of ${of}`);
  asks = asks.filter((each) => each !== ask);
  requests.outcome(ask.request, [outcome]);
}

describe("a check", () => {
  it("reads the fence cell, on every acceptor, after the read arrived", () => {
    reads.work();
    expect(asks).toEqual([]);
    queue(1);
    const verbs = [{ verb: "read", key: { kind: "cell", configuration: CONFIGURATION, lane: 0 } }];
    expect(asks.map(({ of, verbs }) => [of, verbs])).toEqual(ALL.map((of) => [of, verbs]));
  });

  it("passes with a write quorum that has promised nothing higher", () => {
    queue(1);
    answer("S1", UNFENCED);
    expect(passed).toEqual([]);
    answer("S3", cellWith(ballot(4)));
    expect(passed).toEqual([1]);
    answer("S2", UNFENCED);
    expect(passed).toEqual([1]);
  });

  it("needs a write quorum, not a read quorum", () => {
    start({ ...majority(ALL), read: { atLeast: 1 }, write: { atLeast: 3 } });
    queue(1);
    answer("S1", UNFENCED);
    answer("S2", UNFENCED);
    expect(passed).toEqual([]);
    answer("S3", UNFENCED);
    expect(passed).toEqual([1]);
  });

  it("serves every read that was queued before it started; later ones wait for the next", () => {
    reads.queue(1 as ReadId);
    queue(2);
    queue(3);
    expect(asks).toHaveLength(3);
    answer("S1", UNFENCED);
    queue(4);
    answer("S2", UNFENCED);
    expect(passed).toEqual([1, 2]);
    // The first check's third request is still under way; the second check asks everybody anew.
    expect(asks.map(({ of }) => of)).toEqual(["S3", "S1", "S2", "S3"]);
    answer("S3", UNFENCED);
    answer("S1", UNFENCED);
    expect(passed).toEqual([1, 2]);
    answer("S2", UNFENCED);
    expect(passed).toEqual([1, 2, 3, 4]);
    answer("S3", UNFENCED);
    reads.work();
    expect([asks, passed]).toEqual([[], [1, 2, 3, 4]]);
  });

  it("finds a higher promise: fenced, and nothing passes by it", () => {
    queue(1);
    answer("S1", cellWith(ballot(6)));
    answer("S2", UNFENCED);
    expect([fenced, passed]).toEqual([[ballot(6)], []]);
  });

  it("finds it even after it passed", () => {
    queue(1);
    answer("S1", UNFENCED);
    answer("S2", UNFENCED);
    answer("S3", cellWith(ballot(6)));
    expect([fenced, passed]).toEqual([[ballot(6)], [1]]);
  });

  it("does not count an acceptor that is gone or has no cell", () => {
    queue(1);
    answer("S1", GONE);
    answer("S2", { outcome: "refused" });
    expect([lost, passed]).toEqual([["S1", "S2"], []]);
    answer("S3", UNFENCED);
    expect(passed).toEqual([]);
  });

  it("asks again while it has not passed, and not afterwards", () => {
    queue(1);
    const third = asks.find(({ of }) => of === "S3") as Ask;
    answer("S3", UNKNOWN);
    answer("S1", UNFENCED);
    requests.resend(third.request);
    expect([retries, asks.map(({ of }) => of)]).toEqual([1, ["S2", "S3"]]);
    answer("S3", UNKNOWN);
    answer("S2", UNFENCED);
    expect(passed).toEqual([1]);
    requests.resend(third.request);
    expect(asks).toEqual([]);
  });
});
