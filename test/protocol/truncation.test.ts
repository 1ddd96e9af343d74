import { beforeEach, describe, expect, it } from "vitest";
import {
  GONE,
  HEAD,
  type Head,
  keyText,
  type Outcome,
  UNKNOWN,
  type Value,
  type Verb,
} from "../../shared/protocol/acceptor.ts";
import { withWitness } from "../../shared/protocol/quorum.ts";
import { type Ask, TRIES_MAX } from "../../shared/protocol/requests.ts";
import type { Slot } from "../../shared/protocol/slot.ts";
import { partKeys, type Snapshot, snapshotOf } from "../../shared/protocol/snapshot.ts";
import { type Truncated, Truncation, type TruncationInput } from "../../shared/protocol/truncation.ts";
import { acceptors, Bench, chunkKey, hashed, sha256 } from "../paper/support.ts";

const GEOMETRY = { lanes: 4, chunkSlots: 2 };
/** Six parts: two requests. */
const of = (slot: number, what = "a"): Snapshot =>
  snapshotOf(slot as Slot, Buffer.from(`${what} after slot`.padEnd(24)), sha256, 4);

let bench: Bench;
beforeEach(() => {
  bench = new Bench({ geometry: GEOMETRY });
  for (const name of ["S1", "S2", "S3"]) covering(name, 12);
});

const headOf = (covered: number, { slot, name }: Pick<Snapshot, "slot" | "name">): Head => ({
  kind: "head",
  covered: covered as Slot,
  snapshotSlot: slot,
  snapshot: name,
});
function covering(name: string, covered: number): void {
  for (let chunk = 0; chunk < covered / 2; chunk++) putChunk(name, chunk);
  bench.table(name).set(HEAD, headOf(covered, { slot: 0 as Slot, name: "-" }));
}
function putChunk(name: string, chunk: number): void {
  bench.table(name).set(chunkKey(chunk), { kind: "content", content: hashed(`chunk ${chunk}`) });
}
const chunksOn = (name: string) => contentsOn(name, "A#").map((key) => Number(key.slice(2)));
const partsOn = (name: string) => contentsOn(name, "S#");
const contentsOn = (name: string, prefix: string) =>
  Object.keys(bench.table(name).contents)
    .filter((key) => key.startsWith(prefix))
    .sort();
const partsOf = ({ name }: Snapshot) => partKeys(name).map(keyText).sort();

/** One truncation, whose requests wait until a test says so. */
class Truncator {
  asks: Ask[] = [];
  retries: Ask["request"][] = [];
  readonly said: string[] = [];
  ended: Truncated | undefined;
  readonly #truncation: Truncation;

  constructor(snapshot: Snapshot) {
    this.#truncation = new Truncation({
      configuration: bench.configuration,
      geometry: GEOMETRY,
      digest: sha256,
      snapshot,
    });
    this.step({ input: "truncate" });
  }

  step(input: TruncationInput): void {
    for (const effect of this.#truncation.step(input)) {
      if (effect.effect === "ask") this.asks.push(effect);
      else if (effect.effect === "retry") this.retries.push(effect.request);
      else {
        expect(this.ended).toBeUndefined();
        this.ended = effect;
      }
    }
  }

  /** The oldest request to a table is executed and answered, or answered so. False: there is none. */
  answer(name: string, outcomeOf: (verb: Verb) => Outcome | undefined = () => undefined): boolean {
    const ask = this.asks.find((each) => each.of === name);
    if (ask === undefined) return false;
    this.asks = this.asks.filter((each) => each !== ask);
    const outcomes = ask.verbs.map((verb) => outcomeOf(verb) ?? bench.table(name).execute(verb));
    this.said.push(
      `${name} ${ask.verbs[0]?.verb} ${ask.verbs.map(({ key }) => shortOf(keyText(key))).join(" ")}`,
    );
    this.step({ input: "outcome", request: ask.request, outcomes });
    const retries = this.retries;
    this.retries = [];
    for (const request of retries) this.step({ input: "resend", request });
    return true;
  }

  /** Until the next request to a table is this, or there is none. */
  until(name: string, verb?: Verb["verb"], kind?: Verb["key"]["kind"]): void {
    const isNext = () => {
      const next = this.asks.find((each) => each.of === name)?.verbs[0];
      return next?.verb === verb && (kind === undefined || next?.key.kind === kind);
    };
    while (!(verb !== undefined && isNext()) && this.answer(name));
  }

  end(): Truncated {
    for (const name of ["S1", "S2", "S3"]) this.until(name);
    return this.ended as Truncated;
  }
}
/** Without the digest. */
const shortOf = (key: string) => key.replace(/-\w{64}/, "");

describe("truncating", () => {
  it("puts the parts, reads them back, advances the Head, and only then drops the chunks, oldest first", () => {
    const snapshot = of(8);
    const truncator = new Truncator(snapshot);
    truncator.until("S1");
    expect(truncator.said).toEqual([
      "S1 read H",
      "S1 put S#8-6#0 S#8-6#1 S#8-6#2 S#8-6#3",
      "S1 put S#8-6#4 S#8-6#5",
      "S1 read S#8-6#0 S#8-6#1 S#8-6#2 S#8-6#3",
      "S1 read S#8-6#4 S#8-6#5",
      "S1 read H",
      "S1 advance H",
      "S1 drop A#0 A#1 A#2 A#3",
    ]);
    expect(bench.table("S1").head).toEqual(headOf(12, snapshot));
    expect([chunksOn("S1"), partsOn("S1")]).toEqual([[4, 5], partsOf(snapshot)]);
    expect([chunksOn("S2"), truncator.ended]).toEqual([[0, 1, 2, 3, 4, 5], undefined]);
    expect(truncator.end()).toEqual({ effect: "truncated", truncated: ["S1", "S2", "S3"], left: [] });
  });

  it("drops nothing and claims nothing while the Head is unknown", () => {
    const truncator = new Truncator(of(8));
    truncator.until("S1", "advance");
    truncator.answer("S1", () => UNKNOWN);
    expect(truncator.asks.filter(({ of }) => of === "S1").map(({ verbs }) => verbs[0]?.verb)).toEqual([
      "advance",
    ]);
    expect(chunksOn("S1")).toHaveLength(6);
  });

  it("drops the parts of the snapshot before, once the Head names the new one", () => {
    new Truncator(of(4)).end();
    const truncator = new Truncator(of(8));
    truncator.until("S1", "advance");
    expect(partsOn("S1")).toEqual([...partsOf(of(4)), ...partsOf(of(8))].sort());
    truncator.end();
    expect([partsOn("S1"), chunksOn("S1")]).toEqual([partsOf(of(8)), [4, 5]]);
  });

  it("brings a table that lags behind up to the snapshot", () => {
    covering("S3", 4);
    for (const chunk of [2, 3, 4, 5])
      bench.table("S3").execute({ verb: "drop", key: chunkKey(chunk) } as Verb);
    new Truncator(of(8)).end();
    expect(bench.table("S3").head).toEqual(headOf(8, of(8)));
    expect(chunksOn("S3")).toEqual([]);
  });

  it("raises the covered slot only from what the table shows, when that has moved meanwhile", () => {
    const truncator = new Truncator(of(8));
    truncator.until("S1", "advance");
    putChunk("S1", 6);
    bench.table("S1").set(HEAD, headOf(14, { slot: 0 as Slot, name: "-" }));
    truncator.end();
    expect(bench.table("S1").head).toEqual(headOf(14, of(8)));
    expect(chunksOn("S1")).toEqual([4, 5, 6]);
  });

  it("leaves witnesses alone", () => {
    bench = new Bench({ geometry: GEOMETRY, quorums: withWitness(acceptors("S1", "S2", "S3")) });
    for (const name of ["S1", "S2"]) covering(name, 8);
    const truncator = new Truncator(of(8));
    expect(truncator.asks.map(({ of }) => of)).toEqual(["S1", "S2"]);
    expect(truncator.end().truncated).toEqual(["S1", "S2"]);
  });

  it.each([0, 7])("is refused for slot %d, which ends no chunk", (slot) => {
    expect(() => new Truncator(of(slot))).toThrow(RangeError);
  });
});

describe("a table that cannot be truncated is left, the others go on", () => {
  const parts = of(8).parts as readonly Value[];
  it.each<[string, string, (verb: Verb) => Outcome | undefined]>([
    ["is lost", "the table is lost", () => GONE],
    [
      "is lost when its Head is to rise",
      "the table is lost",
      ({ verb }) => (verb === "advance" ? GONE : undefined),
    ],
    ["never answers", "the table does not answer", () => UNKNOWN],
    [
      "does not answer any more when its Head is to rise",
      "the table does not answer",
      ({ verb }) => (verb === "advance" ? UNKNOWN : undefined),
    ],
    [
      "reads back something damaged",
      "is damaged",
      ({ verb, key }) =>
        verb === "read" && key.kind === "part" && key.part === 5
          ? { outcome: "applied", item: { kind: "content", content: { ...(parts[5] as Value), text: "x" } } }
          : undefined,
    ],
    [
      "reads back another part",
      "has other parts than its name says",
      ({ verb, key }) =>
        verb === "read" && key.kind === "part" && key.part === 5
          ? { outcome: "applied", item: { kind: "content", content: parts[0] as Value } }
          : undefined,
    ],
    [
      "reads back nothing",
      "is missing",
      ({ verb, key }) => (verb === "read" && key.kind === "part" ? { outcome: "applied" } : undefined),
    ],
    [
      "has something else under a part's key",
      "holds other values",
      ({ verb }) =>
        verb === "put" ? { outcome: "refused", by: { kind: "content", content: hashed("else") } } : undefined,
    ],
  ])("when it %s", (_, why, outcomeOf) => {
    const truncator = new Truncator(of(8));
    while (truncator.answer("S2", outcomeOf));
    expect(bench.table("S2").head).toEqual(headOf(12, { slot: 0 as Slot, name: "-" }));
    expect(chunksOn("S2")).toHaveLength(6);
    const { truncated, left } = truncator.end();
    expect(truncated).toEqual(["S1", "S3"]);
    expect(left).toEqual([{ acceptor: "S2", why: expect.stringContaining(why) }]);
  });

  it("and may be tried again with the same snapshot", () => {
    const truncator = new Truncator(of(8));
    for (let tries = 0; tries < TRIES_MAX; tries++) truncator.answer("S2", () => UNKNOWN);
    truncator.end();
    expect(new Truncator(of(8)).end().left).toEqual([]);
    expect(bench.table("S2").head).toEqual(headOf(12, of(8)));
  });
});

describe("two at once", () => {
  it("with the same snapshot are one", () => {
    const [one, other] = [new Truncator(of(8)), new Truncator(of(8))];
    for (let turn = 0; turn < 40; turn++) for (const each of [one, other]) each.answer("S1");
    for (const each of [one, other]) expect(each.end().left).toEqual([]);
    expect([partsOn("S1"), chunksOn("S1")]).toEqual([partsOf(of(8)), [4, 5]]);
  });

  it.each<[string, Verb["verb"] | undefined, Verb["key"]["kind"] | undefined]>([
    ["before it begins", undefined, undefined],
    ["when it puts", "put", undefined],
    ["when it reads back", "read", "part"],
    ["when it advances", "advance", undefined],
  ])("with different ones of one slot: the second, beaten %s, leaves nothing of its own", (_, verb, kind) => {
    const other = new Truncator(of(8, "b"));
    if (verb !== undefined) other.until("S1", verb, kind);
    new Truncator(of(8, "a")).end();
    expect(other.end().left).toEqual([]);
    for (const name of ["S1", "S2", "S3"]) {
      expect(bench.table(name).head).toEqual(headOf(12, of(8, "a")));
      expect([partsOn(name), chunksOn(name)]).toEqual([partsOf(of(8, "a")), [4, 5]]);
    }
  });

  it("with different slots: the older one gives way", () => {
    const older = new Truncator(of(4));
    older.until("S1", "advance");
    new Truncator(of(8)).end();
    expect(older.end().left).toEqual([]);
    expect(bench.table("S1").head).toEqual(headOf(12, of(8)));
    expect([partsOn("S1"), chunksOn("S1")]).toEqual([partsOf(of(8)), [4, 5]]);
  });
});

describe("what a crash leaves", () => {
  it("anywhere is garbage, and the Head's claim stays true; the next truncation deletes the chunks of it", () => {
    for (let steps = 0; steps < 12; steps++) {
      covering("S1", 12);
      bench.table("S1").items.clear();
      covering("S1", 12);
      const crashing = new Truncator(of(8));
      for (let step = 0; step < steps; step++) crashing.answer("S1");
      const { snapshotSlot, covered } = bench.table("S1").head as Head;
      if (snapshotSlot > 0) expect(partsOn("S1")).toEqual(partsOf(of(8)));
      for (let chunk = snapshotSlot / 2; chunk < covered / 2; chunk++)
        expect(chunksOn("S1")).toContain(chunk);
      new Truncator(of(12)).until("S1");
      expect([chunksOn("S1"), bench.table("S1").head]).toEqual([[], headOf(12, of(12))]);
    }
  });

  it("below a snapshot is found by walking down, however much it is and wherever the crash was", () => {
    for (const oldest of [0, 3, 17, 39]) {
      covering("S1", 100);
      bench.table("S1").items.clear();
      covering("S1", 100);
      for (let chunk = 0; chunk < oldest; chunk++)
        bench.table("S1").execute({ verb: "drop", key: chunkKey(chunk) } as Verb);
      bench.table("S1").set(HEAD, headOf(100, of(80)));
      for (const [part, key] of partKeys(of(80).name).entries())
        bench.table("S1").set(key, { kind: "content", content: of(80).parts[part] as Value });
      // Of the last request before the crash some were executed, and not the oldest.
      bench.table("S1").execute({ verb: "drop", key: chunkKey(oldest + 1) } as Verb);
      new Truncator(of(100)).until("S1");
      expect([chunksOn("S1"), partsOn("S1")]).toEqual([[], partsOf(of(100))]);
    }
  });

  it("is deleted too by one who comes with a snapshot that is there already", () => {
    const crashing = new Truncator(of(8));
    crashing.until("S1", "drop");
    new Truncator(of(8)).until("S1");
    expect(chunksOn("S1")).toEqual([4, 5]);
  });
});
