import { beforeEach, describe, expect, it } from "vitest";
import {
  FIRST_HEAD,
  GONE,
  HEAD,
  type Head,
  type Item,
  type Outcome,
  UNKNOWN,
  type Value,
  type Verb,
} from "../../shared/protocol/acceptor.ts";
import { Follower, type FollowerEffect, type FollowerInput } from "../../shared/protocol/follower.ts";
import { RecentLog } from "../../shared/protocol/log.ts";
import type { Ask } from "../../shared/protocol/requests.ts";
import type { Slot } from "../../shared/protocol/slot.ts";
import { partKeys, type Snapshot, snapshotOf } from "../../shared/protocol/snapshot.ts";
import { acceptors, Bench, chunkKey, nameOf, saying, sha256, to } from "../paper/support.ts";

const GEOMETRY = { lanes: 4, chunkSlots: 2 };
let bench: Bench;
let log: RecentLog;

beforeEach(() => {
  bench = new Bench({ geometry: GEOMETRY });
  log = new RecentLog(GEOMETRY);
  const leader = bench.leader("S1", 1);
  for (const name of ["B1", "A1", "B2", "C1", "D1"]) {
    leader.propose(name);
    // S3 votes and hears nothing of chunks.
    leader.exchange(saying("vote"));
    leader.exchange(to("S1", "S2"));
  }
  expect(["S1", "S2", "S3"].map((of) => bench.table(of).head?.covered)).toEqual([4, 4, 0]);
});

/** Follows until nothing is left to do; `answerOf` may answer for a table. */
function follow(answerOf: (of: string, verb: Verb) => Outcome | undefined = () => undefined) {
  const follower = new Follower({
    configuration: bench.configuration,
    geometry: GEOMETRY,
    digest: sha256,
    log,
  });
  const told: string[] = [];
  const asked: string[] = [];
  const step = (input: FollowerInput): void => follower.step(input).forEach(carryOut);
  const carryOut = (effect: FollowerEffect): void => {
    if (effect.effect === "execute") told.push(`${effect.slot}: ${nameOf(effect.text)}`);
    else if (effect.effect === "retry") step({ input: "resend", request: effect.request });
    else if (effect.effect === "ask") answer(effect);
    else told.push(effect.effect);
  };
  const answer = ({ of, request, verbs }: Ask): void => {
    asked.push(of);
    const outcomes = verbs.map((verb) => answerOf(of, verb) ?? bench.table(of).execute(verb));
    step({ input: "outcome", request, outcomes });
  };
  step({ input: "catchUp" });
  return { told, asked };
}

/** The table has this snapshot, and no chunk that it stands for. */
function truncate(of: string, { name, slot, parts }: Snapshot): void {
  const table = bench.table(of);
  const head = table.head as Head;
  partKeys(name).forEach((key, part) => {
    table.set(key, { kind: "content", content: parts[part] as Value });
  });
  table.set(HEAD, { ...head, snapshot: name, snapshotSlot: slot });
  for (let chunk = 0; chunk < slot / GEOMETRY.chunkSlots; chunk++)
    table.execute({ verb: "drop", key: chunkKey(chunk) } as Verb);
}

describe("a follower", () => {
  it("executes what the tables cover: chunks, never cells, and each once", () => {
    const { told, asked } = follow();
    expect(told).toEqual(["1: B1", "2: A1", "3: B2", "4: C1", "caughtUp"]);
    // The others are asked for their Heads only: they have nothing more.
    expect(asked).toEqual(["S1", "S1", "S2", "S3"]);
    expect(log.last).toBe(4);
  });

  it("goes on from what its replica has", () => {
    follow();
    expect(follow().told).toEqual(["caughtUp"]);
  });

  it("asks no witness", () => {
    const quorums = { ...bench.configuration.quorums, witnesses: acceptors("S1") };
    Object.assign(bench, { configuration: { ...bench.configuration, quorums } });
    const { told, asked } = follow();
    expect(told).toHaveLength(5);
    expect(asked).not.toContain("S1");
  });

  it("is not content with a table that lags: the next may have more", () => {
    bench.table("S1").set(HEAD, { ...FIRST_HEAD, covered: 2 as Slot });
    expect(follow().told).toEqual(["1: B1", "2: A1", "3: B2", "4: C1", "caughtUp"]);
  });

  it("tries the next table when one is lost", () => {
    bench.table("S1").isLost = true;
    expect(follow().told).toEqual(["1: B1", "2: A1", "3: B2", "4: C1", "caughtUp"]);
  });

  it.each<[string, Item | undefined]>([
    ["is missing", undefined],
    ["is damaged", { kind: "content", content: { text: "damaged", digest: "of something else" } }],
  ])("tries the next table when a chunk %s, and executes nothing twice", (_, item) => {
    const key = chunkKey(1);
    if (item === undefined) bench.table("S1").execute({ verb: "drop", key } as Verb);
    else bench.table("S1").set(key, item);
    const { told, asked } = follow();
    expect(told).toEqual(["1: B1", "2: A1", "3: B2", "4: C1", "caughtUp"]);
    // A missing one may have been truncated meanwhile: the Head says that it was not.
    expect(asked).toEqual(["S1", "S1", ...(item === undefined ? ["S1"] : []), "S2", "S2", "S3"]);
  });

  it("takes a snapshot over where the chunks before are gone, and executes what follows", () => {
    const snapshot = snapshotOf(2 as Slot, Buffer.from("the state after slot 2"), sha256);
    for (const of of ["S1", "S2"]) truncate(of, snapshot);
    expect(follow().told).toEqual(["install", "3: B2", "4: C1", "caughtUp"]);
    expect([log.last, log.get(2 as Slot), log.get(3 as Slot)]).toEqual([4, undefined, expect.any(String)]);
  });

  it("takes no snapshot over that is behind its replica", () => {
    follow();
    const snapshot = snapshotOf(2 as Slot, Buffer.from("the state after slot 2"), sha256);
    for (const of of ["S1", "S2"]) truncate(of, snapshot);
    expect(follow().told).toEqual(["caughtUp"]);
  });

  it("says so when no table can be learned from", () => {
    for (const of of ["S1", "S2", "S3"]) bench.table(of).isLost = true;
    expect(follow().told).toEqual(["cannotCatchUp"]);
    expect(log.last).toBe(0);
  });

  it("is satisfied with a table that covers nothing: it is the leader's to tell the rest", () => {
    bench.table("S1").isLost = true;
    bench.table("S2").isLost = true;
    expect(follow().told).toEqual(["caughtUp"]);
  });

  it("asks again for what is unknown", () => {
    let unknown = 5;
    const { told } = follow((of) => (of === "S1" && unknown-- > 0 ? UNKNOWN : undefined));
    expect(told).toEqual(["1: B1", "2: A1", "3: B2", "4: C1", "caughtUp"]);
  });

  it.each([
    ["its Head", "head"],
    ["its chunks", "chunk"],
  ])("tries the next table when one never answers about %s", (_, kind) => {
    const { told } = follow((of, verb) => (of === "S1" && verb.key.kind === kind ? UNKNOWN : undefined));
    expect(told).toEqual(["1: B1", "2: A1", "3: B2", "4: C1", "caughtUp"]);
  });

  it("says so when none ever answers", () => {
    expect(follow(() => UNKNOWN).told).toEqual(["cannotCatchUp"]);
  });

  it("does not take a lost Head for an empty one", () => {
    const { told, asked } = follow((of, verb) => (of === "S1" && verb.key === HEAD ? GONE : undefined));
    expect(told.at(-1)).toBe("caughtUp");
    expect(asked.filter((of) => of === "S1")).toHaveLength(1);
  });
});
