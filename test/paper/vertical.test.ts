/**
 * Slides "How It's Done", "Remember How It's Done" and "The Solution" of Part IIa: Vertical Paxos. The talk's vertical
 * ballots are the configurations here: each has its own servers, and its first ballot ends those before it.
 */
import { beforeEach, describe, expect, it } from "vitest";
import type { ConfigurationNumber, ProcessId } from "../../shared/protocol/ballot.ts";
import type { Configuration, MachineId } from "../../shared/protocol/configuration.ts";
import { majority, primaryBackup, type QuorumSpec } from "../../shared/protocol/quorum.ts";
import {
  applyRegistry,
  initialRegistry,
  type Location,
  lookup,
  proposalOf,
  type RegistryCommand,
  type RegistryState,
} from "../../shared/protocol/registry.ts";
import { CONTEXT, endorse, keyOf } from "../support/endorsing.ts";
import { acceptors, Bench, type Reconfigurer, type Server, saying, to, votingIn } from "./support.ts";

const MACHINE = "bank/1" as MachineId;
const apply = (to: RegistryState, command: RegistryCommand): unknown => applyRegistry(to, command, CONTEXT);

/** The talk's reliable reconfiguration service. */
class Service {
  readonly #state: RegistryState = initialRegistry();

  constructor(quorums: QuorumSpec) {
    for (const id of acceptors("S1", "S2", "S3", "S4", "S5"))
      apply(this.#state, {
        type: "registerAcceptor",
        acceptor: { id, kind: "server", location: id, incarnation: "1" },
      });
    const leader = { id: "S1", process: "1".repeat(32) as ProcessId, address: "S1", publicKey: keyOf("S1") };
    apply(this.#state, { type: "registerLeader", leader });
    apply(this.#state, { type: "registerMachine", machine: MACHINE, acceptors: 3 });
    this.reportStarted(1);
    this.reportStarted(this.ask("the first reconfiguration", quorums).number);
  }

  /** "Asks to be new leader of configuration …" */
  ask(nonce: string, quorums: QuorumSpec): Configuration {
    const reason = { operator: "the speaker" };
    const answer = apply(this.#state, { type: "propose", machine: MACHINE, quorums, nonce, reason });
    return (answer as Location).configuration;
  }

  /** "Reports that it has successfully started ballot …"; whether it is told to resume normal operation. */
  reportStarted(number: number): boolean {
    const configuration = number as ConfigurationNumber;
    const proposal = proposalOf(this.#state, MACHINE, number)?.proposed.configuration;
    const endorsements = proposal === undefined ? [] : [endorse("S1", MACHINE, proposal)];
    const answer = apply(this.#state, { type: "complete", machine: MACHINE, configuration, endorsements });
    return (answer as { activated: boolean }).activated;
  }

  get active(): number | undefined {
    return lookup(this.#state, MACHINE)?.configuration.number;
  }
}

let service: Service;
let bench: Bench;
let s2: Server;

/** Ballot 2, which the service has granted to S2. */
function begin(quorums: QuorumSpec): void {
  service = new Service(quorums);
  bench = new Bench({ quorums, number: 2 });
  bench.add(...["S1", "S2", "S3", "S4", "S5"].filter((name) => !bench.tables.has(name as never)));
  s2 = bench.leader("S2", 1);
  s2.propose("B1", "A1");
  s2.exchange(votingIn(1));
  s2.exchange(votingIn(2), to("S2", "S1"));
}

describe('"How It\'s Done"', () => {
  let ballot3: Configuration;
  let s3: Reconfigurer;

  beforeEach(() => {
    begin(majority(acceptors("S1", "S2", "S3")));
    bench.table("S2").isLost = true;
    ballot3 = service.ask("S3 asks", majority(acceptors("S3", "S1", "S4")));
    bench.found(ballot3);
    s3 = bench.reconfigurer(ballot3);
    s3.copy();
  });

  it('"S3 asks to be new leader of configuration S3, S1, S4": "Told to try with ballot number 3"', () => {
    expect(ballot3).toMatchObject({ number: 3, previous: 2, quorums: { acceptors: ["S3", "S1", "S4"] } });
    expect(service.active).toBe(2);
  });

  it('whoever asks again is told another number, so that a ballot has one leader: "Told to try with ballot number"', () => {
    expect(service.ask("S1 asks too", majority(acceptors("S1", "S3", "S4"))).number).toBe(4);
  });

  it('"S3 ends ballot 2": nothing more is chosen in it', () => {
    s3.fence();
    s2.propose("C1");
    s2.exchange(to("S1", "S3"));
    expect([bench.chosen(3), s2.abdication?.why]).toEqual([[], "fenced"]);
  });

  it('"and starts ballot 3": with what the servers of ballot 2 have done, on the servers of ballot 3', () => {
    s3.fence();
    expect([1, 2].map((slot) => bench.standing(slot, ballot3))).toEqual([
      { S3: "0: B1", S1: "0: B1", S4: "0: B1" },
      { S3: "0: A1", S1: "0: A1", S4: "0: A1" },
    ]);
  });

  it("does nothing with it before it is told to: what it voted is not chosen yet", () => {
    s3.fence();
    expect([s3.said, s3.replica.state]).toEqual([["copied", "transferred"], []]);
  });

  it('"S3 reports that it has successfully started ballot 3": "Told to resume normal operation of ballot 3"', () => {
    s3.fence();
    expect(s3.said.at(-1)).toBe("transferred");
    expect([service.reportStarted(3), service.active]).toEqual([true, 3]);
  });

  it('"S3 now proposes new client commands", with S1 and S4 for a majority', () => {
    s3.fence();
    service.reportStarted(3);
    const leader = bench.leader("S3", 1, s3, ballot3);
    leader.propose("D1");
    leader.exchange(to("S1", "S4"));
    expect(leader.executed).toEqual(["1: B1", "2: A1", "3: D1"]);
    expect(bench.chosen(3, ballot3)).toEqual(["D1"]);
  });

  it("only one that replaces ballot 2 may start: whoever reports later is not told to resume", () => {
    const other = service.ask("S1 asks too", majority(acceptors("S1", "S3", "S4")));
    s3.fence();
    expect(service.reportStarted(3)).toBe(true);
    expect(service.reportStarted(other.number)).toBe(false);
    expect(service.active).toBe(3);
  });
});

describe('"write quorum = set of all servers, read quorum = any single server": f + 1 copies', () => {
  const primary = primaryBackup(acceptors("S2", "S3"));
  beforeEach(() => begin(primary));

  it('"Useless for ordinary Paxos because cannot choose any command if one server fails"', () => {
    bench.table("S3").isLost = true;
    s2.propose("C1");
    s2.exchange();
    expect([bench.chosen(3), s2.abdication?.why]).toEqual([[], "noQuorum"]);
  });

  it('"Not a problem with vertical reconfiguration": "it need contact only itself", and nothing is lost', () => {
    s2.exchange();
    bench.table("S2").isLost = true;
    const ballot3 = service.ask("S3 asks", primaryBackup(acceptors("S3", "S4")));
    bench.found(ballot3);
    const s3 = bench.reconfigurer(ballot3);
    s3.copy();
    s3.step({ input: "fence" });
    expect(s3.arrive(saying("promise"), to("S3"))).toBe(1);
    s3.receive();
    expect(s3.requests.filter(saying("vote"))).not.toEqual([]);
    s3.exchange(to("S3", "S4"));
    expect([s3.said.at(-1), service.reportStarted(3)]).toEqual(["transferred", true]);
    const leader = bench.leader("S3", 1, s3, ballot3);
    leader.propose("D1");
    leader.exchange();
    expect(leader.executed).toEqual(["1: B1", "2: A1", "3: D1"]);
  });

  it("whichever of the f + 1 servers is left", () => {
    s2.exchange();
    for (const lost of ["S2", "S3"]) {
      bench.table(lost).isLost = true;
      const next = service.ask(`without ${lost}`, primaryBackup(acceptors("S4", "S5")));
      bench.found(next);
      const reconfigurer = bench.reconfigurer(next);
      reconfigurer.copy();
      reconfigurer.fence();
      expect(bench.standing(2, next)).toEqual({ S4: "0: A1", S5: "0: A1" });
      bench.table(lost).isLost = false;
    }
  });
});
