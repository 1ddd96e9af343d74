import { beforeEach, describe, expect, it } from "vitest";
import { HEAD, type Outcome, UNKNOWN, type Verb } from "../../shared/protocol/acceptor.ts";
import type { AcceptorId } from "../../shared/protocol/quorum.ts";
import {
  type Ask,
  patience,
  type RequestId,
  Requests,
  type Retry,
  TRIES_MAX,
} from "../../shared/protocol/requests.ts";
import type { ChunkNumber } from "../../shared/protocol/slot.ts";

const S1 = "S1" as AcceptorId;
const APPLIED: Outcome = { outcome: "applied" };
const REFUSED: Outcome = { outcome: "refused" };
const chunk = (number: number): Verb => ({
  verb: "read",
  key: { kind: "chunk", chunk: number as ChunkNumber },
});
const VERBS = [chunk(0), chunk(1), chunk(2)];

let effects: (Ask | Retry)[];
let settled: [Verb, Outcome][];
let requests: Requests;
const settle = (verb: Verb, outcome: Outcome) => void settled.push([verb, outcome]);
const taken = () => effects.splice(0);
const ONE = 1 as RequestId;

beforeEach(() => {
  effects = [];
  settled = [];
  requests = new Requests((effect) => effects.push(effect));
});

it("asks at once, each request with a number of its own", () => {
  requests.ask(S1, VERBS, settle);
  requests.ask(S1, [chunk(9)], settle);
  expect(taken()).toEqual([
    { effect: "ask", request: 1, of: S1, verbs: VERBS },
    { effect: "ask", request: 2, of: S1, verbs: [chunk(9)] },
  ]);
});

it("tells each verb's outcome once, in order", () => {
  requests.ask(S1, VERBS, settle);
  requests.outcome(ONE, [APPLIED, REFUSED, APPLIED]);
  expect(settled).toEqual([
    [VERBS[0], APPLIED],
    [VERBS[1], REFUSED],
    [VERBS[2], APPLIED],
  ]);
});

describe("an unknown outcome is not an answer", () => {
  it("it is told to nobody, and a retry is asked for; the identical verbs follow, and only they", () => {
    requests.ask(S1, VERBS, settle);
    taken();
    requests.outcome(ONE, [UNKNOWN, APPLIED, UNKNOWN]);
    expect(settled).toEqual([[VERBS[1], APPLIED]]);
    expect(taken()).toEqual([{ effect: "retry", request: 1, attempt: 1 }]);
    requests.resend(ONE);
    const [again] = taken();
    expect(again).toEqual({ effect: "ask", request: 1, of: S1, verbs: [VERBS[0], VERBS[2]] });
    expect((again as Ask).verbs[0]).toBe(VERBS[0]);
    requests.outcome(ONE, [UNKNOWN, REFUSED]);
    requests.resend(ONE);
    requests.outcome(ONE, [APPLIED]);
    expect(settled).toEqual([
      [VERBS[1], APPLIED],
      [VERBS[2], REFUSED],
      [VERBS[0], APPLIED],
    ]);
  });

  it("however often", () => {
    requests.ask(S1, [chunk(0)], settle);
    for (let attempt = 1; attempt <= 50; attempt++) {
      taken();
      requests.outcome(ONE, [UNKNOWN]);
      requests.resend(ONE);
      expect(taken()).toEqual([
        { effect: "retry", request: 1, attempt },
        { effect: "ask", request: 1, of: S1, verbs: [chunk(0)] },
      ]);
    }
    requests.outcome(ONE, [APPLIED]);
    expect(settled).toHaveLength(1);
  });

  it("unless nobody wants it any more: then it is not asked again", () => {
    let isWanted = true;
    requests.ask(S1, VERBS, settle, () => isWanted);
    requests.outcome(ONE, [UNKNOWN, UNKNOWN, UNKNOWN]);
    isWanted = false;
    taken();
    requests.resend(ONE);
    isWanted = true;
    requests.resend(ONE);
    expect(taken()).toEqual([]);
  });
});

it("gives up what another could answer as well, after some tries", () => {
  let givenUp = 0;
  requests.ask(
    S1,
    VERBS,
    settle,
    patience(() => givenUp++),
  );
  for (let attempt = 1; attempt < TRIES_MAX; attempt++) {
    requests.outcome(ONE, [UNKNOWN, UNKNOWN, UNKNOWN]);
    requests.resend(ONE);
    expect(taken().filter(({ effect }) => effect === "ask")).toHaveLength(attempt === 1 ? 2 : 1);
  }
  requests.outcome(ONE, [UNKNOWN, UNKNOWN, UNKNOWN]);
  expect(givenUp).toBe(0);
  requests.resend(ONE);
  requests.resend(ONE);
  expect([givenUp, taken()]).toEqual([1, [{ effect: "retry", request: 1, attempt: TRIES_MAX }]]);
  requests.outcome(ONE, [APPLIED, APPLIED, APPLIED]);
  expect(settled).toEqual([]);
});

describe("duplicates and strangers are ignored", () => {
  it("a second answer", () => {
    requests.ask(S1, VERBS, settle);
    requests.outcome(ONE, [APPLIED, APPLIED, APPLIED]);
    requests.outcome(ONE, [REFUSED, REFUSED, REFUSED]);
    requests.resend(ONE);
    expect(settled).toHaveLength(3);
    expect(taken()).toHaveLength(1);
  });

  it("an answer to what was never asked", () => {
    requests.outcome(9 as RequestId, [APPLIED]);
    requests.resend(9 as RequestId);
    expect([taken(), settled]).toEqual([[], []]);
  });
});

describe("closing", () => {
  it("ends everything: nobody is told, nothing is asked again", () => {
    requests.ask(S1, VERBS, settle);
    requests.ask(S1, VERBS, settle);
    requests.outcome(ONE, [UNKNOWN, UNKNOWN, UNKNOWN]);
    taken();
    requests.close();
    requests.resend(ONE);
    requests.outcome(2 as RequestId, [APPLIED, APPLIED, APPLIED]);
    expect([taken(), settled]).toEqual([[], []]);
  });

  it("from within: the other outcomes of the same answer are told to nobody", () => {
    requests.ask(S1, VERBS, (verb, outcome) => {
      settle(verb, outcome);
      requests.close();
    });
    requests.outcome(ONE, [APPLIED, APPLIED, APPLIED]);
    expect(settled).toEqual([[VERBS[0], APPLIED]]);
  });
});

it("may be asked more from within an answer", () => {
  requests.ask(S1, [chunk(0)], () => requests.ask(S1, [{ verb: "read", key: HEAD }], settle));
  taken();
  requests.outcome(ONE, [APPLIED]);
  expect(taken()).toMatchObject([{ effect: "ask", request: 2 }]);
  requests.outcome(2 as RequestId, [REFUSED]);
  expect(settled).toEqual([[{ verb: "read", key: HEAD }, REFUSED]]);
});

describe("an acceptor that has other things to do first", () => {
  beforeEach(() => {
    requests.ask(S1, VERBS, settle);
    requests.hold(S1);
    taken();
  });

  it("is asked nothing more until it is released, and then everything, in order", () => {
    requests.ask(S1, [chunk(7)], settle);
    requests.ask(S1, [chunk(8)], settle);
    expect(taken()).toEqual([]);
    requests.release(S1);
    expect(taken()).toEqual([
      { effect: "ask", request: 2, of: S1, verbs: [chunk(7)] },
      { effect: "ask", request: 3, of: S1, verbs: [chunk(8)] },
    ]);
    requests.ask(S1, [chunk(9)], settle);
    expect(taken()).toMatchObject([{ request: 4 }]);
  });

  it("others are asked at once, and what was asked before goes on", () => {
    requests.ask("S2" as AcceptorId, [chunk(7)], settle);
    requests.outcome(ONE, [UNKNOWN, APPLIED, APPLIED]);
    requests.resend(ONE);
    expect(taken()).toMatchObject([{ of: "S2" }, { effect: "retry" }, { request: 1, verbs: [chunk(0)] }]);
  });

  it("is never asked what nobody wants any more", () => {
    let isWanted = true;
    requests.ask(S1, [chunk(7)], settle, () => isWanted);
    isWanted = false;
    requests.ask(S1, [chunk(8)], settle);
    requests.release(S1);
    expect(taken()).toMatchObject([{ verbs: [chunk(8)] }]);
  });
});
