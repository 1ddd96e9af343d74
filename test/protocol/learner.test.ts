import { beforeEach, describe, expect, it } from "vitest";
import { GONE, type Outcome, UNKNOWN } from "../../shared/protocol/acceptor.ts";
import { Learner, UNANSWERED } from "../../shared/protocol/learner.ts";
import type { AcceptorId } from "../../shared/protocol/quorum.ts";
import { type Ask, Requests, type Retry, TRIES_MAX } from "../../shared/protocol/requests.ts";
import type { ChunkNumber, Slot } from "../../shared/protocol/slot.ts";
import { encodeChunk } from "../../shared/protocol/value.ts";
import { hashed, sha256 } from "../paper/support.ts";

const GEOMETRY = { lanes: 4, chunkSlots: 2 };
const S1 = "S1" as AcceptorId;

let asks: Ask[];
let applied: number;
let learned: string[];
let done: (string | undefined)[];
let requests: Requests;
let learner: Learner;
beforeEach(() => {
  [asks, applied, learned, done] = [[], 0, [], []];
  requests = new Requests((effect: Ask | Retry) => {
    if (effect.effect === "ask") asks.push(effect);
  });
  learner = new Learner({
    requests,
    geometry: GEOMETRY,
    digest: sha256,
    applied: () => applied as Slot,
    learned: (slot, text) => {
      expect(slot).toBe(applied + 1);
      applied = slot;
      learned.push(text);
    },
  });
});

const learn = (through: number) => learner.learn(S1, through as Slot, (damage) => done.push(damage));
const chunksOf = (ask: Ask | undefined) => ask?.verbs.map(({ key }) => (key as { chunk: number }).chunk);
const chunk = (number: number): Outcome => {
  const values = [2 * number + 1, 2 * number + 2].map((slot) => `value ${slot}`);
  return contentOf(encodeChunk(number as ChunkNumber, values));
};
const contentOf = (text: string): Outcome => ({
  outcome: "applied",
  item: { kind: "content", content: hashed(text) },
});
const values = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => `value ${from + index}`);
/** The oldest request is answered so, chunk by chunk. */
function answer(outcomeOf: (chunk: number) => Outcome): void {
  const ask = asks.shift() as Ask;
  requests.outcome(ask.request, (chunksOf(ask) ?? []).map(outcomeOf));
}

describe("learning", () => {
  it("has nothing to do when that much is known", () => {
    applied = 4;
    learn(4);
    expect([done, asks]).toEqual([[undefined], []]);
  });

  it("reads the chunks up to there, in order, from the one table", () => {
    learn(6);
    expect(asks.map(({ of }) => of)).toEqual([S1]);
    expect(chunksOf(asks[0])).toEqual([0, 1, 2]);
    expect(done).toEqual([]);
    answer(chunk);
    expect([learned, done]).toEqual([values(1, 6), [undefined]]);
  });

  it("begins in the middle of a chunk, telling nothing twice", () => {
    applied = 3;
    learn(6);
    expect(chunksOf(asks[0])).toEqual([1, 2]);
    answer(chunk);
    expect(learned).toEqual(values(4, 6));
  });

  it("of much takes several requests of sixteen chunks", () => {
    learn(70);
    expect(chunksOf(asks[0])).toHaveLength(16);
    answer(chunk);
    expect([learned, done]).toEqual([values(1, 32), []]);
    answer(chunk);
    answer(chunk);
    expect([learned, done]).toEqual([values(1, 70), [undefined]]);
  });

  it("waits for what is unknown, and tells it in order all the same", () => {
    learn(6);
    const { request } = asks[0] as Ask;
    answer((number) => (number === 0 ? UNKNOWN : chunk(number)));
    expect([learned, done]).toEqual([[], []]);
    requests.resend(request);
    expect(chunksOf(asks[0])).toEqual([0]);
    answer(chunk);
    expect([learned, done]).toEqual([values(1, 6), [undefined]]);
  });
});

describe("what is wrong with the table", () => {
  it.each<[string, Outcome, string]>([
    ["a missing chunk", { outcome: "applied" }, "chunk 1 is missing"],
    [
      "a chunk that is not what its digest says",
      {
        outcome: "applied",
        item: { kind: "content", content: { text: "damaged", digest: sha256("other") } },
      },
      "chunk 1 is damaged",
    ],
    ["a lost table", GONE, "the table is lost"],
    ["a refusal", { outcome: "refused" }, "the table is lost"],
  ])("%s is told, and nothing of that request is concluded from it", (_, outcome, damage) => {
    learn(6);
    answer((number) => (number === 1 ? outcome : chunk(number)));
    expect([learned, done]).toEqual([[], [damage]]);
  });

  it("that it does not answer is told too, and its late answer is not taken", () => {
    learn(6);
    const [ask] = asks as [Ask];
    for (let attempt = 1; attempt <= TRIES_MAX; attempt++) {
      expect([asks.length, done]).toEqual([1, []]);
      answer(() => UNKNOWN);
      requests.resend(ask.request);
    }
    expect([asks, done]).toEqual([[], [UNANSWERED]]);
    requests.outcome(ask.request, [0, 1, 2].map(chunk));
    expect([learned, done]).toEqual([[], [UNANSWERED]]);
  });

  it("the first is told, once", () => {
    learn(6);
    answer((number) => (number === 0 ? chunk(0) : { outcome: "applied" }));
    expect(done).toEqual(["chunk 1 is missing"]);
  });

  it("keeps what earlier requests taught", () => {
    learn(70);
    answer(chunk);
    answer(() => ({ outcome: "applied" }));
    expect([learned, done]).toEqual([values(1, 32), ["chunk 16 is missing"]]);
  });

  it.each([
    "theseus-chunk-2 0\nvalue 1\nvalue 2",
    "theseus-chunk-1 1\nvalue 3\nvalue 4",
    "theseus-chunk-1 0\nvalue 1",
  ])("another format stops the reader: %j", (text) => {
    learn(2);
    expect(() => answer(() => contentOf(text))).toThrow(RangeError);
    expect(learned).toEqual([]);
  });
});
