import { beforeEach, describe, expect, it } from "vitest";
import { FIRST_HEAD, GONE, UNKNOWN } from "../../shared/protocol/acceptor.ts";
import { birthBallot } from "../../shared/protocol/ballot.ts";
import { Founding, type FoundingEffect, type FoundingInput } from "../../shared/protocol/founding.ts";
import type { AcceptorId, QuorumSpec } from "../../shared/protocol/quorum.ts";
import type { Ask, RequestId } from "../../shared/protocol/requests.ts";
import { acceptors, Bench, CONFIGURATION } from "../paper/support.ts";

const GEOMETRY = { lanes: 2, chunkSlots: 1 };
let bench: Bench;
beforeEach(() => {
  bench = new Bench({ geometry: GEOMETRY, isFounded: false });
});

class Founder {
  readonly founding = new Founding(bench.configuration, GEOMETRY);
  asks: Ask[] = [];
  retries: RequestId[] = [];
  told: FoundingEffect[] = [];

  constructor() {
    this.step({ input: "found" });
  }

  step(input: FoundingInput): void {
    for (const effect of this.founding.step(input))
      if (effect.effect === "ask") this.asks.push(effect);
      else if (effect.effect === "retry") this.retries.push(effect.request);
      else this.told.push(effect);
  }

  /** What was asked of this table happens, and is answered so. */
  answer(of: string, how: "executed" | "gone" | "unknown" | "half"): void {
    const ask = this.asks.find((each) => each.of === of);
    if (ask === undefined) return;
    this.asks = this.asks.filter((each) => each !== ask);
    const outcomes = ask.verbs.map((verb, index) => {
      if (how === "gone") return GONE;
      if (how === "unknown" || (how === "half" && index % 2 === 1)) return UNKNOWN;
      return bench.table(of).execute(verb);
    });
    this.step({ input: "outcome", request: ask.request, outcomes });
  }

  resend(): void {
    for (const request of this.retries.splice(0)) this.step({ input: "resend", request });
  }
}

const FOUNDED_CELL = { kind: "cell", promised: birthBallot(CONFIGURATION), slot: 0 };
const FOUNDED_TABLE = { "C#1#0": FOUNDED_CELL, "C#1#1": FOUNDED_CELL, "C#1#2": FOUNDED_CELL, H: FIRST_HEAD };

describe("founding", () => {
  it("makes every cell and the Head on every acceptor, and then is over", () => {
    const founder = new Founder();
    expect(founder.asks.map(({ of }) => of)).toEqual(["S1", "S2", "S3"]);
    founder.answer("S1", "executed");
    founder.answer("S2", "executed");
    expect(founder.told).toEqual([]);
    founder.answer("S3", "executed");
    expect(founder.told).toEqual([{ effect: "founded", on: ["S1", "S2", "S3"] }]);
    expect(bench.contents).toEqual({ S1: FOUNDED_TABLE, S2: FOUNDED_TABLE, S3: FOUNDED_TABLE });
    founder.step({ input: "hurry" });
    founder.step({ input: "found" });
    expect([founder.told.length, founder.asks]).toEqual([1, []]);
  });

  it("makes no Head on a witness", () => {
    const quorums: QuorumSpec = { ...bench.configuration.quorums, witnesses: acceptors("S3") };
    bench = new Bench({ geometry: GEOMETRY, isFounded: false, quorums });
    const founder = new Founder();
    for (const of of ["S1", "S2", "S3"]) founder.answer(of, "executed");
    const { H: _, ...cells } = FOUNDED_TABLE;
    expect(bench.contents).toEqual({ S1: FOUNDED_TABLE, S2: FOUNDED_TABLE, S3: cells });
  });

  it("is idempotent: what stands there stays", () => {
    bench.found();
    bench.leader("S1", 1).propose("B1");
    const before = bench.contents;
    const again = new Founder();
    for (const of of ["S1", "S2", "S3"]) again.answer(of, "executed");
    expect(again.told).toEqual([{ effect: "founded", on: ["S1", "S2", "S3"] }]);
    expect(bench.contents).toEqual(before);
  });

  it("may be done by two at once, each for a part: both are right when all is made", () => {
    const [one, other] = [new Founder(), new Founder()];
    one.answer("S1", "executed");
    other.answer("S1", "half");
    other.answer("S2", "executed");
    one.answer("S2", "half");
    one.answer("S3", "half");
    other.answer("S3", "executed");
    expect([one.told, other.told]).toEqual([[], []]);
    one.resend();
    for (const of of ["S2", "S3"]) one.answer(of, "executed");
    expect(one.told).toEqual([{ effect: "founded", on: expect.arrayContaining(["S1", "S2", "S3"]) }]);
    other.resend();
    other.answer("S1", "executed");
    expect(other.told).toEqual([{ effect: "founded", on: expect.arrayContaining(["S1", "S2", "S3"]) }]);
    expect(bench.contents).toEqual({ S1: FOUNDED_TABLE, S2: FOUNDED_TABLE, S3: FOUNDED_TABLE });
  });

  it("asks again for what is unknown, and for that only", () => {
    const founder = new Founder();
    founder.answer("S1", "half");
    founder.resend();
    expect(founder.asks.find(({ of }) => of === "S1")?.verbs).toEqual([
      { verb: "create", key: { kind: "cell", configuration: 1, lane: 1 } },
      { verb: "create", key: { kind: "head" } },
    ]);
  });
});

describe("an acceptor that is lost", () => {
  it("is left behind when quorums of both kinds are made", () => {
    const founder = new Founder();
    founder.answer("S2", "gone");
    founder.answer("S1", "executed");
    expect(founder.told).toEqual([]);
    founder.answer("S3", "executed");
    expect(founder.told).toEqual([{ effect: "founded", on: ["S1", "S3"] }]);
  });

  it("and another: it cannot be founded", () => {
    const founder = new Founder();
    founder.answer("S2", "gone");
    founder.answer("S3", "gone");
    expect(founder.told).toEqual([]);
    founder.answer("S1", "executed");
    expect(founder.told).toEqual([{ effect: "cannotFound", lost: ["S2", "S3"] }]);
    founder.step({ input: "hurry" });
    expect(founder.told).toHaveLength(1);
  });

  it("is not one that only half refused: it is not counted as made", () => {
    const founder = new Founder();
    const ask = founder.asks.find(({ of }) => of === "S1") as Ask;
    const outcomes = ask.verbs.map((_, index) => (index === 0 ? GONE : ({ outcome: "applied" } as const)));
    founder.step({ input: "outcome", request: ask.request, outcomes });
    founder.answer("S2", "executed");
    founder.answer("S3", "executed");
    expect(founder.told).toEqual([{ effect: "founded", on: ["S2", "S3"] }]);
  });

  it.each<[string, Partial<QuorumSpec>]>([
    ["written to by all", { read: { atLeast: 1 }, write: { atLeast: 3 } }],
    ["read from by all", { read: { atLeast: 3 }, write: { atLeast: 1 } }],
  ])("is needed when it is %s", (_, families) => {
    const quorums = { ...bench.configuration.quorums, ...families };
    bench = new Bench({ geometry: GEOMETRY, isFounded: false, quorums });
    const founder = new Founder();
    founder.step({ input: "hurry" });
    founder.answer("S1", "executed");
    founder.answer("S2", "executed");
    expect(founder.told).toEqual([]);
    founder.answer("S3", "gone");
    expect(founder.told).toEqual([{ effect: "cannotFound", lost: ["S3"] }]);
  });
});

it("a full acceptor that rule U needs is not made up for by a witness", () => {
  const quorums = { ...bench.configuration.quorums, witnesses: acceptors("S3") };
  bench = new Bench({ geometry: GEOMETRY, isFounded: false, quorums });
  const founder = new Founder();
  founder.step({ input: "hurry" });
  founder.answer("S1", "executed");
  founder.answer("S3", "executed");
  expect(founder.told).toEqual([]);
  founder.answer("S2", "gone");
  expect(founder.told).toEqual([{ effect: "cannotFound", lost: ["S2"] }]);
});

it("quorums of one kind are not enough", () => {
  const quorums: QuorumSpec = {
    acceptors: acceptors("S1", "S2", "S3", "S4"),
    witnesses: [],
    read: { sets: [acceptors("S1", "S2"), acceptors("S3", "S4")] },
    write: { sets: [acceptors("S1", "S3")] },
  };
  bench = new Bench({ geometry: GEOMETRY, isFounded: false, quorums });
  const founder = new Founder();
  founder.step({ input: "hurry" });
  for (const of of ["S1", "S2", "S4"]) founder.answer(of, "executed");
  expect(founder.told).toEqual([]);
  founder.answer("S3", "executed");
  expect(founder.told).toEqual([{ effect: "founded", on: ["S1", "S2", "S4", "S3"] }]);
});

describe("an acceptor that does not answer", () => {
  it("is waited for, until it is time to hurry", () => {
    const founder = new Founder();
    founder.answer("S1", "executed");
    founder.answer("S3", "executed");
    founder.answer("S2", "unknown");
    founder.resend();
    founder.answer("S2", "unknown");
    expect(founder.told).toEqual([]);
    founder.step({ input: "hurry" });
    expect(founder.told).toEqual([{ effect: "founded", on: ["S1", "S3"] }]);
  });

  it("is waited for even then, until quorums are made", () => {
    const founder = new Founder();
    founder.step({ input: "hurry" });
    founder.answer("S1", "executed");
    expect(founder.told).toEqual([]);
    founder.answer("S3", "executed");
    expect(founder.told).toEqual([{ effect: "founded", on: ["S1", "S3"] }]);
    founder.answer("S2", "executed");
    expect(founder.told).toHaveLength(1);
  });

  it("is left out of what is founded: its missing cells refuse, as a lost acceptor's do", () => {
    const founder = new Founder();
    founder.answer("S1", "executed");
    founder.answer("S3", "executed");
    founder.step({ input: "hurry" });
    const leader = bench.server("S1", 1);
    leader.exchange();
    expect(leader.lost).toEqual(["S2" as AcceptorId]);
    expect(leader.leader.serving).toBe(true);
  });
});
