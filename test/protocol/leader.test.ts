import { beforeEach, describe, expect, it } from "vitest";
import { type Cell, type CellKey, HEAD, type Head, type Verb } from "../../shared/protocol/acceptor.ts";
import { ballotOf, type ConfigurationNumber } from "../../shared/protocol/ballot.ts";
import { type AcceptorId, majority } from "../../shared/protocol/quorum.ts";
import type { Lane, Slot } from "../../shared/protocol/slot.ts";
import {
  acceptors,
  Bench,
  batchOf,
  CONFIGURATION,
  chunkKey,
  expectAgreement,
  hashed,
  processOf,
  type Server,
  saying,
  to,
  votingIn,
} from "../paper/support.ts";

/** K = 4, C = 2: a window that a test can fill. */
const GEOMETRY = { lanes: 4, chunkSlots: 2 };
const K = GEOMETRY.lanes;
const ballot = (round: number, name = "S9") => ballotOf(CONFIGURATION, round, processOf(name));

let bench: Bench;
beforeEach(() => {
  bench = new Bench({ geometry: GEOMETRY });
});

function namesOf(from: number, to: number): string[] {
  return Array.from({ length: to - from + 1 }, (_, index) => `X${from + index}`);
}
/** Proposes, executes and archives X1 … on all tables but the ones left out. */
function fill(server: Server, through: number, ...reachable: string[]): void {
  const tables = reachable.length === 0 ? ["S1", "S2", "S3"] : reachable;
  while (server.leader.next <= through) {
    server.propose(`X${server.leader.next}`);
    server.exchange(to(...tables));
  }
}
const cellKey = (slot: number) =>
  ({ kind: "cell", configuration: CONFIGURATION, lane: (1 + (slot % K)) as Lane }) as const;
/** A vote that stands in a table, by whomever. */
function plant(of: string, slot: number, round: number, name: string): void {
  const vote: Cell["vote"] = { ballot: ballot(round), value: hashed(batchOf(ballot(round), name)) };
  bench.table(of).set(cellKey(slot), { kind: "cell", promised: ballot(round), slot: slot as Slot, vote });
}
const headOf = (covered: number): Head => ({
  kind: "head",
  covered: covered as Slot,
  snapshotSlot: 0 as Slot,
  snapshot: "-",
});
const effects = (server: Server) => server.told.map(({ effect }) => effect);

describe("fencing (§4 step 2)", () => {
  it("stops when a promise is refused: fenced, by the ballot that beat it", () => {
    const rival = bench.leader("S2", 7);
    const s1 = bench.server("S1", 3);
    s1.exchange(to("S1"));
    expect(s1.told).toEqual([{ effect: "abdicate", abdication: { why: "fenced", by: rival.ballot } }]);
    expect([s1.requests.filter(saying("vote")), s1.leader.serving]).toEqual([[], false]);
  });

  it("by a later configuration's ballot too", () => {
    const later = ballotOf(2 as ConfigurationNumber, 0, processOf("S2"));
    bench.table("S1").execute({ verb: "promise", key: cellKey(1), ballot: later });
    const s1 = bench.server("S1", 99);
    s1.exchange();
    expect(s1.abdication).toEqual({ why: "fenced", by: later });
  });

  it("goes on without an acceptor that is lost, told once", () => {
    bench.table("S1").isLost = true;
    const s2 = bench.leader("S2", 1);
    expect(s2.lost).toEqual(["S1"]);
    s2.propose("X1");
    expect(s2.requests.filter(saying("vote")).map(({ of }) => of)).toEqual(["S2", "S3"]);
    s2.exchange();
    s2.read(1);
    s2.exchange();
    expect([s2.lost, s2.executed, s2.answeredReads]).toEqual([["S1"], ["1: X1"], [1]]);
  });

  it("counts an acceptor that forgot one cell as lost", () => {
    bench.table("S3").items.delete("C#1#2");
    const s1 = bench.leader("S1", 1);
    expect(s1.lost).toEqual(["S3"]);
    s1.propose("X1");
    s1.exchange(to("S1"));
    expect(s1.executed).toEqual([]);
  });

  it("gives up when too many are lost", () => {
    bench.table("S1").isLost = true;
    bench.table("S3").isLost = true;
    const s2 = bench.server("S2", 1);
    s2.exchange();
    expect(s2.abdication).toEqual({ why: "noQuorum", lost: ["S1", "S3"] });
    expect(effects(s2)).toEqual(["lost", "lost", "abdicate"]);
  });

  it("gives up when no read quorum is left although a write quorum is", () => {
    const quorums = { ...majority(acceptors("S1", "S2", "S3")), read: { atLeast: 3 }, write: { atLeast: 1 } };
    bench = new Bench({ geometry: GEOMETRY, quorums });
    bench.table("S2").isLost = true;
    const s1 = bench.server("S1", 1);
    s1.exchange();
    expect(s1.abdication).toEqual({ why: "noQuorum", lost: ["S2"] });
  });

  it("asks again for what is unknown, until the fence is complete and the Head known", () => {
    const s1 = bench.server("S1", 1);
    s1.lose(to("S3"));
    s1.exchange(to("S1", "S2"));
    expect(s1.leader.serving).toBe(true);
    s1.resend();
    // S3's Head is still wanted: rule U has to know it.
    expect(s1.requests.filter(to("S3"))).toHaveLength(1);
    s1.exchange();
    s1.resend();
    expect(s1.requests).toEqual([]);
  });
});

describe("recovering the tail (§4 steps 3–5)", () => {
  it("votes every slot above S again at its own ballot: the largest ballot's value, gaps as no-ops", () => {
    plant("S1", 1, 1, "old 1");
    plant("S2", 1, 2, "X1");
    plant("S1", 4, 2, "X4");
    plant("S2", 3, 1, "X3");
    const s3 = bench.server("S3", 5);
    s3.exchange(saying("promise"));
    const votes = s3.requests.flatMap(({ of, verbs }) =>
      verbs.map((verb) => [of, verb.verb === "vote" && [verb.slot, verb.ballot === s3.ballot]]),
    );
    expect(votes).toEqual([1, 2, 3, 4].flatMap((slot) => ["S1", "S2", "S3"].map((of) => [of, [slot, true]])));
    s3.exchange();
    expect(s3.executed).toEqual(["1: X1", "2: no-op", "3: X3", "4: X4"]);
    expect([s3.leader.next, s3.leader.serving]).toEqual([5, true]);
  });

  it("a re-voted value is the same text: it names the ballot that first proposed it", () => {
    plant("S1", 1, 2, "X1");
    const s3 = bench.leader("S3", 5);
    expect(s3.told[0]).toEqual({ effect: "execute", slot: 1, text: batchOf(ballot(2), "X1") });
    expect(bench.cell("S3", 1).vote).toEqual({
      ballot: s3.ballot,
      value: hashed(batchOf(ballot(2), "X1")),
    });
  });

  it("serves only when all of the tail is executed, reads included", () => {
    plant("S1", 1, 2, "X1");
    plant("S1", 2, 2, "X2");
    const s3 = bench.server("S3", 5);
    s3.exchange(saying("promise"));
    s3.read(1);
    expect(s3.requests.filter(saying("read"))).toEqual([]);
    s3.exchange(votingIn(2));
    expect([s3.leader.serving, s3.leader.admits, effects(s3)]).toEqual([false, false, []]);
    expect(() => s3.propose("X3")).toThrow("not admitted");
    s3.exchange(votingIn(1));
    expect(effects(s3)).toEqual(["execute", "execute", "serve"]);
    expect(s3.requests.filter(saying("read", "cell"))).toHaveLength(3);
    s3.exchange();
    expect(s3.answeredReads).toEqual([1]);
  });

  it("learns chunks first, then votes what is above the highest Head", () => {
    const s1 = bench.leader("S1", 1);
    fill(s1, 7);
    const s3 = bench.leader("S3", 2);
    expect(s3.executed).toEqual(namesOf(1, 7).map((name, index) => `${index + 1}: ${name}`));
    expect(bench.votes.filter((vote) => vote.ballot === s3.ballot).map(({ slot }) => slot)).toEqual([
      7, 7, 7,
    ]);
  });

  it("learns from the table with the highest Head of those it heard", () => {
    const s1 = bench.leader("S1", 1);
    fill(s1, 6, "S2", "S3");
    const s3 = bench.server("S3", 2);
    s3.exchange(saying("promise"), to("S1"));
    s3.exchange(saying("promise"), to("S2"));
    expect(s3.requests.filter(saying("read", "chunk")).map(({ of }) => of)).toEqual(["S2"]);
    s3.exchange();
    expect(s3.replica.state).toEqual(namesOf(1, 6));
  });

  it("reads nothing that its own replica has: S is the applied slot if that is higher", () => {
    const s1 = bench.leader("S1", 1);
    fill(s1, 7);
    const again = bench.server("S1", 2, s1);
    again.exchange(saying("promise"));
    expect(again.requests.filter(saying("read", "chunk"))).toEqual([]);
    expect([again.leader.serving, again.leader.next, again.executed]).toEqual([true, 8, []]);
  });

  it.each(["missing", "damaged"] as const)(
    "abdicates when a chunk is %s, and the next try goes without that Head",
    (how) => {
      const s1 = bench.leader("S1", 1);
      fill(s1, 6);
      if (how === "missing") bench.table("S1").execute({ verb: "drop", key: chunkKey(1) } as Verb);
      else
        bench
          .table("S1")
          .set(chunkKey(1), { kind: "content", content: { text: "damaged", digest: "other" } });
      const s3 = bench.server("S3", 2);
      s3.exchange();
      expect(s3.abdication).toEqual({ why: "damaged", acceptor: "S1", detail: `chunk 1 is ${how}` });
      expect(s3.executed).toEqual([]);
      s3.distrusted.add("S1" as AcceptorId);
      const again = bench.leader("S3", 3, s3);
      expect(again.replica.state).toEqual(namesOf(1, 6));
    },
  );

  it("turns to the other tables when the one with the highest Head fails before all is learnt from it", () => {
    const s1 = bench.leader("S1", 1);
    s1.propose(...namesOf(1, 4));
    s1.exchange(saying("vote"));
    s1.exchange(to("S1"));
    s1.exchange(to("S2", "S3"), saying("put"));
    expect(["S1", "S2", "S3"].map((of) => bench.table(of).head?.covered)).toEqual([4, 0, 0]);
    const s3 = bench.server("S3", 2);
    s3.exchange(saying("promise"));
    expect(s3.requests.map(({ of, verbs }) => [of, verbs[0]?.key.kind])).toEqual([["S1", "chunk"]]);
    for (let attempt = 0; attempt < 20; attempt++) {
      s3.lose(to("S1"));
      s3.exchange(to("S2", "S3"));
      s3.resend();
    }
    expect(s3.abdication).toBeUndefined();
    expect(s3.leader.serving).toBe(true);
    expect(s3.replica.state).toEqual(namesOf(1, 4));
    expectAgreement(bench);
  });

  /** A server that has found these damaged. */
  function distrusting(name: string, round: number, ...acceptors: readonly string[]): Server {
    const first = bench.server(name, round);
    for (const acceptor of acceptors) first.distrusted.add(acceptor as AcceptorId);
    return bench.server(name, round + 1, first);
  }

  it("asks a distrusted acceptor nothing, and counts it neither for quorums nor under rule U", () => {
    fill(bench.leader("S1", 1), 4);
    const s2 = distrusting("S2", 2, "S1");
    expect(s2.requests.map(({ of }) => of)).toEqual(["S2", "S3"]);
    s2.exchange(saying("promise"), to("S2", "S3"));
    s2.exchange(to("S2", "S3"));
    let proposed = 0;
    for (; s2.leader.admits && proposed < 100; proposed++) {
      s2.propose("Y");
      s2.exchange(saying("vote"));
    }
    // Nothing is archived meanwhile, and S1's Head, whatever it says, admits no further slot.
    expect(proposed).toBe(K);
    expect(s2.requests.every(({ of }) => of !== "S1")).toBe(true);
    s2.exchange();
    expect(s2.leader.admits).toBe(true);
  });

  it("gives up when too many are distrusted or lost, instead of waiting for ever", () => {
    expect(distrusting("S3", 1, "S1", "S2").abdication).toEqual({ why: "noQuorum", lost: ["S1", "S2"] });
    const s3 = distrusting("S3", 3, "S1");
    bench.table("S2").isLost = true;
    s3.exchange(to("S2"));
    expect(s3.abdication).toEqual({ why: "noQuorum", lost: ["S1", "S2"] });
  });

  it("distrusts an acceptor whose vote is damaged, rather than vote what nobody proposed", () => {
    const s1 = bench.leader("S1", 1);
    s1.propose("X");
    s1.exchange(saying("vote"), to("S1", "S2"));
    const key = { kind: "cell", configuration: CONFIGURATION, lane: 1 + (1 % K) } as CellKey;
    const cell = bench.table("S1").execute({ verb: "read", key }) as { item: Cell };
    const vote = cell.item.vote as NonNullable<Cell["vote"]>;
    bench
      .table("S1")
      .set(key, { ...cell.item, vote: { ...vote, value: { ...vote.value, text: "damaged" } } });
    const s3 = bench.server("S3", 2);
    s3.exchange(to("S1", "S3"));
    expect(s3.abdication).toEqual({
      why: "damaged",
      acceptor: "S1",
      detail: "the vote for slot 1 is damaged",
    });
    s3.distrusted.add("S1" as AcceptorId);
    expect(bench.leader("S3", 3, s3).executed).toEqual(["1: X"]);
  });
});

describe("H > S + K: the Heads were read before the promises (§4 step 3)", () => {
  /** S3 has read old Heads; then others archived on and voted further; then its promises come in. */
  function raced(hasFollowed = false): Server {
    const s1 = bench.leader("S1", 1);
    const s3 = bench.server("S3", 2, hasFollowed ? s1 : undefined);
    const [early] = s3.requests.splice(0, 1);
    const [second] = s3.requests.splice(0, 1);
    if (early === undefined || second === undefined) throw new Error("nothing was asked");
    const answers = [early, second].map((ask) => ({
      ask,
      head: bench.table(ask.of).execute({ verb: "read", key: HEAD }),
    }));
    fill(s1, 9);
    for (const { ask, head } of answers) {
      const outcomes = ask.verbs.map((verb) =>
        verb.verb === "read" ? head : bench.table(ask.of).execute(verb),
      );
      s3.step({ input: "outcome", request: ask.request, outcomes });
    }
    return s3;
  }

  it("the Heads are read again, once, and the promise replies stay", () => {
    const s3 = raced();
    const again = s3.requests.filter((ask) =>
      ask.verbs.every(({ verb, key }) => verb === "read" && key === HEAD),
    );
    expect(again.map(({ of }) => of)).toEqual(["S1", "S2", "S3"]);
    expect(effects(s3)).toEqual([]);
    s3.exchange();
    expect(s3.executed).toEqual(namesOf(1, 9).map((name, index) => `${index + 1}: ${name}`));
    expect(s3.leader.serving).toBe(true);
    expectAgreement(bench);
  });

  it("they are not if the own replica has followed: S is what is applied here", () => {
    const s3 = raced(true);
    expect([s3.requests.filter(saying("read", "head")).map(({ of }) => of), s3.leader.serving]).toEqual([
      ["S3"],
      true,
    ]);
    expect([s3.leader.next, s3.executed]).toEqual([10, []]);
  });

  it("is an alarm if it is so even then (invariant 7)", () => {
    plant("S1", K + 1, 1, "too far");
    const s3 = bench.server("S3", 2);
    s3.exchange(saying("promise"), to("S1", "S2"));
    expect(effects(s3)).toEqual([]);
    s3.exchange(saying("read", "head"));
    expect(s3.abdication).toEqual({
      why: "alarm",
      alarm: { invariant: 7, detail: `a vote for slot ${K + 1} is more than K above the Heads' 0` },
    });
    expect(s3.executed).toEqual([]);
  });

  it("is none at S + K", () => {
    plant("S1", K, 1, "far");
    const s3 = bench.leader("S3", 2);
    expect(s3.executed).toEqual(["1: no-op", "2: no-op", "3: no-op", "4: far"]);
  });

  it("gives up when too many are lost meanwhile, instead of waiting for ever", () => {
    const s3 = raced();
    for (const of of ["S1", "S2"]) bench.table(of).isLost = true;
    s3.exchange();
    expect(s3.abdication).toEqual({ why: "noQuorum", lost: ["S1", "S2"] });
  });

  it("asks again for a Head whose reading is unknown", () => {
    const s3 = raced();
    s3.lose(saying("read", "head"));
    s3.resend();
    s3.exchange();
    expect(s3.leader.serving).toBe(true);
  });
});

describe("a vote is refused (§4)", () => {
  let s1: Server;
  beforeEach(() => {
    s1 = bench.leader("S1", 1);
  });

  it("by a higher promise: fenced", () => {
    s1.propose("X1");
    bench.table("S2").execute({ verb: "promise", key: cellKey(1), ballot: ballot(4) });
    s1.exchange(to("S2"));
    expect(s1.abdication).toEqual({ why: "fenced", by: ballot(4) });
    s1.exchange();
    expect(s1.executed).toEqual([]);
  });

  it("by a higher promise although the slot is chosen already: fenced all the same", () => {
    s1.propose("X1");
    s1.exchange(to("S1", "S2"));
    bench.table("S3").execute({ verb: "promise", key: cellKey(1), ballot: ballot(4) });
    s1.exchange(to("S3"));
    expect([s1.executed, s1.abdication]).toEqual([["1: X1"], { why: "fenced", by: ballot(4) }]);
  });

  /** Slot 5 stands in slot 1's cell, at the leader's own promise: only a stale leader can meet that. */
  function overtake(of: string): void {
    const value = hashed(batchOf(s1.ballot, "X5"));
    const verb: Verb = { verb: "vote", key: cellKey(5), ballot: s1.ballot, slot: 5 as Slot, value };
    bench.table(of).execute(verb);
  }

  it("by a later slot, and its own is not chosen: overtaken, and it is no ack", () => {
    s1.propose("X1");
    overtake("S2");
    s1.exchange(to("S2"));
    expect(s1.abdication).toEqual({ why: "overtaken", slot: 1 });
    s1.exchange();
    expect(s1.executed).toEqual([]);
  });

  it("by a later slot, and its own is chosen: ignored", () => {
    s1.propose("X1");
    s1.exchange(to("S1", "S2"));
    overtake("S3");
    s1.exchange(to("S3"));
    expect([s1.abdication, s1.leader.serving]).toEqual([undefined, true]);
  });

  it("by a later slot when its own is chosen and not executed yet: ignored too", () => {
    s1.propose("X1", "X2");
    s1.exchange(votingIn(2), to("S1", "S2"));
    const value = hashed(batchOf(s1.ballot, "X6"));
    bench.table("S3").execute({ verb: "vote", key: cellKey(6), ballot: s1.ballot, slot: 6 as Slot, value });
    s1.exchange(votingIn(2), to("S3"));
    expect([s1.abdication, s1.executed]).toEqual([undefined, []]);
  });

  it("by another value of the same slot and ballot: an alarm (invariant 2)", () => {
    s1.propose("X1");
    const value = hashed(batchOf(s1.ballot, "twin"));
    bench.table("S2").execute({ verb: "vote", key: cellKey(1), ballot: s1.ballot, slot: 1 as Slot, value });
    s1.exchange(to("S2"));
    expect(s1.abdication).toEqual({
      why: "alarm",
      alarm: { invariant: 2, detail: "S2 holds another value for slot 1 in this very ballot" },
    });
  });

  it("by nothing: the acceptor is lost, and two of three are too many", () => {
    s1.propose("X1");
    bench.table("S2").isLost = true;
    s1.exchange(to("S2"));
    expect([s1.lost, s1.leader.serving]).toEqual([["S2"], true]);
    bench.table("S3").items.clear();
    s1.exchange(to("S3"));
    expect(s1.abdication).toEqual({ why: "noQuorum", lost: ["S2", "S3"] });
  });

  it("never, by its own vote said twice: one ack", () => {
    s1.propose("X1");
    s1.arrive(to("S2"));
    s1.lose(to("S2"));
    s1.resend();
    s1.exchange(to("S2"));
    expect([s1.executed, s1.abdication]).toEqual([[], undefined]);
    s1.exchange(to("S3"));
    expect(s1.executed).toEqual(["1: X1"]);
  });

  it("and what it resends is the identical verb", () => {
    s1.propose("X1");
    const before = s1.requests.map(({ verbs }) => verbs[0]);
    s1.lose();
    s1.resend();
    expect(s1.requests.map(({ verbs }) => verbs[0])).toEqual(before);
    s1.requests.forEach(({ verbs }, index) => {
      expect(verbs[0]).toBe(before[index]);
    });
  });
});

describe("rule U (invariant 7): slot j is voted only if", () => {
  it("j − K is applied here", () => {
    const s1 = bench.leader("S1", 1);
    for (let slot = 1; slot <= K; slot++) {
      expect(s1.leader.admits).toBe(true);
      s1.propose(`X${slot}`);
    }
    expect([s1.leader.admits, s1.leader.inFlight]).toEqual([false, K]);
    expect(() => s1.propose("X5")).toThrow("slot 5 is not admitted");
    expect(s1.leader.next).toBe(5);
    // Chosen in whatever order: the window moves by what is executed.
    for (const slot of [2, 3, 4]) s1.exchange(votingIn(slot));
    expect([s1.leader.admits, s1.leader.applied]).toEqual([false, 0]);
    s1.exchange();
    expect([s1.leader.admits, s1.leader.inFlight, s1.leader.applied]).toEqual([true, 0, 4]);
  });

  it("and full acceptors known to have a Head ≥ j − K meet every read quorum", () => {
    const s1 = bench.leader("S1", 1);
    s1.propose(...namesOf(1, K));
    s1.exchange(saying("vote"));
    expect([s1.leader.applied, s1.leader.admits]).toEqual([K, false]);
    s1.exchange(to("S1"));
    expect([bench.table("S1").head?.covered, s1.leader.admits]).toEqual([4, false]);
    s1.arrive(to("S3"));
    s1.receive(to("S3"));
    s1.arrive(to("S3"));
    // S3's Head stands, and the leader does not know it yet.
    expect([bench.table("S3").head?.covered, s1.leader.admits]).toEqual([2, false]);
    s1.receive(to("S3"));
    expect(s1.leader.admits).toBe(true);
    s1.propose("X5", "X6");
    expect(s1.leader.admits).toBe(false);
    s1.exchange(to("S3"));
    s1.exchange(to("S1"));
    expect(s1.leader.admits).toBe(true);
    s1.exchange();
    expectAgreement(bench);
  });

  it("from slot K on, only once the Heads of so many are known", () => {
    const quorums = { ...majority(acceptors("S1", "S2", "S3")), read: { atLeast: 1 }, write: { atLeast: 3 } };
    bench = new Bench({ geometry: GEOMETRY, quorums });
    const s1 = bench.server("S1", 1);
    s1.exchange(to("S2"));
    // The first K − 1 slots are in cells where nothing was voted.
    s1.propose(...namesOf(1, K - 1));
    expect([s1.leader.serving, s1.leader.admits]).toEqual([true, false]);
    s1.exchange(saying("promise"), to("S1"));
    expect(s1.leader.admits).toBe(false);
    s1.exchange(saying("promise"), to("S3"));
    expect(s1.leader.admits).toBe(true);
  });

  it("so that whoever recovers finds every slot: any read quorum of tables, at any moment", () => {
    const s1 = bench.leader("S1", 1);
    for (let slot = 1; slot <= 20; slot++) {
      if (!s1.leader.admits) s1.exchange();
      s1.propose(`X${slot}`);
      s1.exchange(saying("vote"), to("S1", "S2"));
      s1.exchange(to("S2"));
      s1.lose(votingIn(slot));
    }
    for (const [round, heard] of [
      [2, ["S1", "S3"]],
      [3, ["S2", "S3"]],
      [4, ["S1", "S2"]],
    ] as const) {
      const next = bench.server("S4", round);
      next.exchange(to(...heard));
      expect(next.replica.state).toEqual(namesOf(1, 20));
    }
  });
});

describe("serving", () => {
  it("executes in slot order what is chosen in any order, and the log keeps it", () => {
    const s1 = bench.leader("S1", 1);
    s1.propose(...namesOf(1, 4));
    s1.exchange(votingIn(4));
    s1.exchange(votingIn(2));
    s1.exchange(votingIn(1));
    expect(s1.executed).toEqual(["1: X1", "2: X2"]);
    s1.exchange(votingIn(3));
    expect(s1.executed).toEqual(["1: X1", "2: X2", "3: X3", "4: X4"]);
    expect([s1.log.last, s1.leader.applied]).toEqual([4, 4]);
  });

  it("logs several commands in one slot, and the time that it was given", () => {
    const s1 = bench.leader("S1", 1);
    s1.step({ input: "propose", commands: ['{"command":"a"}', '{"command":"b"}'], time: 7 });
    s1.exchange();
    expect(s1.told.at(-1)).toEqual({
      effect: "execute",
      slot: 1,
      text: `{"format":1,"ballot":"${s1.ballot}","time":7,"commands":[{"command":"a"},{"command":"b"}]}`,
    });
    expect(s1.answers).toHaveLength(2);
  });

  it("answers a read with what was executed before: the effects are in that order", () => {
    const s1 = bench.leader("S1", 1);
    s1.propose("X1");
    s1.read(1);
    s1.exchange(saying("vote"));
    s1.exchange(saying("read"));
    expect(effects(s1)).toEqual(["serve", "execute", "answerReads"]);
  });

  it("stops when it is told to: nothing of what comes later is taken", () => {
    const s1 = bench.leader("S1", 1);
    s1.propose("X1");
    s1.read(1);
    s1.step({ input: "stop" });
    expect(s1.told.at(-1)).toEqual({ effect: "abdicate", abdication: { why: "stopped" } });
    s1.exchange();
    s1.step({ input: "stop" });
    expect([s1.executed, s1.answeredReads, effects(s1)]).toEqual([[], [], ["serve", "abdicate"]]);
    expect([s1.leader.serving, s1.leader.admits]).toEqual([false, false]);
  });

  it("stops with an alarm when a chunk holds other values (invariant 6)", () => {
    const s1 = bench.leader("S1", 1);
    bench.table("S2").set(chunkKey(0), { kind: "content", content: hashed("other values") });
    s1.propose("X1", "X2");
    s1.exchange();
    expect(s1.abdication).toMatchObject({ why: "alarm", alarm: { invariant: 6 } });
  });

  it("archives only what is executed, on the tables whose Heads it knows, and raises what lags", () => {
    const s1 = bench.leader("S1", 1);
    fill(s1, 10, "S1", "S2");
    expect(bench.table("S3").head?.covered).toBe(0);
    s1.exchange();
    expect(["S1", "S2", "S3"].map((of) => bench.table(of).head?.covered)).toEqual([10, 10, 10]);
    expect(bench.table("S3").read(chunkKey(4))).toEqual(bench.table("S1").read(chunkKey(4)));
    expect(bench.table("S1").set(HEAD, headOf(0))).toBeUndefined();
  });

  it("copies for a table that lags far behind, even if another that had it is lost by then", () => {
    const s1 = bench.leader("S1", 1);
    fill(s1, 40, "S1", "S2");
    bench.table("S1").isLost = true;
    s1.exchange();
    expect(bench.table("S3").head?.covered).toBe(40);
    expect([s1.leader.serving, s1.leader.admits]).toEqual([true, true]);
  });

  it("copies for a table that lags far behind, even if another that had it cannot be reached", () => {
    const s1 = bench.leader("S1", 1);
    fill(s1, 40, "S1", "S2");
    for (let attempt = 0; attempt < 100; attempt++) {
      s1.exchange(to("S2", "S3"));
      s1.lose(to("S1"));
      s1.resend();
    }
    expect(bench.table("S3").head?.covered).toBe(40);
    expect(s1.leader.admits).toBe(true);
  });
});
