import { beforeEach, describe, expect, it } from "vitest";
import { type Cell, keyText } from "../../shared/protocol/acceptor.ts";
import { birthBallot, type ConfigurationNumber } from "../../shared/protocol/ballot.ts";
import type { Configuration } from "../../shared/protocol/configuration.ts";
import { majority, primaryBackup, type QuorumSpec, withWitness } from "../../shared/protocol/quorum.ts";
import { type ChunkNumber, laneOf, type Slot } from "../../shared/protocol/slot.ts";
import { encodeChunk } from "../../shared/protocol/value.ts";
import {
  acceptors,
  Bench,
  chunkKey,
  hashed,
  nameOf,
  type Reconfigurer,
  type Server,
  saying,
  to,
  votingIn,
} from "../paper/support.ts";

const geometry = { lanes: 4, chunkSlots: 2 };
let bench: Bench;
let s1: Server;
beforeEach(() => {
  bench = new Bench({ geometry });
  bench.add("S4", "S5");
  s1 = bench.leader("S1", 1);
});

function next(
  quorums: QuorumSpec = majority(acceptors("S3", "S1", "S4")),
  number = 2,
  isFounded = true,
): Configuration {
  const configuration = { number: number as ConfigurationNumber, previous: 1, quorums };
  if (isFounded) bench.found(configuration);
  return configuration;
}

/** Chosen, executed and archived, one slot for each. */
function serve(...names: readonly string[]): void {
  for (const name of names) {
    s1.propose(name);
    s1.exchange();
  }
}

/** The votes of a reconfigurer, by table and slot. */
function votesOf(reconfigurer: Reconfigurer): readonly string[] {
  return reconfigurer.requests.flatMap(({ of, verbs }) =>
    verbs.flatMap((verb) => (verb.verb === "vote" ? [`${of}: ${verb.slot} ${nameOf(verb.value.text)}`] : [])),
  );
}

function s1Chunk() {
  const text = encodeChunk(1 as ChunkNumber, s1.log.range(3 as Slot, 4 as Slot) ?? []);
  return hashed(text);
}

const covered = (name: string): number | undefined => bench.table(name).head?.covered;

it("is only from a configuration to one that replaces it", () => {
  const configuration = { ...next(), previous: 3 };
  expect(() => bench.reconfigurer(configuration)).toThrow("configuration 2 replaces 3, not 1");
});

describe("copying (§7 step 2)", () => {
  it("brings every new table's Head to where the old ones are, with the same chunks", () => {
    serve("A", "B", "C", "D", "E");
    const reconfigurer = bench.reconfigurer(next());
    reconfigurer.copy();
    expect(reconfigurer.said).toEqual(["copied"]);
    expect(["S3", "S1", "S4"].map(covered)).toEqual([4, 4, 4]);
    for (const chunk of [0, 1])
      expect(bench.table("S4").read(chunkKey(chunk))).toEqual(bench.table("S1").read(chunkKey(chunk)));
  });

  it("disturbs nobody: no promise, no vote, and the old configuration serves on", () => {
    serve("A", "B", "C");
    const reconfigurer = bench.reconfigurer(next());
    reconfigurer.step({ input: "copy" });
    while (reconfigurer.requests.length > 0) {
      expect(reconfigurer.requests.filter(saying("promise"))).toEqual([]);
      expect(reconfigurer.requests.filter(saying("vote"))).toEqual([]);
      reconfigurer.arrive();
      reconfigurer.receive();
    }
    serve("D");
    expect(s1.executed.at(-1)).toBe("4: D");
  });

  it("executes nothing and needs no replica", () => {
    serve("A", "B", "C", "D");
    const reconfigurer = bench.reconfigurer(next());
    reconfigurer.copy();
    expect([reconfigurer.replica.applied, reconfigurer.log.last]).toEqual([0, 0]);
  });

  it("goes on while much is chosen meanwhile", () => {
    serve(..."ABCDEF");
    const reconfigurer = bench.reconfigurer(next());
    reconfigurer.copy(to("S1", "S2", "S3"));
    serve(..."GHIJKLMNOPQR");
    reconfigurer.exchange();
    expect(reconfigurer.said).toEqual(["copied"]);
    expect(covered("S4")).toBe(18);
  });

  it("passes over an old table that does not answer", () => {
    serve("A", "B");
    const reconfigurer = bench.reconfigurer(next());
    reconfigurer.copy(to("S1", "S3", "S4"));
    expect(reconfigurer.said).toEqual([]);
    reconfigurer.waitInVain(to("S2"));
    reconfigurer.exchange();
    expect(reconfigurer.said).toEqual(["copied"]);
  });

  it("fails when no old table can be read", () => {
    const reconfigurer = bench.reconfigurer(next(majority(acceptors("S4", "S5"))));
    reconfigurer.step({ input: "copy" });
    reconfigurer.waitInVain(to("S1", "S2", "S3"));
    expect(reconfigurer.failure).toEqual({ why: "nothingToCopyFrom" });
  });

  it("fails when no old table can show a chunk, and one that can is enough", () => {
    serve("A", "B", "C", "D");
    for (const name of ["S1", "S2"]) bench.table(name).items.delete(keyText(chunkKey(1)));
    const configuration = next(majority(acceptors("S4", "S5")));
    const [one, other] = [bench.reconfigurer(configuration), bench.reconfigurer(configuration)];
    one.copy(to("S1", "S2", "S3"));
    bench.table("S3").items.delete(keyText(chunkKey(1)));
    one.exchange();
    expect(one.failure).toEqual({ why: "nothingToCopyFrom" });
    bench.table("S3").set(chunkKey(1), { kind: "content", content: s1Chunk() });
    other.copy();
    expect(other.said).toEqual(["copied"]);
  });

  it("fails when a new table is lost, and nothing has happened to the old configuration", () => {
    serve("A", "B");
    const configuration = next();
    bench.table("S4").isLost = true;
    const reconfigurer = bench.reconfigurer(configuration);
    reconfigurer.copy();
    expect(reconfigurer.failure).toEqual({ why: "noQuorum", lost: ["S4"] });
    serve("C");
    expect(s1.executed.at(-1)).toBe("3: C");
  });

  it("raises an alarm when a new table holds other values", () => {
    serve("A", "B");
    const configuration = next();
    bench.table("S4").set(chunkKey(0), { kind: "content", content: hashed("others") });
    const reconfigurer = bench.reconfigurer(configuration);
    reconfigurer.copy();
    expect(reconfigurer.failure).toMatchObject({ why: "alarm", alarm: { invariant: 6 } });
  });
});

describe("fencing (§7 step 3)", () => {
  it("ends the old ballots with the first one of the new configuration", () => {
    const reconfigurer = bench.reconfigurer(next());
    reconfigurer.copy();
    reconfigurer.fence();
    s1.propose("A");
    s1.exchange();
    expect(s1.abdication).toEqual({ why: "fenced", by: birthBallot(2 as ConfigurationNumber) });
    expect(bench.chosen(1)).toEqual([]);
  });

  it("executes what a Head covers, and nothing of the tail", () => {
    serve("A", "B", "C");
    const reconfigurer = bench.reconfigurer(next());
    reconfigurer.copy();
    reconfigurer.fence();
    expect(reconfigurer.said).toEqual(["copied", "execute", "execute", "transferred"]);
    expect(reconfigurer.replica.state).toEqual(["A", "B"]);
  });

  it("needs a read quorum of the old configuration, and no more", () => {
    serve("A", "B", "C");
    const reconfigurer = bench.reconfigurer(next());
    reconfigurer.copy();
    bench.table("S2").isLost = true;
    reconfigurer.fence();
    expect(reconfigurer.said.at(-1)).toBe("transferred");
  });

  it("fails with less, and when a newer reconfiguration fenced first", () => {
    const configuration = next();
    const [late, newer] = [bench.reconfigurer(configuration), bench.reconfigurer(next(undefined, 3))];
    for (const each of [late, newer]) each.copy();
    newer.fence();
    late.fence();
    expect(late.failure).toEqual({ why: "fenced", by: birthBallot(3 as ConfigurationNumber) });
    const hopeless = bench.reconfigurer(next(majority(acceptors("S4", "S5")), 4));
    hopeless.copy();
    for (const name of ["S2", "S3"]) bench.table(name).isLost = true;
    hopeless.fence();
    expect(hopeless.failure).toEqual({ why: "noQuorum", lost: ["S2", "S3"] });
  });

  it("may fence after an older reconfiguration that was transferred, and finds the same", () => {
    serve("A", "B", "C");
    const [older, newer] = [bench.reconfigurer(next()), bench.reconfigurer(next(undefined, 3))];
    for (const each of [older, newer]) each.copy();
    older.fence();
    newer.fence();
    expect([older, newer].map(({ said }) => said.at(-1))).toEqual(["transferred", "transferred"]);
    expect(bench.standing(3, next(undefined, 3, false))).toEqual({ S1: "0: C", S3: "0: C", S4: "0: C" });
  });
});

describe("transferring (§7 step 4)", () => {
  it("votes the tail in the new lanes, on all acceptors, at the new configuration's first ballot", () => {
    serve("A", "B", "C");
    const configuration = next();
    const reconfigurer = bench.reconfigurer(configuration);
    reconfigurer.copy();
    reconfigurer.fence();
    expect(bench.standing(3, configuration)).toEqual({ S3: "0: C", S1: "0: C", S4: "0: C" });
    expect(bench.cell("S4", 3, configuration).vote?.ballot).toBe(birthBallot(configuration.number));
  });

  it("keeps a value that one table voted, and fills what nobody voted with no-ops", () => {
    s1.propose("A", "B", "C");
    s1.arrive(votingIn(3), to("S1"));
    const configuration = next();
    const reconfigurer = bench.reconfigurer(configuration);
    reconfigurer.copy();
    reconfigurer.fence();
    expect([1, 2, 3].map((slot) => bench.standing(slot, configuration).S4)).toEqual([
      "0: no-op",
      "0: no-op",
      "0: C",
    ]);
  });

  it("need not keep what the fencing quorum has not seen", () => {
    s1.propose("A");
    s1.arrive(to("S2"));
    const configuration = next();
    const reconfigurer = bench.reconfigurer(configuration);
    reconfigurer.copy();
    reconfigurer.fence(to("S1", "S3", "S4"));
    expect(bench.standing(1, configuration)).toEqual({});
    expect(reconfigurer.said.at(-1)).toBe("transferred");
  });

  it("has transferred only when the last acceptor has the last vote", () => {
    serve("A");
    s1.propose("B");
    s1.arrive();
    const reconfigurer = bench.reconfigurer(next());
    reconfigurer.copy();
    reconfigurer.step({ input: "fence" });
    reconfigurer.exchange((ask) => !(votingIn(2)(ask) && to("S4")(ask)));
    expect(votesOf(reconfigurer)).toEqual(["S4: 2 B"]);
    expect(reconfigurer.said).not.toContain("transferred");
    reconfigurer.lose();
    reconfigurer.resend();
    reconfigurer.exchange();
    expect(reconfigurer.said.at(-1)).toBe("transferred");
  });

  it("has transferred only when every full acceptor's Head covers what is not in the tail", () => {
    serve("A", "B");
    const reconfigurer = bench.reconfigurer(next());
    reconfigurer.copy();
    serve("C", "D");
    reconfigurer.step({ input: "fence" });
    reconfigurer.exchange((ask) => !(saying("advance")(ask) && to("S4")(ask)));
    expect([reconfigurer.said.includes("transferred"), covered("S4")]).toEqual([false, 2]);
    reconfigurer.exchange();
    expect([reconfigurer.said.at(-1), covered("S4")]).toEqual(["transferred", 4]);
  });

  it("goes on with the replica of whoever led, and transfers what that has executed", () => {
    serve("A", "B", "C");
    const configuration = next();
    const reconfigurer = bench.reconfigurer(configuration, s1);
    reconfigurer.copy();
    reconfigurer.fence();
    expect(reconfigurer.said).toEqual(["copied", "transferred"]);
    expect(bench.standing(3, configuration)).toEqual({ S3: "0: C", S1: "0: C", S4: "0: C" });
  });

  it("gives witnesses votes and nothing else", () => {
    serve("A", "B", "C");
    const configuration = next(withWitness(acceptors("S1", "S4", "S5")));
    const reconfigurer = bench.reconfigurer(configuration);
    reconfigurer.copy();
    reconfigurer.fence();
    expect(reconfigurer.said.at(-1)).toBe("transferred");
    expect(bench.standing(3, configuration)).toEqual({ S1: "0: C", S4: "0: C", S5: "0: C" });
    expect([covered("S5"), bench.table("S5").read(chunkKey(0))]).toEqual([undefined, undefined]);
  });

  it("fails when a new acceptor is lost, witness or not", () => {
    serve("A");
    for (const [number, name] of [
      [2, "S4"],
      [3, "S5"],
    ] as const) {
      const reconfigurer = bench.reconfigurer(next(withWitness(acceptors("S1", "S4", "S5")), number));
      reconfigurer.copy();
      bench.table(name).isLost = true;
      reconfigurer.fence();
      expect(reconfigurer.failure).toEqual({ why: "noQuorum", lost: [name] });
      bench.table(name).isLost = false;
    }
  });

  it("does not transfer what is damaged", () => {
    s1.propose("A");
    s1.arrive(to("S1"));
    const cell = bench.cell("S1", 1);
    const vote = { ...(cell.vote as NonNullable<Cell["vote"]>), value: { ...hashed("A"), text: "B" } };
    bench.table("S1").set(
      { kind: "cell", configuration: bench.configuration.number, lane: laneOf(geometry, 1 as Slot) },
      {
        ...cell,
        vote,
      },
    );
    const configuration = next();
    const reconfigurer = bench.reconfigurer(configuration);
    reconfigurer.copy();
    reconfigurer.fence();
    expect(reconfigurer.failure).toMatchObject({ why: "damaged", acceptor: "S1" });
    expect(bench.standing(1, configuration)).toEqual({});
  });

  it("needs no copying when nothing was copied before", () => {
    serve("A", "B", "C");
    const configuration = next(majority(acceptors("S4", "S5")));
    const reconfigurer = bench.reconfigurer(configuration);
    reconfigurer.fence();
    expect(reconfigurer.said.at(-1)).toBe("transferred");
    expect(["S4", "S5"].map(covered)).toEqual([2, 2]);
  });

  it("says nothing more afterwards", () => {
    const reconfigurer = bench.reconfigurer(next());
    reconfigurer.copy();
    reconfigurer.fence();
    for (const input of ["copy", "fence"] as const) reconfigurer.step({ input });
    expect([reconfigurer.said, reconfigurer.requests]).toEqual([["copied", "transferred"], []]);
  });
});

describe("whoever leads the new configuration", () => {
  it.each([
    ["majority", majority(acceptors("S3", "S1", "S4"))],
    ["read any, write all", primaryBackup(acceptors("S4", "S5"))],
    ["a witness", withWitness(acceptors("S4", "S5", "S1"))],
    ["the same acceptors", majority(acceptors("S1", "S2", "S3"))],
  ])("has everything, and goes on with the next slot: %s", (_, quorums) => {
    serve("A", "B", "C");
    s1.propose("D", "E");
    s1.arrive(to("S1", "S2"));
    const configuration = next(quorums);
    const reconfigurer = bench.reconfigurer(configuration);
    reconfigurer.copy();
    reconfigurer.fence();
    const leader = bench.leader("S5", 1, undefined, configuration);
    leader.propose("F");
    leader.exchange();
    expect(leader.executed).toEqual(["1: A", "2: B", "3: C", "4: D", "5: E", "6: F"]);
  });
});
