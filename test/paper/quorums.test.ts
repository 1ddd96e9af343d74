/** Slides "A Generalization of Ordinary Paxos (De Prisco & Lynch, 1997)" and "Tolerating f Failures". */
import { beforeEach, describe, expect, it } from "vitest";
import { faultOf, type QuorumSpec, QuorumSystem } from "../../shared/protocol/quorum.ts";
import { acceptors, Bench, chunkKey, expectAgreement, saying, to } from "./support.ts";

const ALL = acceptors("S1", "S2", "S3");
const spec = (
  read: QuorumSpec["read"],
  write: QuorumSpec["write"],
  witnesses: string[] = [],
): QuorumSpec => ({
  acceptors: ALL,
  witnesses: acceptors(...witnesses),
  read,
  write,
});
/** "write quorum = set of all servers; read quorum = any single server" */
const WRITE_ALL = spec({ atLeast: 1 }, { atLeast: 3 });

describe('"Most interesting case: write quorum = set of all servers, read quorum = any single server"', () => {
  it("chooses a command once all servers have voted for it", () => {
    const bench = new Bench({ quorums: WRITE_ALL });
    const s2 = bench.leader("S2", 2);
    s2.propose("B1");
    s2.exchange(to("S1", "S2"));
    expect([s2.executed, bench.chosen(1)]).toEqual([[], []]);
    s2.exchange(to("S3"));
    expect([s2.executed, bench.chosen(1)]).toEqual([["1: B1"], ["B1"]]);
  });

  it.each(["S1", "S2", "S3"])(
    '"The new leader … need contact only itself": %s alone tells everything chosen',
    (one) => {
      const bench = new Bench({ quorums: WRITE_ALL });
      const s2 = bench.leader("S2", 2);
      s2.propose("B1", "A1");
      s2.exchange();
      s2.propose("C1");
      s2.arrive(to("S1"));
      const s3 = bench.server("S3", 3);
      s3.exchange(saying("promise"), to(one));
      expect(s3.requests.filter(saying("vote"))).toHaveLength(one === "S1" ? 9 : 6);
      s3.exchange();
      expect(s3.executed.slice(0, 2)).toEqual(["1: B1", "2: A1"]);
      expect(s3.executed[2]).toBe(one === "S1" ? "3: C1" : undefined);
      expectAgreement(bench);
    },
  );

  it.each(["S1", "S2", "S3"])(
    '"Useless for ordinary Paxos because cannot choose any command if one server fails": %s',
    (failed) => {
      const bench = new Bench({ quorums: WRITE_ALL });
      const s2 = bench.leader("S2", 2);
      bench.table(failed).isLost = true;
      s2.propose("B1");
      s2.exchange();
      expect(bench.chosen(1)).toEqual([]);
      expect(s2.abdication).toEqual({ why: "noQuorum", lost: [failed] });
    },
  );
});

describe('"Requirement: write quorum ∩ read quorum ≠ ∅"', () => {
  it.each<[string, QuorumSpec, string]>([
    ["one and one", spec({ atLeast: 1 }, { atLeast: 1 }), "read quorum {S1} misses write quorum {S2, S3}"],
    ["one and two", spec({ atLeast: 1 }, { atLeast: 2 }), "read quorum {S1} misses write quorum {S2, S3}"],
    ["two and one", spec({ atLeast: 2 }, { atLeast: 1 }), "read quorum {S1, S2} misses write quorum {S3}"],
    [
      "families",
      spec({ sets: [acceptors("S1"), acceptors("S2", "S3")] }, { sets: [acceptors("S1", "S2")] }),
      // S1 alone meets {S1, S2}; so does {S2, S3}: nothing is wrong with this one but what the next adds.
      "",
    ],
    [
      "families that miss",
      spec(
        { sets: [acceptors("S1"), acceptors("S2", "S3")] },
        { sets: [acceptors("S1", "S2"), acceptors("S2", "S3")] },
      ),
      "read quorum {S1} misses write quorum {S2, S3}",
    ],
    [
      "weights that only seem to be majorities",
      spec({ atLeast: 2, weights: { S1: 2 } }, { atLeast: 2 }),
      "read quorum {S1} misses write quorum {S2, S3}",
    ],
  ])("%s", (_, quorums, fault) => {
    expect(faultOf(quorums) ?? "").toBe(fault);
    if (fault === "") expect(new QuorumSystem(quorums).acceptors).toEqual(ALL);
    else expect(() => new QuorumSystem(quorums)).toThrow(fault);
  });

  it("and nothing more: write quorums of ours may miss each other, as the slide's need not", () => {
    // The slide also has "write quorum ∩ write quorum ≠ ∅"; a ballot of ours has one owner and one value
    // per slot, so two write quorums of one ballot cannot differ (PROTOCOL §1).
    const quorums: QuorumSpec = {
      acceptors: acceptors("S1", "S2", "S3", "S4"),
      witnesses: [],
      read: { sets: [acceptors("S1", "S3"), acceptors("S2", "S4")] },
      write: { sets: [acceptors("S1", "S2"), acceptors("S3", "S4")] },
    };
    const bench = new Bench({ quorums });
    const s2 = bench.leader("S2", 2);
    s2.propose("B1");
    s2.exchange(to("S1", "S2"));
    expect(s2.executed).toEqual(["1: B1"]);
    const s3 = bench.server("S3", 3);
    s3.exchange(saying("promise"), to("S2", "S4"));
    s3.exchange(saying("vote"), to("S3", "S4"));
    expect(s3.executed).toEqual(["1: B1"]);
    expectAgreement(bench);
  });
});

describe('"Requires an extra witness process"', () => {
  const WITNESSED = spec({ atLeast: 2 }, { atLeast: 2 }, ["S3"]);
  const geometry = { lanes: 4, chunkSlots: 2 };
  let bench: Bench;
  beforeEach(() => {
    bench = new Bench({ quorums: WITNESSED, geometry });
  });

  it('"The witness need not maintain the system state": it has no Head and no chunks, and is asked for none', () => {
    const s1 = bench.leader("S1", 2);
    s1.propose("B1", "A1", "B2", "A2");
    s1.exchange();
    expect(bench.table("S1").head?.covered).toBe(4);
    expect(bench.table("S1").read(chunkKey(1))?.kind).toBe("content");
    const kinds = new Set([...bench.table("S3").items.values()].map(({ kind }) => kind));
    expect([...kinds]).toEqual(["cell"]);
    const next = bench.server("S2", 3);
    expect(next.requests.filter(saying("read", "head")).map(({ of }) => of)).toEqual(["S1", "S2"]);
  });

  it('"It just votes": with its vote one copy of the state is enough to go on', () => {
    const s1 = bench.leader("S1", 2);
    s1.propose("B1");
    s1.exchange(to("S1", "S3"));
    expect(s1.executed).toEqual(["1: B1"]);
    expect(bench.standing(1)).toEqual({ S1: "2: B1", S3: "2: B1" });
  });

  it("and with its vote a backup learns what the primary got chosen before it failed", () => {
    const s1 = bench.leader("S1", 2);
    s1.propose("B1");
    s1.arrive(to("S1", "S3"));
    const s2 = bench.server("S2", 3);
    s2.exchange(to("S2", "S3"));
    expect(s2.executed).toEqual(["1: B1"]);
    expectAgreement(bench);
  });

  it("for K commands only while a full server is down: then one copy would be all there is", () => {
    const s1 = bench.leader("S1", 2);
    let proposed = 0;
    for (; s1.leader.admits && proposed < 100; proposed++) {
      s1.propose(`X${proposed}`);
      s1.exchange(to("S1", "S3"));
      s1.lose(to("S2"));
    }
    expect(proposed).toBe(geometry.lanes);
    s1.resend();
    s1.exchange();
    expect(s1.leader.admits).toBe(true);
  });
});
