/**
 * Who should lead a machine: whoever leads it already, else the live process that rendezvous hashing ranks first
 * among those that neither leave, drain, nor could not lead it just now. Every process decides that from what it
 * hears of its peers; when their views differ, two try, and ballots decide.
 */
import { type TheseusError, Unavailable } from "../../errors.ts";
import type { MachineId } from "../../protocol/configuration.ts";
import type { Identity } from "../peers/message.ts";
import type { Peers } from "../peers/peers.ts";
import type { Ports } from "../ports.ts";
import type { Member } from "./member.ts";
import { rank } from "./rendezvous.ts";

export class Candidates {
  readonly self: Identity;
  /** Hands all its machines over, and leads only what nobody else can. */
  isDraining = false;
  /** Is about to stop, and leads nothing more. */
  isLeaving = false;
  readonly #ports: Ports;
  #peers: Peers | undefined;

  constructor(self: Identity, ports: Ports) {
    this.self = self;
    this.#ports = ports;
  }

  meet(peers: Peers): void {
    this.#peers = peers;
  }

  get peers(): Peers {
    if (this.#peers === undefined) throw new Error("the fleet has not met its peers yet");
    return this.#peers;
  }

  /** The peers that would take machines over from this process. */
  get others(): readonly Identity[] {
    return this.#peers?.candidates ?? [];
  }

  /** The live peer that leads the machine, if one does. */
  leaderElsewhere(machine: MachineId): Identity | undefined {
    return this.#peers?.leaderOf(machine)?.peer;
  }

  /** The peer that should lead rather than this process. */
  better(member: Member): Identity | undefined {
    const fit = this.#standing.filter((each) => !this.isUnfit(each, member));
    const first = this.#first(member, fit.length > 0 ? fit : this.#standing);
    return first === this.self ? undefined : first;
  }

  /** Where the machine belongs, whether or not that process could lead it lately; undefined: nowhere. */
  home(member: Member): Identity | undefined {
    return this.#first(member, this.#standing);
  }

  isUnfit(each: Identity, member: Member): boolean {
    return each === this.self
      ? member.unfitUntilMs > this.#ports.elapsed()
      : this.peers.isUnfit(each, member.machine);
  }

  notLeader(machine: MachineId, leader: Identity): Unavailable {
    return new Unavailable("not_leader", `${machine} is led by ${leader.id}: ask ${leader.address}`, {
      leader: leader.address,
    });
  }

  /** The same error, naming whoever leads by now when this process does not. */
  withLeader(machine: MachineId, error: TheseusError): TheseusError {
    const leader = this.leaderElsewhere(machine);
    return error.code === "not_leader" && leader !== undefined ? this.notLeader(machine, leader) : error;
  }

  /** Those that drain lead on while there is nobody else. */
  get #standing(): readonly Identity[] {
    const ready = [...this.others, ...(this.isLeaving || this.isDraining ? [] : [this.self])];
    if (ready.length > 0) return ready;
    return [...(this.#peers?.draining ?? []), ...(this.isLeaving ? [] : [this.self])];
  }

  #first({ machine }: Member, among: readonly Identity[]): Identity | undefined {
    const ids = among.map(({ id }) => id);
    const [first] = rank(machine, ids);
    return among.find(({ id }) => id === first);
  }
}
