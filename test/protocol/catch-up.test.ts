/** Everybody who learns or copies from tables that were truncated: new leaders, whoever reconfigures, lagging tables. */
import { beforeEach, describe, expect, it } from "vitest";
import type { ConfigurationNumber } from "../../shared/protocol/ballot.ts";
import type { Configuration } from "../../shared/protocol/configuration.ts";
import { majority, type QuorumSpec, withWitness } from "../../shared/protocol/quorum.ts";
import { partKeys } from "../../shared/protocol/snapshot.ts";
import { acceptors, Bench, chunkKey, type Server, saying, to, votingIn } from "../paper/support.ts";

const geometry = { lanes: 4, chunkSlots: 2 };
let bench: Bench;
let s1: Server;
beforeEach(() => {
  bench = new Bench({ geometry });
  bench.add("S4", "S5");
  s1 = bench.leader("S1", 1);
});

/** Chosen, executed and archived, one slot for each. */
function serve(server: Server, ...names: readonly string[]): void {
  for (const name of names) {
    server.propose(name);
    server.exchange();
  }
}
function next(number = 2, quorums: QuorumSpec = majority(acceptors("S4", "S5"))): Configuration {
  const configuration = { number: number as ConfigurationNumber, previous: number - 1, quorums };
  bench.found(configuration);
  return configuration;
}
const keysOn = (name: string, prefix: string) =>
  Object.keys(bench.table(name).contents).filter((key) => key.startsWith(prefix));
const effects = (told: readonly { readonly effect: string }[]) => told.map(({ effect }) => effect);

describe("a new leader of truncated tables", () => {
  it("takes the snapshot over, executes what follows, votes the tail again and goes on", () => {
    serve(s1, "A", "B", "C", "D");
    bench.truncate(s1.replica);
    serve(s1, "E", "F");
    s1.propose("G");
    s1.arrive(to("S1", "S2"));
    const s2 = bench.leader("S2", 2);
    expect(effects(s2.told)).toEqual(["install", "execute", "execute", "execute", "serve"]);
    expect(s2.executed).toEqual(["5: E", "6: F", "7: G"]);
    serve(s2, "H");
    expect(s2.replica.state).toEqual([..."ABCDEFGH"]);
  });

  it("asks for no chunk that a snapshot stands for", () => {
    serve(s1, ..."ABCDEF");
    bench.truncate(s1.replica);
    serve(s1, "G", "H");
    const s2 = bench.server("S2", 2);
    const asked: number[] = [];
    while (s2.requests.length > 0) {
      for (const { verbs } of s2.requests)
        for (const { key, verb } of verbs) if (verb === "read" && key.kind === "chunk") asked.push(key.chunk);
      s2.arrive();
      s2.receive();
    }
    expect([asked, s2.leader.serving]).toEqual([[3], true]);
  });

  it("that has executed further itself takes nothing over", () => {
    serve(s1, "A", "B", "C", "D");
    bench.truncate(s1.replica);
    const s2 = bench.leader("S1", 2, s1);
    expect(effects(s2.told)).toEqual(["serve"]);
    serve(s2, "E", "F");
    expect(s2.replica.state).toEqual([..."ABCDEF"]);
  });

  it("begins after what it learned, though a successor's slots were among it", () => {
    serve(s1, "A", "B");
    bench.truncate(s1.replica);
    const s2 = bench.server("S2", 2);
    s2.exchange(saying("promise"));
    const s3 = bench.leader("S3", 3);
    serve(s3, "C", "D", "E", "F");
    bench.truncate(s3.replica);
    s2.exchange();
    expect([s2.leader.applied, s2.leader.next]).toEqual([6, 7]);
    expect(s2.replica.state).toEqual([..."ABCDEF"]);
  });
});

describe("a table that lags behind a snapshot", () => {
  it("gets it from the leader's other tables, and then the chunks", () => {
    for (const name of "ABCD") {
      s1.propose(name);
      s1.exchange(to("S1", "S2"));
    }
    s1.lose(to("S3"));
    for (const name of "EFGHIJKLMNOPQRSTUVWX") {
      s1.propose(name);
      s1.exchange(to("S1", "S2"));
    }
    bench.truncate(s1.replica);
    bench.table("S3").items.clear();
    bench.found();
    const s2 = bench.leader("S2", 2, s1);
    serve(s2, "Y", "Z");
    expect(bench.table("S3").head).toEqual(bench.table("S1").head);
    for (const prefix of ["S#", "A#"]) expect(keysOn("S3", prefix)).toEqual(keysOn("S1", prefix));
  });
});

describe("reconfiguring from truncated tables", () => {
  it("copies the snapshot and the chunks after it, and says how far it is", () => {
    serve(s1, ..."ABCDEF");
    const { name } = bench.truncate(s1.replica);
    serve(s1, "G", "H");
    const reconfigurer = bench.reconfigurer(next());
    reconfigurer.copy();
    expect(reconfigurer.said).toEqual(["copied"]);
    for (const table of ["S4", "S5"]) {
      expect(bench.table(table).head).toEqual(bench.table("S1").head);
      for (const prefix of ["S#", "A#"]) expect(keysOn(table, prefix)).toEqual(keysOn("S1", prefix));
    }
    const all = partKeys(name).length;
    const ofS4 = reconfigurer.progress.filter(({ acceptor }) => acceptor === "S4");
    expect(ofS4.map(({ covered, of, parts }) => [covered, of, parts?.copied, parts?.of])).toEqual([
      ...Array.from({ length: Math.ceil(all / 4) }, (_, lot) => [0, 8, Math.min(4 * (lot + 1), all), all]),
      [6, 8, undefined, undefined],
      [8, 8, undefined, undefined],
    ]);
    expect(reconfigurer.replica.applied).toBe(0);
  });

  it("hands the replica the snapshot at the fence, and not before", () => {
    serve(s1, ..."ABCDEF");
    bench.truncate(s1.replica);
    serve(s1, "G", "H", "I");
    const configuration = next();
    const reconfigurer = bench.reconfigurer(configuration);
    reconfigurer.copy();
    reconfigurer.fence();
    expect(reconfigurer.said).toEqual(["copied", "install", "execute", "execute", "transferred"]);
    expect(reconfigurer.replica.state).toEqual([..."ABCDEFGH"]);
    const leader = bench.leader("S5", 1, undefined, configuration);
    expect(leader.replica.state).toEqual([..."ABCDEFGHI"]);
  });

  it("again and again, with truncations between", () => {
    let leader = s1;
    let configuration = bench.configuration;
    const chosen: string[] = [];
    for (const [round, names] of ["ABCD", "EFGH", "IJ", "KLMNOP"].entries()) {
      serve(leader, ...names);
      chosen.push(...names);
      bench.truncate(leader.replica, configuration);
      const following = next(
        round + 2,
        majority(acceptors(...(round % 2 === 0 ? ["S4", "S5"] : ["S1", "S2"]))),
      );
      const reconfigurer = bench.reconfigurer(following, undefined, configuration);
      reconfigurer.copy();
      reconfigurer.fence();
      expect(reconfigurer.said.at(-1)).toBe("transferred");
      configuration = following;
      leader = bench.leader("S5", 1, undefined, configuration);
      expect(leader.replica.state).toEqual(chosen);
    }
  });

  it("goes on when a source is truncated while it is copied", () => {
    serve(s1, ..."ABCD");
    bench.truncate(s1.replica);
    serve(s1, ..."EFGH");
    const reconfigurer = bench.reconfigurer(next());
    reconfigurer.copy((ask) => !saying("read", "part")(ask) && !saying("read", "chunk")(ask));
    bench.truncate(s1.replica);
    reconfigurer.exchange();
    expect(reconfigurer.said).toEqual(["copied"]);
    expect(bench.table("S4").head).toEqual(bench.table("S1").head);
  });

  it("fails when no source can show what its Head claims", () => {
    serve(s1, ..."ABCD");
    const { name } = bench.truncate(s1.replica);
    for (const table of ["S1", "S2", "S3"])
      bench.table(table).execute({ verb: "drop", key: partKeys(name)[0] as ReturnType<typeof partKeys>[0] });
    const reconfigurer = bench.reconfigurer(next());
    reconfigurer.copy();
    expect(reconfigurer.failure).toEqual({ why: "nothingToCopyFrom" });
    expect(bench.table("S4").head?.covered).toBe(0);
  });

  it("gives witnesses no part", () => {
    serve(s1, ..."ABCD");
    bench.truncate(s1.replica);
    const configuration = next(2, withWitness(acceptors("S1", "S4", "S5")));
    const reconfigurer = bench.reconfigurer(configuration);
    reconfigurer.copy();
    reconfigurer.fence();
    expect(reconfigurer.said.at(-1)).toBe("transferred");
    expect([keysOn("S5", "S#"), bench.table("S5").read(chunkKey(0))]).toEqual([[], undefined]);
  });

  it("transfers a tail that begins at the snapshot's end", () => {
    serve(s1, ..."ABCD");
    bench.truncate(s1.replica);
    s1.propose("E");
    s1.arrive(to("S1", "S2"), votingIn(5));
    const configuration = next();
    const reconfigurer = bench.reconfigurer(configuration);
    reconfigurer.copy();
    reconfigurer.fence();
    expect(bench.standing(5, configuration)).toEqual({ S4: "0: E", S5: "0: E" });
  });
});
