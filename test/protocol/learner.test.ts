import { beforeEach, describe, expect, it } from "vitest";
import {
  type Content,
  GONE,
  HEAD,
  type Head,
  type Outcome,
  UNKNOWN,
  type Value,
} from "../../shared/protocol/acceptor.ts";
import { type Installed, Learner } from "../../shared/protocol/learner.ts";
import type { AcceptorId } from "../../shared/protocol/quorum.ts";
import { type Ask, Requests, type Retry, TRIES_MAX } from "../../shared/protocol/requests.ts";
import type { ChunkNumber, Slot } from "../../shared/protocol/slot.ts";
import { snapshotOf } from "../../shared/protocol/snapshot.ts";
import { encodeChunk } from "../../shared/protocol/value.ts";
import { hashed, sha256 } from "../paper/support.ts";

const GEOMETRY = { lanes: 4, chunkSlots: 2 };
const S1 = "S1" as AcceptorId;

let asks: Ask[];
let applied: number;
let learned: string[];
let done: (string | undefined)[];
let installed: Installed[];
let requests: Requests;
let learner: Learner;
beforeEach(() => {
  [asks, applied, learned, done, installed] = [[], 0, [], [], []];
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
    installed: (snapshot) => {
      expect(snapshot.slot).toBeGreaterThan(applied);
      applied = snapshot.slot;
      installed.push(snapshot);
    },
  });
});

const headOf = (covered: number, snapshotSlot = 0, snapshot = "-"): Head => ({
  kind: "head",
  covered: covered as Slot,
  snapshotSlot: snapshotSlot as Slot,
  snapshot,
});
const learn = (through: number, slot?: number, snapshot?: string) =>
  learner.learn(S1, headOf(through, slot, snapshot), (trouble) => done.push(trouble?.detail));
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
const MISSING: Outcome = { outcome: "applied" };
/** The Head is asked for, and is this one by now. */
function look(now: Head | Outcome): void {
  const ask = asks.shift() as Ask;
  expect(ask.verbs).toEqual([{ verb: "read", key: HEAD }]);
  requests.outcome(ask.request, ["kind" in now ? { outcome: "applied", item: now } : now]);
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
    expect([asks, done]).toEqual([[], ["the table does not answer"]]);
    requests.outcome(ask.request, [0, 1, 2].map(chunk));
    expect([learned, done]).toEqual([[], ["the table does not answer"]]);
  });

  it("the first is told, once", () => {
    learn(6);
    answer((number) => (number === 0 ? chunk(0) : MISSING));
    look(headOf(6));
    expect(done).toEqual(["chunk 1 is missing"]);
  });

  it("keeps what earlier requests taught", () => {
    learn(70);
    answer(chunk);
    answer(() => MISSING);
    look(headOf(70));
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

describe("a snapshot that is ahead", () => {
  /** Five parts: two requests. */
  const frozen = Buffer.from("the state after slot 4");
  const snapshot = snapshotOf(4 as Slot, frozen, sha256, 5);
  const other = snapshotOf(6 as Slot, Buffer.from("the state after slot 6"), sha256);
  const partsAsked = () =>
    asks[0]?.verbs.map(({ key }) => (key.kind === "part" ? [key.snapshot, key.part] : key));
  const named = (part: number) => [snapshot.name, part];
  /** The oldest request is answered with parts, from their keys. */
  function answerParts(outcomeOf: (part: number) => Outcome | undefined = () => undefined): void {
    const ask = asks.shift() as Ask;
    const outcomes = ask.verbs.map(({ key }): Outcome => {
      if (key.kind !== "part") throw new Error(`not a part: ${key.kind}`);
      const content = (key.snapshot === snapshot.name ? snapshot : other).parts[key.part];
      return outcomeOf(key.part) ?? { outcome: "applied", item: { kind: "content", content } as Content };
    });
    requests.outcome(ask.request, outcomes);
  }

  it("is read in its parts, few in one request, and installed before any chunk after it", () => {
    learn(8, 4, snapshot.name);
    expect(partsAsked()).toEqual([0, 1, 2, 3].map(named));
    answerParts();
    expect([partsAsked(), installed]).toEqual([[named(4)], []]);
    answerParts();
    expect(installed).toEqual([{ slot: 4, frozen }]);
    expect(chunksOf(asks[0])).toEqual([2, 3]);
    answer(chunk);
    expect([learned, done]).toEqual([values(5, 8), [undefined]]);
  });

  it("is no longer needed when that much is applied: no part of it is asked for, and no chunk below it", () => {
    applied = 5;
    learn(8, 4, snapshot.name);
    expect(chunksOf(asks[0])).toEqual([2, 3]);
  });

  it("is not installed when the replica has passed it meanwhile", () => {
    learn(8, 4, snapshot.name);
    answerParts();
    applied = 5;
    answerParts();
    expect([installed, chunksOf(asks[0])]).toEqual([[], [2, 3]]);
  });

  it("missing a part, with its Head unchanged: the table lacks what it claims", () => {
    learn(8, 4, snapshot.name);
    answerParts((part) => (part === 2 ? MISSING : undefined));
    look(headOf(8, 4, snapshot.name));
    expect([done, installed]).toEqual([[`part 2 of snapshot ${snapshot.name} is missing`], []]);
  });

  it.each([2, 4])(
    "missing part %d, the table was truncated meanwhile: its newer snapshot is read",
    (lost) => {
      learn(8, 4, snapshot.name);
      while (asks[0]?.verbs[0]?.key.kind === "part")
        answerParts((part) => (part === lost ? MISSING : undefined));
      look(headOf(8, 6, other.name));
      expect([done, partsAsked()]).toEqual([[], [[other.name, 0]]]);
      answerParts();
      answer(chunk);
      expect([installed.map(({ slot }) => slot), learned, done]).toEqual([[6], values(7, 8), [undefined]]);
    },
  );

  it("stands for a chunk that is missing: truncation raced", () => {
    learn(6);
    answer((number) => (number < 2 ? MISSING : chunk(number)));
    expect([learned, done]).toEqual([[], []]);
    look(headOf(6, 4, snapshot.name));
    answerParts();
    answerParts();
    answer(chunk);
    expect([installed.map(({ slot }) => slot), learned, done]).toEqual([[4], values(5, 6), [undefined]]);
  });

  it.each<[string, Outcome, string]>([
    ["is lost", { outcome: "refused" }, "the table is lost"],
    ["does not answer", UNKNOWN, "the table does not answer"],
  ])("and nothing is concluded from a missing chunk when the table %s then", (_, outcome, said) => {
    learn(6);
    answer(() => MISSING);
    while (asks.length > 0) {
      const { request } = asks[0] as Ask;
      look(outcome);
      requests.resend(request);
    }
    expect([learned, done]).toEqual([[], [said]]);
  });

  it("with a damaged part is not installed", () => {
    learn(8, 4, snapshot.name);
    const content = { ...(snapshot.parts[1] as Value), text: (snapshot.parts[0] as Value).text };
    answerParts((part) =>
      part === 1 ? { outcome: "applied", item: { kind: "content", content } } : undefined,
    );
    expect([done, installed]).toEqual([[`part 1 of snapshot ${snapshot.name} is damaged`], []]);
  });

  it("with parts that are sound, and not those that its name says, is not installed", () => {
    learn(8, 4, snapshot.name);
    const content = snapshot.parts[0] as Value;
    answerParts((part) =>
      part === 1 ? { outcome: "applied", item: { kind: "content", content } } : undefined,
    );
    answerParts();
    expect([done, installed]).toEqual([[`snapshot ${snapshot.name} has other parts than its name says`], []]);
  });

  it("of another version stops the reader", () => {
    expect(() => learn(8, 4, "2:4:5:abc")).toThrow(RangeError);
  });
});
