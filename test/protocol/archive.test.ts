import { beforeEach, describe, expect, it } from "vitest";
import {
  GONE,
  HEAD,
  type Head,
  type Outcome,
  type PartKey,
  UNKNOWN,
  type Value,
  type Verb,
} from "../../shared/protocol/acceptor.ts";
import { Archive } from "../../shared/protocol/archive.ts";
import type { Progress } from "../../shared/protocol/copying.ts";
import type { Alarm } from "../../shared/protocol/invariant.ts";
import { RecentLog } from "../../shared/protocol/log.ts";
import { type AcceptorId, majority, type QuorumSpec, QuorumSystem } from "../../shared/protocol/quorum.ts";
import { type Ask, Requests, TRIES_MAX } from "../../shared/protocol/requests.ts";
import type { ChunkNumber, Geometry, Slot } from "../../shared/protocol/slot.ts";
import { partKeys, type Snapshot, snapshotOf } from "../../shared/protocol/snapshot.ts";
import { encodeChunk } from "../../shared/protocol/value.ts";
import { acceptors, Bench, chunkKey, hashed, sha256 } from "../paper/support.ts";

const GEOMETRY = { lanes: 2, chunkSlots: 2 };
/** What `RecentLog` keeps of this geometry. */
const KEPT = 8;
const ALL = acceptors("S1", "S2", "S3");

let bench: Bench;
let log: RecentLog;
let asks: Ask[];
let lost: AcceptorId[];
let alarms: Alarm[];
let progress: Progress[];
let requests: Requests;
let archive: Archive;

function start(quorums: QuorumSpec = majority(ALL)): void {
  bench = new Bench({ geometry: GEOMETRY, quorums });
  log = new RecentLog(GEOMETRY);
  [asks, lost, alarms, progress] = [[], [], [], []];
  requests = new Requests((effect) => {
    if (effect.effect === "ask") asks.push(effect);
  });
  archive = archiveOf(quorums);
}
function archiveOf(quorums: QuorumSpec, geometry: Geometry = GEOMETRY): Archive {
  return new Archive({
    requests,
    quorums: new QuorumSystem(quorums),
    geometry,
    digest: sha256,
    log,
    applied: () => log.last,
    lost: (of) => lost.push(of),
    alarm: (alarm) => alarms.push(alarm),
    progress: (each) => progress.push(each),
  });
}
beforeEach(() => start());

const valueAt = (slot: number) => `value ${slot}`;
const chunkOf = (number: number) =>
  hashed(encodeChunk(number as ChunkNumber, [valueAt(2 * number + 1), valueAt(2 * number + 2)]));
const headOf = (covered: number, more: Partial<Head> = {}): Head => ({
  kind: "head",
  covered: covered as Slot,
  snapshotSlot: 0 as Slot,
  snapshot: "-",
  ...more,
});
function apply(through: number): void {
  while (log.last < through) log.append((log.last + 1) as Slot, valueAt(log.last + 1));
  archive.work();
}
function note(...heads: [of: string, covered: number][]): void {
  for (const [of, covered] of heads) {
    bench.table(of).set(HEAD, headOf(covered));
    for (let chunk = 0; chunk < covered / 2; chunk++)
      bench.table(of).set(chunkKey(chunk), { kind: "content", content: chunkOf(chunk) });
    archive.noteHead(of as AcceptorId, headOf(covered));
  }
  archive.work();
}
/** The oldest request to a table happens and is answered, or is answered otherwise. */
function answer(of: string, outcome?: Outcome): void {
  const ask = asks.find((each) => each.of === of);
  if (ask === undefined) throw new Error(`nothing was asked of ${of}`);
  asks = asks.filter((each) => each !== ask);
  const outcomes = ask.verbs.map((verb) => outcome ?? bench.table(of).execute(verb));
  requests.outcome(ask.request, outcomes);
  archive.work();
}
const asked = (of: string): readonly Verb[] =>
  asks.filter((each) => each.of === of).flatMap(({ verbs }) => verbs);
const put = (number: number): Verb => ({
  verb: "put",
  key: { kind: "chunk", chunk: number as ChunkNumber },
  content: chunkOf(number),
});
const reads = (first: number, last: number): readonly Verb[] =>
  Array.from({ length: last - first + 1 }, (_, index) => ({ verb: "read", key: chunkKey(first + index) }));
const advance = (covered: number): Verb => ({ verb: "advance", key: HEAD, head: headOf(covered) });
function settle(...tables: string[]): void {
  for (let round = 0; asks.some(({ of }) => tables.includes(of)); round++) {
    if (round > 1_000) throw new Error("it never ends");
    answer(asks.find(({ of }) => tables.includes(of))?.of as string);
  }
}

describe("a chunk is archived", () => {
  it("put first, and only when that is acknowledged the Head is advanced (invariant 4)", () => {
    note(["S1", 0]);
    apply(2);
    expect(asked("S1")).toEqual([put(0)]);
    answer("S1");
    expect(asked("S1")).toEqual([advance(2)]);
    expect(bench.table("S1").head?.covered).toBe(0);
    answer("S1");
    expect(bench.table("S1").head?.covered).toBe(2);
    expect(asks).toEqual([]);
  });

  it("not advanced while the put is unknown", () => {
    note(["S1", 0]);
    apply(2);
    const { request } = asks[0] as Ask;
    for (let attempt = 0; attempt < 3; attempt++) {
      answer("S1", UNKNOWN);
      expect(asks).toEqual([]);
      requests.resend(request);
      expect(asked("S1")).toEqual([put(0)]);
    }
    answer("S1");
    expect(asked("S1")).toEqual([advance(2)]);
  });

  it("only when its every slot is applied", () => {
    note(["S1", 0]);
    apply(1);
    expect(asks).toEqual([]);
    apply(3);
    settle("S1");
    expect(bench.table("S1").head?.covered).toBe(2);
    expect(bench.table("S1").read(chunkKey(1))).toBeUndefined();
  });

  it("with all others that are applied by then, and one Head for them all; on each table at its own pace", () => {
    note(["S1", 0], ["S2", 2]);
    apply(6);
    expect([asked("S1"), asked("S2")]).toEqual([
      [put(0), put(1), put(2)],
      [put(1), put(2)],
    ]);
    archive.work();
    expect(asks).toHaveLength(2);
    answer("S2");
    expect(asked("S2")).toEqual([advance(6)]);
    settle("S2");
    expect([asked("S1"), bench.table("S2").head?.covered]).toEqual([[put(0), put(1), put(2)], 6]);
  });

  it("not advanced before the last of several is acknowledged", () => {
    note(["S1", 0]);
    apply(6);
    const { request } = asks.shift() as Ask;
    requests.outcome(request, [UNKNOWN, { outcome: "applied" }, { outcome: "applied" }]);
    expect(asks).toEqual([]);
    requests.resend(request);
    expect(asked("S1")).toEqual([put(0)]);
    answer("S1");
    expect(asked("S1")).toEqual([advance(6)]);
  });

  it.each([
    ["sixteen", 10, 16],
    ["a megabyte", 100_000, 5],
    ["one", 2_000_000, 1],
  ])("%s at a time and no more", (_, characters, count) => {
    const roomy = { lanes: 64, chunkSlots: 2 };
    log = new RecentLog(roomy);
    archive = archiveOf(majority(ALL), roomy);
    for (let slot = 1; slot <= 40; slot++) log.append(slot as Slot, "x".repeat(characters));
    bench.table("S1").set(HEAD, headOf(0));
    archive.noteHead("S1" as AcceptorId, headOf(0));
    archive.work();
    expect(asks.map(({ verbs }) => verbs.length)).toEqual([count]);
    answer("S1");
    expect(asked("S1")).toEqual([advance(2 * count)]);
  });

  it("on a table only from the Head that this table showed, its snapshot kept", () => {
    apply(6);
    expect(asks).toEqual([]);
    const shown = headOf(2, { snapshotSlot: 2 as Slot, snapshot: "2-aa" });
    bench.table("S1").set(HEAD, shown);
    archive.noteHead("S1" as AcceptorId, shown);
    archive.work();
    answer("S1");
    expect(asked("S1")).toEqual([{ verb: "advance", key: HEAD, head: { ...shown, covered: 6 } }]);
    expect(asked("S2")).toEqual([]);
  });

  it("and a lower sighting of a Head is an older one", () => {
    note(["S1", 4]);
    archive.noteHead("S1" as AcceptorId, headOf(2));
    apply(6);
    expect(asked("S1")).toEqual([put(2)]);
    expect(archive.covers(4 as Slot)).toBe(false);
  });
});

describe("what is found on the table", () => {
  it("the same chunk: another archived it", () => {
    note(["S1", 0]);
    bench.table("S1").set(chunkKey(0), { kind: "content", content: chunkOf(0) });
    apply(2);
    settle("S1");
    expect([bench.table("S1").head?.covered, alarms, lost]).toEqual([2, [], []]);
  });

  it("another chunk: an alarm (invariant 6), and nothing more on that table", () => {
    note(["S1", 0]);
    bench.table("S1").set(chunkKey(0), { kind: "content", content: hashed("other values") });
    apply(4);
    answer("S1");
    expect(alarms).toEqual([{ invariant: 6, detail: "chunk 0 of S1 holds other values" }]);
    expect([asks, bench.table("S1").head?.covered]).toEqual([[], 0]);
  });

  it("a higher Head: another has archived further, and it is taken as known", () => {
    note(["S1", 0]);
    apply(4);
    answer("S1");
    bench.table("S1").set(HEAD, headOf(6));
    apply(8);
    answer("S1");
    expect([asked("S1"), alarms, lost]).toEqual([[put(3)], [], []]);
    settle("S1");
    expect(bench.table("S1").head?.covered).toBe(8);
  });

  it("a snapshot: another has truncated, and what is archived keeps it", () => {
    note(["S1", 2]);
    apply(4);
    answer("S1");
    const truncated = headOf(2, { snapshotSlot: 2 as Slot, snapshot: "2-1-aa" });
    bench.table("S1").set(HEAD, truncated);
    answer("S1");
    expect([bench.table("S1").head, alarms, lost]).toEqual([truncated, [], []]);
    settle("S1");
    expect(bench.table("S1").head).toEqual({ ...truncated, covered: 4 });
  });

  it.each([1, 2])("nothing, as it is lost: told, and it is left alone (at step %d)", (step) => {
    note(["S1", 0]);
    apply(4);
    for (let done = 1; done < step; done++) answer("S1");
    answer("S1", GONE);
    expect([lost, asks]).toEqual([["S1"], []]);
    apply(6);
    expect(asks).toEqual([]);
  });
});

describe("a table that lags behind the memory", () => {
  beforeEach(() => {
    for (let slot = 1; slot <= KEPT + 4; slot++) log.append(slot as Slot, valueAt(slot));
    expect(log.range(1 as Slot, 2 as Slot)).toBeUndefined();
  });

  it("gets what is forgotten from a table that has it, the rest from memory", () => {
    note(["S3", 0], ["S1", 4]);
    expect(asked("S3")).toEqual([]);
    expect(asked("S1")).toEqual([...reads(0, 1), put(2), put(3), put(4), put(5)]);
    settle("S1", "S3");
    expect(bench.table("S3").head?.covered).toBe(KEPT + 4);
    for (let chunk = 0; chunk < 6; chunk++)
      expect(bench.table("S3").read(chunkKey(chunk))).toEqual({ kind: "content", content: chunkOf(chunk) });
  });

  it("copies large chunks in requests of a megabyte, small ones in few, and claims them at once", () => {
    const roomy = { lanes: 2, chunkSlots: 2 };
    log = new RecentLog(roomy);
    archive = archiveOf(majority(ALL), roomy);
    const big = hashed("x".repeat(400_000));
    const small = hashed("x");
    const chunks = 400;
    for (let slot = 1; slot <= 2 * chunks; slot++) log.append(slot as Slot, "-");
    for (let chunk = 0; chunk < chunks; chunk++)
      bench.table("S1").set(chunkKey(chunk), { kind: "content", content: chunk < 16 ? big : small });
    bench.table("S3").set(HEAD, headOf(0));
    archive.noteHead("S1" as AcceptorId, headOf(2 * chunks));
    archive.noteHead("S3" as AcceptorId, headOf(0));
    archive.work();
    const lots: number[][] = [];
    for (let claimed = 0; claimed < 3; claimed++) {
      lots.push([asked("S1").length]);
      answer("S1");
      lots.push(asks.map(({ verbs }) => verbs.length));
      while (asked("S3")[0]?.verb === "put") answer("S3");
      answer("S3");
    }
    expect(lots).toEqual([[16], [2, 2, 2, 2, 2, 2, 2, 2], [16], [16], [128], [128]]);
    expect(bench.table("S3").head?.covered).toBe(2 * (16 + 16 + 128));
  });

  it("waits while no table has it", () => {
    note(["S3", 0], ["S1", 0]);
    expect(asks).toEqual([]);
    note(["S2", 2]);
    expect(asked("S2")).toEqual([...reads(0, 0), ...reads(0, 0)]);
  });

  it.each<[string, Outcome]>([
    ["is lost", GONE],
    ["misses the chunk", { outcome: "applied" }],
    [
      "has it damaged",
      {
        outcome: "applied",
        item: { kind: "content", content: { text: "damaged", digest: chunkOf(0).digest } },
      },
    ],
  ])("turns to the next table when one %s, and does not ask that one again and again", (_, outcome) => {
    archive.noteHead("S1" as AcceptorId, headOf(KEPT + 4));
    note(["S2", KEPT + 4], ["S3", 0]);
    expect(asked("S1")).toEqual(reads(0, 5));
    answer("S1", outcome);
    // What is missing may have been truncated meanwhile: the Head says that it was not.
    while (asked("S1").length > 0) answer("S1", { outcome: "applied", item: headOf(KEPT + 4) });
    expect(asked("S2")).toEqual(reads(0, 5));
    settle("S2", "S3");
    expect(bench.table("S3").head?.covered).toBe(KEPT + 4);
    expect(alarms).toEqual([]);
  });

  it("turns to the next table when one does not answer, and may come back to it", () => {
    for (const of of ["S1", "S2"]) archive.noteHead(of as AcceptorId, headOf(KEPT + 4));
    note(["S3", 0]);
    for (const of of ["S1", "S2", "S1"]) {
      const { request } = asks[0] as Ask;
      for (let attempt = 1; attempt <= TRIES_MAX; attempt++) {
        expect(asked(of)).toEqual(reads(0, 5));
        answer(of, UNKNOWN);
        requests.resend(request);
      }
      archive.work();
    }
    expect(asks.map(({ of }) => of)).toEqual(["S2"]);
  });

  it("waits when none is left that could show it", () => {
    archive.noteHead("S1" as AcceptorId, headOf(KEPT + 4));
    note(["S3", 0]);
    answer("S1", GONE);
    archive.work();
    expect(asks).toEqual([]);
  });
});

describe("a table whose next chunk was truncated on the others", () => {
  /** Six parts: two requests. */
  const snapshot = snapshotOf(4 as Slot, Buffer.from("the state after 4"), sha256, 3);
  const newer = snapshotOf(8 as Slot, Buffer.from("the state after 8"), sha256, 3);
  const snapshotHead = (covered: number, { slot, name }: Snapshot) =>
    headOf(covered, { snapshotSlot: slot, snapshot: name });
  /** A table with a snapshot and the chunks after it. */
  function truncate(of: string, covered: number, by: Snapshot = snapshot): void {
    const table = bench.table(of);
    partKeys(by.name).forEach((key, part) => {
      table.set(key, { kind: "content", content: by.parts[part] as Value });
    });
    for (let chunk = by.slot / 2; chunk < covered / 2; chunk++)
      table.set(chunkKey(chunk), { kind: "content", content: chunkOf(chunk) });
    table.set(HEAD, snapshotHead(covered, by));
  }
  function noteTruncated(of: string, covered: number, by: Snapshot = snapshot): void {
    truncate(of, covered, by);
    archive.noteHead(of as AcceptorId, snapshotHead(covered, by));
  }
  const partsOn = (of: string) => Object.keys(bench.table(of).contents).filter((key) => key.startsWith("S#"));
  const chunksOn = (of: string) =>
    Object.keys(bench.table(of).contents).filter((key) => key.startsWith("A#"));

  beforeEach(() => {
    for (let slot = 1; slot <= KEPT + 4; slot++) log.append(slot as Slot, valueAt(slot));
    noteTruncated("S1", KEPT + 4);
  });

  it("gets the snapshot, few parts in one request; then the Head that claims it; then the chunks", () => {
    note(["S3", 0]);
    expect(asked("S1").map(({ key }) => key)).toEqual(partKeys(snapshot.name).slice(0, 4));
    answer("S1");
    expect(asked("S3").map(({ verb, key }) => [verb, key])).toEqual(
      partKeys(snapshot.name)
        .slice(0, 4)
        .map((key) => ["put", key]),
    );
    // The next lot is read while this one is put.
    expect(asked("S1").map(({ key }) => key)).toEqual(partKeys(snapshot.name).slice(4));
    answer("S1");
    answer("S3");
    expect(asked("S3").map(({ verb }) => verb)).toEqual(["put", "put"]);
    answer("S3");
    expect(asked("S3")).toEqual([{ verb: "advance", key: HEAD, head: snapshotHead(4, snapshot) }]);
    settle("S1", "S3");
    expect(bench.table("S3").head).toEqual(snapshotHead(KEPT + 4, snapshot));
    expect([partsOn("S3"), chunksOn("S3")]).toEqual([partsOn("S1"), chunksOn("S1")]);
    expect(progress.slice(0, 3)).toEqual([
      { acceptor: "S3", covered: 0, of: KEPT + 4, parts: { copied: 4, of: 6 } },
      { acceptor: "S3", covered: 0, of: KEPT + 4, parts: { copied: 6, of: 6 } },
      { acceptor: "S3", covered: 4, of: KEPT + 4 },
    ]);
  });

  it("loses then what it had itself", () => {
    const older = snapshotOf(2 as Slot, Buffer.from("2"), sha256);
    noteTruncated("S2", 2, older);
    archive.work();
    settle("S1", "S2");
    expect(partsOn("S2")).toEqual(partsOn("S1"));
    bench.table("S3").set(chunkKey(0), { kind: "content", content: chunkOf(0) });
    note(["S3", 2]);
    settle("S1", "S2", "S3");
    expect(chunksOn("S3")).toEqual(chunksOn("S1"));
  });

  it("needs no snapshot when it has come so far itself", () => {
    note(["S3", 4]);
    expect(asked("S1").every(({ key }) => key.kind === "chunk")).toBe(true);
  });

  it("gets the newer one when the source is truncated meanwhile", () => {
    note(["S3", 0]);
    answer("S1");
    answer("S3");
    for (const key of partKeys(snapshot.name)) bench.table("S1").execute({ verb: "drop", key });
    truncate("S1", KEPT + 4, newer);
    settle("S1", "S3");
    expect(bench.table("S3").head).toEqual(snapshotHead(KEPT + 4, newer));
  });

  it("gets it in place of chunks that the source has no longer", () => {
    start();
    for (let slot = 1; slot <= KEPT + 4; slot++) log.append(slot as Slot, valueAt(slot));
    note(["S1", KEPT + 4], ["S3", 0]);
    bench.table("S1").execute({ verb: "drop", key: { kind: "chunk", chunk: 0 as ChunkNumber } });
    truncate("S1", KEPT + 4);
    settle("S1", "S3");
    expect(bench.table("S3").head).toEqual(snapshotHead(KEPT + 4, snapshot));
  });

  it.each<[string, Value | undefined]>([
    ["misses a part", undefined],
    ["has a part damaged", { text: "damaged", digest: (snapshot.parts[5] as Value).digest }],
    ["has another part in its place", snapshot.parts[0]],
  ])("turns to another table when one %s, and claims nothing", (_, content) => {
    const key = partKeys(snapshot.name)[5] as PartKey;
    if (content === undefined) bench.table("S1").execute({ verb: "drop", key });
    else bench.table("S1").set(key, { kind: "content", content });
    note(["S3", 0]);
    settle("S1", "S3");
    expect([bench.table("S3").head, asks]).toEqual([headOf(0), []]);
    expect(archive.isStuck(4 as Slot)).toBe(true);
    if (content === snapshot.parts[0]) return;
    noteTruncated("S2", KEPT + 4);
    archive.work();
    settle("S2", "S3");
    expect(bench.table("S3").head).toEqual(snapshotHead(KEPT + 4, snapshot));
  });
});

describe("rule U's second half: full acceptors known to cover a slot meet every read quorum", () => {
  it("of a majority of three, two", () => {
    note(["S1", 4]);
    expect(archive.covers(4 as Slot)).toBe(false);
    note(["S2", 2]);
    expect([1, 2, 3, 4].map((slot) => archive.covers(slot as Slot))).toEqual([true, true, false, false]);
    note(["S3", 4]);
    expect([4, 5].map((slot) => archive.covers(slot as Slot))).toEqual([true, false]);
  });

  it("needs them known: a Head of 0 covers what is before the first slot, an unread one nothing", () => {
    expect(archive.covers(0 as Slot)).toBe(false);
    note(["S1", 0], ["S2", 0]);
    expect([0, 1].map((slot) => archive.covers(slot as Slot))).toEqual([true, false]);
  });

  it("when all are read quorums, all; when only all are, any one", () => {
    start({ ...majority(ALL), read: { atLeast: 1 }, write: { atLeast: 3 } });
    note(["S1", 2], ["S2", 2]);
    expect(archive.covers(2 as Slot)).toBe(false);
    note(["S3", 2]);
    expect(archive.covers(2 as Slot)).toBe(true);
    start({ ...majority(ALL), read: { atLeast: 3 }, write: { atLeast: 1 } });
    note(["S2", 2]);
    expect(archive.covers(2 as Slot)).toBe(true);
  });

  it("is by meeting and not by number: two of three are too few when the third is a read quorum with the witness", () => {
    start({
      acceptors: acceptors("S1", "S2", "S3", "S4"),
      witnesses: acceptors("S4"),
      read: { sets: [acceptors("S1", "S2"), acceptors("S3", "S4")] },
      write: { sets: [acceptors("S1", "S3"), acceptors("S1", "S4", "S2", "S3")] },
    });
    note(["S1", 2], ["S2", 2]);
    expect(archive.covers(2 as Slot)).toBe(false);
    note(["S3", 2]);
    expect(archive.covers(2 as Slot)).toBe(true);
  });

  it("does not count a witness, whatever it shows", () => {
    start({ ...majority(ALL), witnesses: acceptors("S3") });
    note(["S1", 2], ["S3", 2]);
    expect(archive.covers(2 as Slot)).toBe(false);
  });
});
