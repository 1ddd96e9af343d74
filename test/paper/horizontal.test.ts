/**
 * The slides of Part I, from "Make the configuration part of the state" on: horizontal reconfiguration, by α and by
 * epochs; and those of Part IIa that say where the reconfiguration service comes from. A chunk is one slot here, so
 * that the numbers are the talk's.
 */
import { beforeEach, describe, expect, it } from "vitest";
import type { Verb } from "../../shared/protocol/acceptor.ts";
import type { Configuration } from "../../shared/protocol/configuration.ts";
import { majority, withWitness } from "../../shared/protocol/quorum.ts";
import { acceptors, Bench, type Server, saying, to, votingIn } from "./support.ts";

const geometry = { lanes: 8, chunkSlots: 1 };
/** "S2↓ S4↑" */
const withoutS2 = majority(acceptors("S1", "S3", "S4"));

let bench: Bench;
let s3: Server;

/** S3 leads by ballot 3, and the first four commands are chosen. */
function begin(horizontal: { readonly alpha?: number }): void {
  bench = new Bench({ geometry, horizontal });
  bench.add("S4", "S5", "S6");
  s3 = bench.leader("S3", 3);
  choose(s3, "B1", "A1", "B2", "D1");
}

function choose(server: Server, ...names: readonly string[]): void {
  for (const name of names) {
    server.propose(name);
    server.exchange();
  }
}

/** The slots that each message to a server votes in. */
function messages(server: Server): Record<string, (number | undefined)[]> {
  const votes = server.requests.filter(saying("vote"));
  return Object.fromEntries(
    votes.map(({ of, verbs }) => [of, verbs.map((verb) => ("slot" in verb ? verb.slot : undefined))]),
  );
}

/** Where the machine goes on. */
function successorOf(server: Server): Configuration {
  const { abdication } = server;
  if (abdication?.why !== "moved") throw new Error(`it did not move on: ${JSON.stringify(abdication)}`);
  return abdication.to;
}

/** The same process leads the configuration that its state has come to. */
function walkOn(server: Server): Server {
  return bench.leader("S3", 1, server, successorOf(server));
}

describe('"Make the configuration part of the state": "Command n chosen by configuration after command n − 1"', () => {
  beforeEach(() => begin({ alpha: 1 }));

  it('"S3, acting as a client, issues a reconfiguration command": "treated like an ordinary command"', () => {
    s3.reconfigure(1, withoutS2);
    s3.exchange(to("S2", "S3"));
    expect(bench.chosen(5)).toEqual(["S1 S3 S4"]);
    expect(s3.executed.at(-1)).toBe("5: S1 S3 S4");
    expect(s3.answers.at(-1)).toMatchObject({ reply: "reconfiguration", succession: { next: { first: 6 } } });
  });

  it("never reaches the machine's own code", () => {
    s3.reconfigure(1, withoutS2);
    s3.exchange();
    expect(s3.replica.state).toEqual(["B1", "A1", "B2", "D1"]);
  });

  it('"Commands starting from number 6 chosen by S1, S3, and S4"', () => {
    s3.reconfigure(1, withoutS2);
    s3.exchange();
    const successor = walkOn(s3);
    bench.table("S1").isLost = true;
    choose(successor, "A2");
    expect(successor.executed).toEqual(["6: A2"]);
    expect(bench.standing(6, successorOf(s3))).toEqual({ S3: "1: A2", S4: "1: A2" });
    expect(bench.standing(6)).toEqual({});
  });

  it('"What if command 2 were a reconfiguration command?": command 6 waits until command 5 is chosen', () => {
    s3.propose("C1");
    expect([s3.leader.next, s3.leader.admits]).toEqual([6, false]);
    s3.exchange();
    expect(s3.leader.admits).toBe(true);
  });

  it("only of the configuration that it expects, and one at a time: else it is void, and says why", () => {
    s3.reconfigure(7, withoutS2);
    s3.exchange();
    expect(s3.answers.at(-1)).toMatchObject({ void: "configuration 1 is current, not 7" });
    s3.reconfigure(1, withWitness(acceptors("S1", "S3", "S4")));
    s3.exchange();
    expect(s3.answers.at(-1)).toMatchObject({ void: expect.stringContaining("no witnesses") });
    expect(s3.abdication).toBeUndefined();
  });
});

describe('"Command n chosen by configuration after command n − α" (α = 3)', () => {
  beforeEach(() => begin({ alpha: 3 }));

  it('"S3 proposes S2↓S4↑ in ballot 3 of command 5 and no-op in ballot 3 of commands 6 and 7"', () => {
    s3.reconfigure(1, withoutS2);
    s3.arrive();
    expect([5, 6, 7, 8].map((slot) => bench.standing(slot).S1)).toEqual([
      "3: S1 S3 S4",
      "3: no-op",
      "3: no-op",
      undefined,
    ]);
  });

  it('"All chosen with same messages as reconfiguration command"', () => {
    s3.reconfigure(1, withoutS2);
    expect(messages(s3)).toEqual({ S1: [5, 6, 7], S2: [5, 6, 7], S3: [5, 6, 7] });
  });

  it('"Commands number 5–7 chosen": "New configuration takes effect with command number 8"', () => {
    s3.reconfigure(1, withoutS2);
    s3.exchange();
    expect([5, 6, 7].flatMap((slot) => bench.chosen(slot))).toEqual(["S1 S3 S4", "no-op", "no-op"]);
    const successor = walkOn(s3);
    choose(successor, "C1");
    expect(successor.executed).toEqual(["8: C1"]);
    expect(bench.standing(8)).toEqual({});
  });

  it("commands that are under way stand in for the no-ops, and none is void", () => {
    s3.propose("C1");
    s3.reconfigure(1, withoutS2);
    expect(s3.leader.admits).toBe(false);
    s3.exchange();
    expect(s3.executed.slice(4)).toEqual(["5: C1", "6: S1 S3 S4", "7: no-op", "8: no-op"]);
    expect(successorOf(s3).number).toBe(2);
  });

  it("a reconfiguration that will be void is followed by no no-ops", () => {
    s3.reconfigure(2, withoutS2);
    expect(messages(s3)).toEqual({ S1: [5], S2: [5], S3: [5] });
  });

  it("a new leader finds the reconfiguration, and proposes the no-ops that are missing", () => {
    s3.reconfigure(1, withoutS2);
    const [vote] = s3.requests.find(to("S1"))?.verbs ?? [];
    bench.table("S1").execute(vote as Verb);
    const s1 = bench.server("S1", 4);
    s1.exchange();
    expect(s1.executed.slice(4)).toEqual(["5: S1 S3 S4", "6: no-op", "7: no-op"]);
    expect(successorOf(s1).number).toBe(2);
  });
});

describe('"No problem letting α = ∞": "command number = ⟨epoch number, number⟩"', () => {
  beforeEach(() => begin({}));

  /** Command 6 is chosen by the old servers before command 5, which is the reconfiguration. */
  function chooseTooMuch(): void {
    s3.reconfigure(1, withoutS2);
    s3.propose("C1");
    s3.exchange(votingIn(6));
    expect(bench.chosen(6)).toEqual(["C1"]);
  }

  it("nothing is awaited: the next command is proposed while the reconfiguration is under way", () => {
    s3.reconfigure(1, withoutS2);
    expect(s3.leader.admits).toBe(true);
  });

  it("⟨1, 6⟩ is void though it is chosen: it is not executed", () => {
    chooseTooMuch();
    s3.exchange();
    expect(s3.executed.at(-1)).toBe("5: S1 S3 S4");
    expect(s3.replica.state).toEqual(["B1", "A1", "B2", "D1"]);
    expect(successorOf(s3).number).toBe(2);
  });

  it("⟨2, 6⟩ is another command's", () => {
    chooseTooMuch();
    s3.exchange();
    const successor = walkOn(s3);
    choose(successor, "A2");
    expect(successor.executed).toEqual(["6: A2"]);
    expect(bench.chosen(6, successorOf(s3))).toEqual(["A2"]);
  });

  it("nobody who comes later takes ⟨1, 6⟩ for a command: who recovers the old configuration walks on", () => {
    chooseTooMuch();
    s3.exchange();
    const s1 = bench.server("S1", 4);
    s1.exchange();
    expect(s1.executed.at(-1)).toBe("5: S1 S3 S4");
    expect(s1.abdication).toEqual(s3.abdication);
  });

  it("the old leader answers no read once the new configuration is current", () => {
    s3.reconfigure(1, withoutS2);
    s3.read(1);
    s3.exchange(saying("vote"));
    s3.exchange();
    expect([s3.abdication?.why, s3.answeredReads]).toEqual(["moved", []]);
  });

  it("the new servers choose nothing before they have what the old ones chose", () => {
    s3.reconfigure(1, withoutS2);
    s3.exchange(saying("vote"));
    const [old, next] = [successorOf(s3).previous, successorOf(s3)];
    const successor = bench.server("S3", 1, s3, next);
    successor.exchange(saying("create"));
    successor.exchange(saying("promise"));
    expect([old, successor.leader.serving, successor.leader.admits]).toEqual([1, true, false]);
    successor.exchange();
    expect([bench.table("S4").head?.covered, successor.leader.admits]).toEqual([5, true]);
  });

  it("a new server is asked for nothing before it has all its cells, and nobody waits for it", () => {
    s3.reconfigure(1, withoutS2);
    s3.exchange(saying("vote"));
    const successor = bench.server("S3", 1, s3, successorOf(s3));
    expect(successor.requests.every(saying("create"))).toBe(true);
    successor.exchange(to("S1", "S3"));
    expect([successor.leader.serving, successor.lost]).toEqual([true, []]);
    successor.propose("A2");
    expect(successor.requests.filter(to("S4")).every(saying("create"))).toBe(true);
    successor.exchange();
    expect(bench.standing(6, successorOf(s3))).toEqual({ S1: "1: A2", S3: "1: A2", S4: "1: A2" });
  });

  it("and a new leader whose state is older goes back to the old ones", () => {
    s3.reconfigure(1, withoutS2);
    s3.exchange(saying("vote"));
    const next = successorOf(s3);
    bench.found(next);
    const s1 = bench.server("S1", 1, undefined, next);
    s1.exchange();
    expect(s1.abdication).toMatchObject({ why: "moved", to: { number: 1 } });
  });
});

describe('"Run the Reconfiguration Service as a reliable state machine (with horizontal reconfiguration)"', () => {
  it('"Problem: removing reliance on ancient configurations": once a new one is installed the old servers may go', () => {
    begin({});
    let server = s3;
    const replacements = [
      ["S4", "S2", "S3"],
      ["S4", "S5", "S3"],
      ["S4", "S5", "S6"],
    ];
    replacements.forEach((names, index) => {
      server.reconfigure(index + 1, majority(acceptors(...names)));
      server.exchange();
      server = walkOn(server);
      server.exchange();
      expect(server.told).toContainEqual({ effect: "epochInstalled" });
      for (const name of ["S1", "S2", "S3"]) if (!names.includes(name)) bench.table(name).isLost = true;
      choose(server, `X${index}`);
    });
    const stranger = bench.leader("S1", 9, undefined, server.succession.current.configuration);
    expect(stranger.replica.state).toEqual(["B1", "A1", "B2", "D1", "X0", "X1", "X2"]);
  });
});
