/** Slides "Suppose S2 fails" to "The system can no longer tolerate the failure of a server", and "For asynchronous systems". */
import { beforeEach, describe, expect, it } from "vitest";
import { Bench, expectAgreement, type Server, to, votingIn } from "./support.ts";

let bench: Bench;
let s2: Server;

beforeEach(() => {
  bench = new Bench();
  s2 = bench.leader("S2", 2);
  s2.propose("B1", "A1", "B2");
  s2.exchange(votingIn(1));
  s2.exchange(votingIn(3), to("S2", "S3"));
  s2.exchange(votingIn(2), to("S2", "S1"));
});

/** "A new leader is chosen": S3, in ballot 3, hearing from the servers that are left. */
function electS3(...reachable: readonly string[]): Server {
  const s3 = bench.server("S3", 3);
  s3.exchange(to(...reachable));
  return s3;
}

describe('"Suppose S2 fails"', () => {
  it('"New leader learns what other servers have done": everything chosen, each command under its number', () => {
    const s3 = electS3("S1", "S3");
    expect(s3.executed).toEqual(["1: B1", "2: A1", "3: B2"]);
    expect(s3.replica.state).toEqual(["B1", "A1", "B2"]);
    expect([1, 2, 3].map((slot) => bench.standing(slot))).toMatchObject([
      { S1: "3: B1", S3: "3: B1" },
      { S1: "3: A1", S3: "3: A1" },
      { S1: "3: B2", S3: "3: B2" },
    ]);
  });

  it('"System can now resume normal operation": not before, and with the next number', () => {
    const s3 = bench.server("S3", 3);
    s3.exchange(to("S1"));
    expect(s3.leader.serving).toBe(false);
    s3.exchange(to("S1", "S3"));
    expect(s3.leader.serving).toBe(true);
    expect(s3.leader.next).toBe(4);
    s3.propose("D1");
    s3.exchange(to("S1", "S3"));
    expect(s3.executed.at(-1)).toBe("4: D1");
    expectAgreement(bench);
  });

  it("serves only after the last command that it learnt is executed", () => {
    const s3 = bench.server("S3", 3);
    s3.arrive(to("S1", "S3"));
    s3.receive();
    expect(s3.requests.filter(votingIn(3))).toHaveLength(3);
    s3.exchange(votingIn(1), to("S1", "S3"));
    s3.exchange(votingIn(3), to("S1", "S3"));
    expect([s3.executed, s3.leader.serving]).toEqual([["1: B1"], false]);
    s3.exchange(votingIn(2), to("S1", "S3"));
    expect(s3.told.map((effect) => effect.effect)).toEqual(["execute", "execute", "execute", "serve"]);
  });

  it('"The system can no longer tolerate the failure of a server"', () => {
    const s3 = electS3("S1", "S3");
    s3.propose("D1");
    s3.exchange(to("S3"));
    s3.lose();
    s3.resend();
    s3.exchange(to("S3"));
    expect(bench.chosen(4)).toEqual([]);
    expect(s3.executed).toHaveLength(3);
  });
});

describe("a command that S2 proposed before it failed", () => {
  // "S2 proposes C1 in ballot 2 of command 4." The slide's cases, and every other: who had voted for C1,
  // and from which majority S3 heard.
  const subsets = [[], ["S1"], ["S2"], ["S3"], ["S1", "S2"], ["S1", "S3"], ["S2", "S3"], ["S1", "S2", "S3"]];
  const majorities = subsets.filter((subset) => subset.length === 2);
  const cases = subsets.flatMap((voters) => majorities.map((heard) => ({ voters, heard })));

  it.each(cases)("C1 with the votes of $voters, S3 hears from $heard", ({ voters, heard }) => {
    s2.propose("C1");
    s2.arrive(votingIn(4), to(...voters));
    const wasChosen = voters.length >= 2;
    expect(bench.chosen(4)).toEqual(wasChosen ? ["C1"] : []);
    const s3 = electS3(...heard);
    const isSeen = voters.some((voter) => heard.includes(voter));
    if (isSeen) {
      // It may have been chosen, as far as S3 can tell: "it proposes C in ballot b".
      expect(s3.executed.at(-1)).toBe("4: C1");
      expect(s3.leader.next).toBe(5);
    } else {
      // "S3 proposes D1 in ballot 3 of command 4. D1 chosen in ballot 3 of command 4."
      expect(wasChosen).toBe(false);
      s3.propose("D1");
      s3.exchange(to(...heard));
      expect(s3.executed.at(-1)).toBe("4: D1");
    }
    // Messages of ballot 2 that were still on the way.
    s2.exchange();
    expect(bench.chosen(4)).toEqual([isSeen ? "C1" : "D1"]);
    expectAgreement(bench);
  });

  it("is chosen again by every later leader once it was chosen, whoever of the others has failed", () => {
    s2.propose("C1");
    s2.arrive(votingIn(4), to("S1", "S2"));
    for (const [round, heard] of [
      [3, ["S2", "S3"]],
      [4, ["S1", "S3"]],
      [5, ["S1", "S2"]],
    ] as const) {
      const next = bench.server(`S${round}`, round);
      next.exchange(to(...heard));
      expect(next.executed).toEqual(["1: B1", "2: A1", "3: B2", "4: C1"]);
    }
    expectAgreement(bench);
  });

  it("leaves a gap that a new leader closes with a no-op, when a later one was voted", () => {
    s2.propose("C1", "C2");
    s2.arrive(votingIn(5), to("S1"));
    const s3 = electS3("S1", "S3");
    expect(s3.executed.slice(3)).toEqual(["4: no-op", "5: C2"]);
    expect(s3.replica.state).toEqual(["B1", "A1", "B2", "C2"]);
  });
});

describe("a deposed leader changes nothing", () => {
  it("by messages that were on the way when it was deposed", () => {
    s2.propose("C1", "C2");
    s2.read(1);
    const s3 = electS3("S1", "S3");
    s3.propose("D1");
    s3.exchange();
    const before = bench.contents;
    s2.arrive();
    expect(bench.contents).toEqual(before);
    const outcomes = s2.replies.flatMap(
      ({ ask, outcomes }) => `${ask.verbs[0]?.verb} ${outcomes[0]?.outcome}`,
    );
    // C1 and C2 three times each, A1 and B2 once each: the redundant messages of the slides.
    expect(outcomes.filter((each) => each === "vote refused")).toHaveLength(8);
    expect(outcomes.filter((each) => each === "read applied")).toHaveLength(3);
    expect(outcomes).toHaveLength(11);
    const { length } = s2.told;
    s2.receive();
    expect(s2.told.slice(length)).toEqual([
      { effect: "abdicate", abdication: { why: "fenced", by: s3.ballot } },
    ]);
    expect(s2.answers).toHaveLength(3);
    expectAgreement(bench);
  });

  it("nor does it answer a read from its old state", () => {
    const s3 = electS3("S1", "S3");
    s3.propose("D1");
    s3.exchange(to("S1", "S3"));
    s2.read(1);
    s2.exchange();
    expect(s2.answeredReads).toEqual([]);
    expect(s2.abdication).toEqual({ why: "fenced", by: s3.ballot });
  });

  it("by anything that it is told or asked afterwards", () => {
    electS3("S1", "S3");
    s2.propose("C1");
    s2.exchange();
    expect(s2.abdication).toMatchObject({ why: "fenced" });
    expect(s2.leader.step({ input: "propose", commands: ['{"command":"C2"}'], time: 0 })).toEqual([]);
    expect(s2.leader.step({ input: "lead" })).toEqual([]);
    expect([s2.leader.serving, s2.leader.admits]).toEqual([false, false]);
  });
});

describe('"For asynchronous systems: Always maintain consistency. Achieve progress when synchronous"', () => {
  it("chooses nothing while a majority cannot be reached, however often it asks, and goes on when it can", () => {
    s2.propose("C1");
    for (let attempt = 0; attempt < 20; attempt++) {
      s2.exchange(to("S1"));
      s2.lose();
      s2.resend();
      expect(bench.chosen(4)).toEqual([]);
    }
    s2.exchange();
    expect(s2.executed.at(-1)).toBe("4: C1");
  });

  it("lets two leaders depose each other for ever without harm, and one go on when the other stays away", () => {
    let last = s2;
    for (let round = 3; round < 30; round++) {
      last.propose(`X${round}`);
      const next = bench.leader(round % 2 === 0 ? "S2" : "S3", round);
      last.exchange();
      expect(last.abdication).toEqual({ why: "fenced", by: next.ballot });
      expectAgreement(bench);
      last = next;
    }
    last.propose("Y");
    last.exchange();
    expect(last.executed.at(-1)).toMatch(/^\d+: Y$/);
    expectAgreement(bench);
  });
});
