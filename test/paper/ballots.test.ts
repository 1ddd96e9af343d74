/** Slides "A Closer Look at Paxos" and "More About How Paxos Chooses Each Single Command". */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Cell } from "../../shared/protocol/acceptor.ts";
import { ballotOf } from "../../shared/protocol/ballot.ts";
import type { Slot } from "../../shared/protocol/slot.ts";
import { forAll } from "../protocol/for-all.ts";
import {
  Bench,
  batchOf,
  CONFIGURATION,
  expectAgreement,
  hashed,
  processOf,
  type Server,
  saying,
  to,
  votingIn,
} from "./support.ts";

describe('"Each ballot number used by at most one leader"', () => {
  it("since it has its leader's name in it: two that choose the same round have different ballots", () => {
    const bench = new Bench();
    const [s1, s3] = [bench.server("S1", 3), bench.server("S3", 3)];
    expect(s1.ballot).not.toBe(s3.ballot);
    expect(ballotOf(CONFIGURATION, 3, processOf("S3"))).toBe(s3.ballot);
    s1.exchange(to("S1", "S2"));
    s3.exchange(to("S2", "S3"));
    s1.propose("A1");
    s3.propose("C1");
    s1.exchange();
    s3.exchange();
    expect(s1.abdication).toEqual({ why: "fenced", by: s3.ballot });
    expect(s3.executed).toEqual(["1: C1"]);
    expectAgreement(bench);
  });

  it("and if one were used twice, nobody would go on", () => {
    const bench = new Bench();
    const [one, twin] = [bench.leader("S2", 2), bench.server("S2", 2)];
    twin.exchange();
    one.propose("A1");
    twin.propose("C1");
    one.exchange(to("S1"));
    twin.exchange(to("S1"));
    expect(twin.abdication).toMatchObject({ why: "alarm", alarm: { invariant: 2 } });
  });
});

describe('"A command C is chosen at ballot b iff a majority of servers vote for C in ballot b"', () => {
  it.each([
    [[], false],
    [["S1"], false],
    [["S2"], false],
    [["S3"], false],
    [["S1", "S2"], true],
    [["S1", "S3"], true],
    [["S2", "S3"], true],
    [["S1", "S2", "S3"], true],
  ])("%j", (voters, isChosen) => {
    const bench = new Bench();
    const s2 = bench.leader("S2", 2);
    s2.propose("B1");
    s2.exchange(to(...voters));
    expect(bench.chosen(1)).toEqual(isChosen ? ["B1"] : []);
    expect(s2.executed).toEqual(isChosen ? ["1: B1"] : []);
  });

  it("in one ballot: votes for one command in different ballots do not add up", () => {
    // S1 votes for B1 in ballot 2, S3 for the same B1 in ballot 3, and neither ballot has a majority yet.
    const bench = new Bench();
    const s2 = bench.leader("S2", 2);
    s2.propose("B1");
    s2.arrive(to("S1"));
    const s3 = bench.server("S3", 3);
    s3.exchange(saying("promise"));
    s3.exchange(votingIn(1), to("S3"));
    expect(bench.standing(1)).toEqual({ S1: "2: B1", S3: "3: B1" });
    expect([s3.executed, bench.chosen(1)]).toEqual([[], []]);
    s3.exchange(votingIn(1), to("S1"));
    expect([s3.executed, bench.chosen(1)]).toEqual([["1: B1"], ["B1"]]);
  });
});

describe('"C is safe at ballot b iff no command except (perhaps) C can ever be chosen at a ballot < b"', () => {
  it('"1. All commands are safe at 0": a first leader proposes whatever it receives', () => {
    const bench = new Bench();
    for (const table of bench.tables.keys())
      for (const slot of [1, 2, 3]) expect(bench.cell(table, slot).vote).toBeUndefined();
    const first = bench.leader("S1", 1);
    expect([first.leader.next, first.executed]).toEqual([1, []]);
  });

  it('"2. … a majority of servers will never vote for any command except (perhaps) C in ballot b − 1"', () => {
    // Whoever promised ballot 3 never votes in ballot 2 again: that is what makes C safe at 3.
    const bench = new Bench();
    const s2 = bench.leader("S2", 2);
    s2.propose("B1", "A1");
    s2.arrive(to("S1"));
    const s3 = bench.server("S3", 3);
    s3.arrive(to("S1", "S3"));
    const before = bench.contents;
    const votes = bench.votes.length;
    s2.arrive(to("S1", "S3"));
    expect(bench.contents).toEqual(before);
    expect(bench.votes).toHaveLength(votes);
    s2.arrive(to("S2"));
    s3.receive();
    s3.exchange();
    expect(bench.chosen(1)).toEqual(["B1"]);
  });

  it("2. by the largest ballot: a command of an older one is no longer safe", () => {
    const bench = new Bench();
    const s2 = bench.leader("S2", 2);
    s2.propose("B1");
    s2.arrive(to("S1"));
    const s3 = bench.server("S3", 3);
    s3.exchange(to("S2", "S3"));
    s3.propose("D1");
    s3.arrive(to("S3"));
    expect(bench.standing(1)).toEqual({ S1: "2: B1", S3: "3: D1" });
    const s4 = bench.server("S4", 4);
    s4.exchange(to("S1", "S3"));
    expect(s4.executed).toEqual(["1: D1"]);
    s3.exchange();
    expectAgreement(bench);
  });

  it('"3. Different commands cannot be chosen in different ballots": a table refuses a vote below its promise', () => {
    const bench = new Bench();
    const s3 = bench.leader("S3", 3);
    const value = hashed(batchOf(s3.ballot, "X"));
    const key = { kind: "cell", configuration: CONFIGURATION, lane: 2 } as never;
    const ballot = ballotOf(CONFIGURATION, 2, processOf("S2"));
    expect(bench.table("S1").execute({ verb: "vote", key, ballot, slot: 1 as Slot, value })).toMatchObject({
      outcome: "refused",
      by: { promised: s3.ballot },
    });
  });
});

describe('"A new leader starts ballot b by contacting a majority of servers and learning either"', () => {
  it('"(i) some (previously proposed) command C is safe at b": "it proposes C in ballot b"', () => {
    const bench = new Bench();
    const s2 = bench.leader("S2", 2);
    s2.propose("C1");
    s2.arrive(to("S1"));
    const s3 = bench.server("S3", 3);
    s3.exchange(saying("promise"), to("S1", "S3"));
    expect(s3.requests.filter(votingIn(1))).toHaveLength(3);
    for (const { verbs } of s3.requests.filter(votingIn(1)))
      expect(verbs).toEqual([
        expect.objectContaining({
          ballot: s3.ballot,
          value: hashed(bench.cell("S1", 1).vote?.value.text ?? ""),
        }),
      ]);
    expect(s3.leader.serving).toBe(false);
  });

  it('"(ii) all commands are safe at b": "it proposes in ballot b the next command it receives from a client"', () => {
    const bench = new Bench();
    const s2 = bench.leader("S2", 2);
    s2.propose("C1");
    const s3 = bench.server("S3", 3);
    s3.exchange(saying("promise"), to("S1", "S3"));
    expect(s3.requests.filter(saying("vote"))).toEqual([]);
    expect(s3.leader.serving).toBe(true);
    s3.propose("D1");
    s3.exchange();
    expect(s3.executed).toEqual(["1: D1"]);
  });

  it("contacting a minority is learning nothing", () => {
    const bench = new Bench();
    const s3 = bench.server("S3", 3);
    s3.exchange(to("S3"));
    s3.lose();
    s3.resend();
    s3.exchange(to("S3"));
    expect([s3.leader.serving, s3.leader.admits]).toEqual([false, false]);
    expect(() => s3.propose("D1")).toThrow("rule U");
  });

  it.each([0, 1, 7, 32])(
    '"Done simultaneously for all command numbers": one round, with %d of them open',
    (open) => {
      const bench = new Bench();
      const s2 = bench.leader("S2", 2);
      for (let slot = 1; slot <= open; slot++) s2.propose(`X${slot}`);
      s2.arrive(to("S1"));
      const s3 = bench.server("S3", 3);
      // One message to each server, whatever the number of commands: a promise per lane, and the Head.
      expect(s3.requests.map(({ of }) => of)).toEqual(["S1", "S2", "S3"]);
      for (const { verbs } of s3.requests) expect(verbs).toHaveLength(bench.geometry.lanes + 1 + 1);
      s3.exchange(saying("promise"), to("S1", "S3"));
      s3.requests = s3.requests.filter((ask) => !saying("promise")(ask));
      // The next ones are the votes already, all at once.
      expect(s3.requests).toHaveLength(3 * open);
      s3.exchange(saying("vote"));
      expect(s3.executed).toEqual(Array.from({ length: open }, (_, index) => `${index + 1}: X${index + 1}`));
      expect(s3.leader.serving).toBe(true);
    },
  );
});

/** One thing that happens: which server, what, with which table. */
type Event = readonly ["lead" | "propose" | "arrive" | "receive" | "lose" | "resend", number, number];

describe("at most one command is chosen under each number (observation 3), whatever happens", () => {
  const event: fc.Arbitrary<Event> = fc.tuple(
    fc.constantFrom(
      "lead",
      "propose",
      "propose",
      "arrive",
      "arrive",
      "arrive",
      "receive",
      "receive",
      "lose",
      "resend",
    ),
    fc.nat(2),
    fc.nat(2),
  );

  function run(events: readonly Event[]): { bench: Bench; servers: Server[] } {
    const bench = new Bench({ geometry: { lanes: 2, chunkSlots: 1 } });
    const servers: Server[] = [];
    let round = 0;
    for (const [what, who, where] of events) {
      const server = servers.at(-1 - who);
      const table = to(`S${where + 1}`);
      if (what === "lead") servers.push(bench.server(`S${++round % 10}`, round));
      else if (server === undefined) continue;
      else if (what === "propose" && server.leader.admits) server.propose(`X${round}-${server.leader.next}`);
      else if (what === "arrive") server.arrive(table);
      else if (what === "receive") server.receive(table);
      else if (what === "lose") server.lose(table);
      else if (what === "resend") server.resend();
    }
    return { bench, servers };
  }

  forAll(
    "messages lost, late and repeated; three leaders at once",
    [fc.array(event, { minLength: 20, maxLength: 400 })],
    (events) => {
      const { bench, servers } = run(events);
      expectAgreement(bench);
      const last = bench.leader("S9", 1_000);
      for (const { replica } of servers)
        expect((last.replica.state as string[]).slice(0, (replica.state as string[]).length)).toEqual(
          replica.state,
        );
      for (const server of servers)
        if (server.abdication !== undefined) expect(server.abdication.why).not.toBe("alarm");
      for (const [, table] of bench.tables)
        for (const item of table.items.values())
          if (item.kind === "cell")
            expect((item as Cell).vote?.ballot ?? "").toSatisfy((b: string) => b <= item.promised);
    },
    300,
  );
});
