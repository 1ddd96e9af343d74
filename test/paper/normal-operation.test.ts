/** Slides "A Typical Non-Byzantine State-Machine Implementation", up to "Suppose S2 fails". */
import { beforeEach, describe, expect, it } from "vitest";
import { majority, QuorumSystem } from "../../shared/protocol/quorum.ts";
import { acceptors, Bench, expectAgreement, type Server, to, votingIn } from "./support.ts";

let bench: Bench;
/** "One server chosen to be leader." */
let leader: Server;

beforeEach(() => {
  bench = new Bench();
  leader = bench.leader("S2", 2);
});

describe('"To tolerate 1 failure, need 3 servers"', () => {
  it.each([1, 2, 3, 4, 5, 6, 7])("%d servers tolerate as many failures as leave a majority", (count) => {
    const all = acceptors(...Array.from({ length: count }, (_, index) => `S${index + 1}`));
    const quorums = new QuorumSystem(majority(all));
    const tolerated = all.findLastIndex((_, index) => quorums.canWriteWithout(new Set(all.slice(0, index))));
    expect(tolerated).toBe(Math.floor((count - 1) / 2));
  });

  it.each(["S1", "S2", "S3"])("of 3, %s may fail", (failed) => {
    leader.propose("B1");
    leader.lose(to(failed));
    leader.exchange();
    expect(leader.executed).toEqual(["1: B1"]);
  });

  it.each(["S1", "S2"])("of 2, %s may not", (failed) => {
    bench = new Bench({ quorums: majority(acceptors("S1", "S2")) });
    leader = bench.leader("S2", 2);
    leader.propose("B1");
    leader.lose(to(failed));
    leader.exchange();
    expect(leader.executed).toEqual([]);
    expect(bench.chosen(1)).toEqual([]);
  });
});

describe("Bob's B1", () => {
  it('"Leader assigns number 1 to command and sends to servers"', () => {
    expect(leader.leader.next).toBe(1);
    leader.propose("B1");
    expect(leader.requests.map(({ of, verbs }) => [of, verbs])).toEqual(
      ["S1", "S2", "S3"].map((of) => [
        of,
        [expect.objectContaining({ verb: "vote", slot: 1, ballot: leader.ballot })],
      ]),
    );
    expect(leader.leader.next).toBe(2);
  });

  it('"Servers remember 1: B1 and ack"', () => {
    leader.propose("B1");
    leader.arrive();
    expect(bench.standing(1)).toEqual({ S1: "2: B1", S2: "2: B1", S3: "2: B1" });
    expect(leader.replies.map(({ outcomes }) => outcomes)).toEqual(Array(3).fill([{ outcome: "applied" }]));
  });

  it('"Server knows B1 chosen as command 1", and only then "Sends response obtained by executing B1"', () => {
    leader.propose("B1");
    leader.exchange(to("S1"));
    expect([leader.executed, leader.answers]).toEqual([[], []]);
    leader.arrive(to("S2"));
    expect(bench.chosen(1)).toEqual(["B1"]);
    expect([leader.executed, leader.answers]).toEqual([[], []]);
    leader.receive(to("S2"));
    expect(leader.executed).toEqual(["1: B1"]);
    expect(leader.answers).toEqual([{ reply: "response", slot: 1, response: "1" }]);
  });

  it('"1-fault tolerance means leader needs only 1 ack": besides its own; a leader that is no acceptor needs two of three', () => {
    // The slide's leader is one of the three servers and accepts what it sends. Ours keeps nothing: the
    // table S2 stands for the leader's own memory, and one more ack is enough.
    leader.propose("B1");
    leader.exchange(to("S2"));
    expect(leader.executed).toEqual([]);
    leader.exchange(to("S3"));
    expect(leader.executed).toEqual(["1: B1"]);
  });
});

describe("B2 is chosen before A1", () => {
  beforeEach(() => {
    leader.propose("B1");
    leader.exchange();
    leader.told.length = 0;
    leader.answers.length = 0;
    leader.propose("A1", "B2");
  });

  it('"Leader assigns command number 2 to A1", "… number 3 to B2", without waiting for anybody', () => {
    expect(leader.requests.filter(votingIn(2))).toHaveLength(3);
    expect(leader.requests.filter(votingIn(3))).toHaveLength(3);
    leader.arrive();
    expect([bench.standing(2).S1, bench.standing(3).S1]).toEqual(["2: A1", "2: B2"]);
  });

  it("is executed 1, 2, 3 although it is chosen 1, 3, 2, and answered only then", () => {
    // "S3 acks 3: B2. Leader receives 3: B2 and knows it is chosen."
    leader.exchange(votingIn(3), to("S2", "S3"));
    expect(bench.chosen(3)).toEqual(["B2"]);
    expect(bench.chosen(2)).toEqual([]);
    expect([leader.executed, leader.answers]).toEqual([[], []]);
    // "S1 receives 2: A1 and acks it. Leader receives ack and knows A1 chosen as command 2."
    leader.exchange(votingIn(2), to("S2", "S1"));
    expect(leader.executed).toEqual(["2: A1", "3: B2"]);
    expect(leader.answers).toMatchObject([
      { slot: 2, response: "2" },
      { slot: 3, response: "3" },
    ]);
  });

  it('"The remaining messages are redundant. They will be acked if received, but acks are ignored"', () => {
    leader.exchange(votingIn(3), to("S2", "S3"));
    leader.exchange(votingIn(2), to("S2", "S1"));
    const told = leader.told.length;
    expect(leader.requests.map((ask) => ask.of)).toEqual(["S3", "S1"]);
    expect(leader.arrive()).toBe(2);
    expect(leader.replies.map(({ outcomes }) => outcomes)).toEqual(Array(2).fill([{ outcome: "applied" }]));
    leader.receive();
    expect(leader.told).toHaveLength(told);
    expect([leader.requests, leader.retries]).toEqual([[], []]);
    expectAgreement(bench);
  });

  it("needs none of the remaining messages: they are not even sent again", () => {
    leader.exchange(votingIn(3), to("S2", "S3"));
    leader.exchange(votingIn(2), to("S2", "S1"));
    leader.lose();
    leader.resend();
    expect(leader.requests).toEqual([]);
    leader.propose("C1");
    leader.exchange(to("S1", "S3"));
    expect(leader.executed).toEqual(["2: A1", "3: B2", "4: C1"]);
  });
});
