/**
 * The machines that one leader process hosts, and which of them it should lead.
 *
 * A machine is led by whoever leads it already, else by the live process that rendezvous hashing ranks
 * first for it. Every process decides that from what it hears of its peers; when their views differ, two
 * try, and ballots decide. Others follow the leader, so that the next candidate is warm.
 */
import { Invalid, TheseusError, Unavailable } from "../../errors.ts";
import { type MachineDefinition, machineCode } from "../../machine.ts";
import type { Ballot, ConfigurationNumber } from "../../protocol/ballot.ts";
import type { MachineId } from "../../protocol/configuration.ts";
import type { Abdication } from "../../protocol/leader.ts";
import type { AcceptorId, QuorumSpec } from "../../protocol/quorum.ts";
import type { Location } from "../../protocol/registry.ts";
import { MACHINE_GEOMETRY, NO_SLOT, type Slot } from "../../protocol/slot.ts";
import { configurationOf } from "../host.ts";
import { Hosted } from "../hosted.ts";
import type { Identity, Led } from "../peers/message.ts";
import { type Peers, UNFIT_MS } from "../peers/peers.ts";
import type { Ports } from "../ports.ts";
import type { RegistryClient } from "../registry/registry-client.ts";
import { startMachine } from "../registry/start-machine.ts";
import type { StorePool } from "../store-pool.ts";
import { withoutLost } from "./new-quorums.ts";
import { reconfigure } from "./reconfigure.ts";
import { rank } from "./rendezvous.ts";

/** A machine that was used this recently is taken over at once; another when it is used again. */
const IN_USE_MS = 60_000;
/** One try at leading: fence, learn, recover. A long log takes a while to learn. */
const LEAD_MS_MAX = 30_000;
/** When it cannot lead, trying faster only fills the log. */
const TRY_EVERY_MS = 200;
/** A follower that is behind waits for the tables to be written: they lag, and asking faster does not help. */
const BEHIND_MS = 200;
/** How long a reconfiguration that ended the old ballots is waited for, before another one is made. */
const STRANDED_AFTER_MS = 3_000;
/** After an abdication the successor's word arrives within this time, if there is one. */
const RECONSIDER_MS = 300;

/** What the process reports: the events that an operator wants to see. */
export interface FleetEvents {
  leads(machine: MachineId, ballot: Ballot): void;
  abdicated(machine: MachineId, abdication: Abdication, ballot: Ballot): void;
  lost(machine: MachineId, acceptor: AcceptorId): void;
  reconfigured(machine: MachineId, configuration: ConfigurationNumber): void;
  failed(machine: MachineId, error: unknown): void;
}

export interface FleetOptions {
  readonly self: Identity;
  readonly definitions: ReadonlyMap<string, MachineDefinition>;
  readonly registry: RegistryClient;
  readonly stores: StorePool;
  readonly ports: Ports;
  readonly events: FleetEvents;
}

/** One machine as this process knows it. */
export interface Member {
  readonly machine: MachineId;
  readonly definition: MachineDefinition;
  readonly hosted: Hosted;
  location: Location | undefined;
  usedAt: number;
  /** A try at leading that is under way. */
  trying: Promise<void> | undefined;
  /** The leader was asked for what is chosen, and has not answered yet. */
  isAskingToFollow: boolean;
  /** A reconfiguration that this process carries out. */
  reconfiguring: Promise<void> | undefined;
  /** A later configuration has ended this one's ballots, and was not active when it was last looked up. */
  supersededBy: ConfigurationNumber | undefined;
  /** Could not lead; passed over until then, on the clock of `Ports.elapsed`. */
  unfitUntilMs: number;
}

export class Fleet {
  readonly self: Identity;
  readonly #options: FleetOptions;
  readonly #members = new Map<MachineId, Member>();
  #peers: Peers | undefined;
  #isLeaving = false;

  constructor(options: FleetOptions) {
    this.#options = options;
    this.self = options.self;
  }

  get members(): Iterable<Member> {
    return this.#members.values();
  }

  get peers(): Peers {
    if (this.#peers === undefined) throw new Error("the fleet has not met its peers yet");
    return this.#peers;
  }

  /** What this process leads, as its peers are told. */
  *leads(): Iterable<Led> {
    for (const { machine, hosted, location } of this.#members.values()) {
      const { ballot } = hosted.host;
      if (hosted.host.serving && ballot !== undefined && location !== undefined)
        yield { machine, ballot, location };
    }
  }

  meet(peers: Peers): void {
    this.#peers = peers;
    peers.on("leads", (peer, led) => this.#onLeads(peer, led));
    peers.on("left", (_, led) => this.#onVacant(led));
    peers.on("suspected", (_, led) => {
      for (const each of led) this.#onVacant(each);
    });
    peers.on("behind", (peer, machine) =>
      this.#options.ports.after(BEHIND_MS, () => this.#catchUp(peer, machine)),
    );
    peers.on("chosen", (peer, machine, slot, text) => this.#onChosen(peer, machine, slot, text));
  }

  /** The machine, if it is hosted already. */
  find(machine: MachineId): Member | undefined {
    return this.#members.get(machine);
  }

  /** The machine, hosted but not necessarily led. @throws Invalid (unknown_machine) when no definition has its name. */
  member(machine: MachineId): Member {
    const known = this.#members.get(machine);
    if (known !== undefined) return known;
    const definition = this.definition(machine);
    const { ports, self } = this.#options;
    const code = machineCode(definition);
    const hosted = new Hosted({ machine, geometry: MACHINE_GEOMETRY, code, process: self.process, ports });
    const member: Member = {
      machine,
      definition,
      hosted,
      location: undefined,
      usedAt: Number.NEGATIVE_INFINITY,
      trying: undefined,
      isAskingToFollow: false,
      unfitUntilMs: Number.NEGATIVE_INFINITY,
      reconfiguring: undefined,
      supersededBy: undefined,
    };
    hosted.on("serving", (ballot) => this.#onServing(member, ballot));
    hosted.on("abdicated", (abdication, ballot) => this.#onAbdicated(member, abdication, ballot));
    const told = new Set<AcceptorId>();
    hosted.on("lost", (acceptor) => {
      if (!told.has(acceptor)) this.#options.events.lost(machine, acceptor);
      told.add(acceptor);
    });
    this.#members.set(machine, member);
    return member;
  }

  /** Whether this process has the code of the machine. */
  knows(machine: MachineId): boolean {
    return this.#options.definitions.has(nameOf(machine));
  }

  /** @throws Invalid (unknown_machine) when no definition has the machine's name. */
  definition(machine: MachineId): MachineDefinition {
    const definition = this.#options.definitions.get(nameOf(machine));
    if (definition !== undefined) return definition;
    const names = [...this.#options.definitions.keys()].join(", ");
    throw new Invalid("unknown_machine", `there is no machine "${nameOf(machine)}"; there are: ${names}`);
  }

  /** The member, led by this process. @throws Unavailable (not_leader) naming whom to ask, or when it cannot lead now. */
  async led(machine: MachineId): Promise<Member> {
    const member = this.member(machine);
    member.usedAt = this.#options.ports.elapsed();
    if (member.hosted.host.serving) return member;
    // While it copies the old configuration serves; only from the fence on there is something to wait for.
    await member.reconfiguring;
    if (member.hosted.host.serving) return member;
    const elsewhere = this.leaderElsewhere(machine) ?? this.#betterCandidate(machine);
    if (elsewhere !== undefined) throw this.notLeader(machine, elsewhere);
    if (this.#isLeaving) throw shuttingDown();
    await this.#try(member);
    return member;
  }

  /**
   * Replaces the machine's configuration; the activated one. @throws Unavailable (not_leader) naming whom to ask,
   * or why it could not be done; Refused with what is wrong with the quorums.
   */
  async reconfigure(
    machine: MachineId,
    quorumsFor: (present: QuorumSpec) => Promise<QuorumSpec>,
  ): Promise<Location> {
    const member = await this.led(machine);
    member.location ??= await this.#start(machine);
    const from = member.location;
    return this.#reconfigure(member, from, await quorumsFor(from.configuration.quorums));
  }

  async #reconfigure(member: Member, from: Location, quorums: QuorumSpec): Promise<Location> {
    if (member.reconfiguring !== undefined)
      throw new Unavailable(
        "unavailable",
        `${member.machine} is being reconfigured: try again when that is done`,
      );
    const { registry, stores, ports } = this.#options;
    const activated = reconfigure({ hosted: member.hosted, from, quorums, registry, stores, ports });
    member.reconfiguring = activated.then(
      (location) => {
        member.location = location;
        member.supersededBy = undefined;
      },
      (error: unknown) => {
        // Its configuration is no longer the machine's, which the next try looks up.
        if (isBeaten(error)) member.location = undefined;
      },
    );
    try {
      const location = await activated;
      this.#options.events.reconfigured(member.machine, location.configuration.number);
      return location;
    } finally {
      await member.reconfiguring;
      member.reconfiguring = undefined;
      // It led before, so it goes on, in whichever configuration is the machine's now.
      this.#leadIfVacant(member);
    }
  }

  /** The live peer that leads the machine, if one does. */
  leaderElsewhere(machine: MachineId): Identity | undefined {
    return this.#peers?.leaderOf(machine)?.peer;
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

  /** Sends a watcher what is chosen from `from` on; undefined when that is older than what is in memory. */
  follow(machine: MachineId, from: Slot, send: (slot: Slot, text: string) => void): (() => void) | undefined {
    const member = this.#members.get(machine);
    if (member === undefined) return undefined;
    const { hosted } = member;
    const backlog = hosted.host.log.range(from, hosted.host.log.last);
    if (backlog === undefined) return undefined;
    backlog.forEach((text, index) => {
      send((from + index) as Slot, text);
    });
    hosted.on("executed", send);
    return () => hosted.off("executed", send);
  }

  /** Hands every machine over and leads no more; peers are told first, so that no client is sent back here. */
  async leave(): Promise<void> {
    this.#isLeaving = true;
    this.peers.tell({ type: "leaving" });
    await Promise.all([...this.#members.values()].map(({ hosted }) => hosted.handOver()));
  }

  /** Callers that come while a try is under way, or just after it failed, share its outcome. */
  #try(member: Member): Promise<void> {
    if (member.trying === undefined) {
      const trying = this.#lead(member);
      member.trying = trying;
      const over = (): void => {
        member.trying = undefined;
      };
      trying.then(over, () => this.#options.ports.after(TRY_EVERY_MS, over));
    }
    return member.trying;
  }

  async #lead(member: Member): Promise<void> {
    const { machine, hosted } = member;
    if (member.location === undefined) member.location = await this.#start(machine);
    if (this.#isLeaving) throw shuttingDown();
    if (this.#isStranded(member)) await this.#rescue(member, member.location);
    const { configuration, acceptors } = member.location;
    this.#options.stores.learn(acceptors);
    // What the tables cover is learnt before the leader that there may be is fenced, not while nobody serves.
    if (hosted.host.replica.applied === NO_SLOT) await hosted.catchUp(configuration);
    try {
      await hosted.lead(configuration, LEAD_MS_MAX);
    } catch (error) {
      if (!isBeaten(error)) this.#isUnfit(member);
      throw this.withLeader(machine, error as TheseusError);
    }
  }

  async #rescue(member: Member, from: Location): Promise<void> {
    const { registry, stores } = this.#options;
    stores.learn(from.acceptors);
    const quorums = await withoutLost(member.machine, from.configuration.quorums, registry, stores);
    await this.#reconfigure(member, from, quorums);
  }

  /**
   * Whoever ended this configuration's ballots did not complete: nobody can lead it, and after waiting for that
   * process one reconfigures for oneself, if need be on the same acceptors (PROTOCOL §4 step 1).
   */
  #isStranded({ location, supersededBy }: Member): boolean {
    return (
      supersededBy !== undefined && location !== undefined && location.configuration.number < supersededBy
    );
  }

  /** The next candidate should try. */
  #isUnfit(member: Member): void {
    member.unfitUntilMs = this.#options.ports.elapsed() + UNFIT_MS;
    this.#peers?.tell({ type: "unfit", machine: member.machine });
  }

  #start(machine: MachineId): Promise<Location> {
    const { registry, stores, ports } = this.#options;
    return startMachine(machine, registry, stores, ports);
  }

  /** The peer that should lead rather than this process. */
  #betterCandidate(machine: MachineId): Identity | undefined {
    const { self } = this;
    const candidates = [...(this.#peers?.candidates ?? []), ...(this.#isLeaving ? [] : [self])];
    const isUnfit = (each: Identity) =>
      each === self
        ? this.member(machine).unfitUntilMs > this.#options.ports.elapsed()
        : this.peers.isUnfit(each, machine);
    const fit = candidates.filter((each) => !isUnfit(each));
    const eligible = fit.length > 0 ? fit : candidates;
    const [first] = rank(
      machine,
      eligible.map(({ id }) => id),
    );
    return eligible.find((each) => each.id === first && each !== self);
  }

  #onServing(member: Member, ballot: Ballot): void {
    const { machine, location } = member;
    this.#options.events.leads(machine, ballot);
    if (location !== undefined) this.#peers?.tell({ type: "leads", led: { machine, ballot, location } });
  }

  #onAbdicated(member: Member, abdication: Abdication, ballot: Ballot): void {
    this.#options.events.abdicated(member.machine, abdication, ballot);
    this.#peers?.tell({ type: "left", machine: member.machine });
    const { ports } = this.#options;
    const isSuperseded =
      abdication.why === "fenced" && configurationOf(abdication.by) > configurationOf(ballot);
    if (isSuperseded) this.#onSuperseded(member, configurationOf(abdication.by));
    ports.after(RECONSIDER_MS * (1 + ports.random()), () => this.#leadIfVacant(member));
  }

  /** Looks up which configuration is the machine's; the one that ended this one's ballots has time to complete. */
  #onSuperseded(member: Member, by: ConfigurationNumber): void {
    member.location = undefined;
    const { ports } = this.#options;
    ports.after(STRANDED_AFTER_MS * (1 + ports.random()), () => {
      member.supersededBy = by;
    });
  }

  /** A peer leads: one with a higher ballot deposes this process; otherwise this process may follow it. */
  #onLeads(peer: Identity, { machine, ballot, location }: Led): void {
    if (!this.knows(machine)) return;
    const member = this.member(machine);
    const { host } = member.hosted;
    this.#learnLocation(member, location);
    void this.#options.stores.warm(machine, location.acceptors);
    host.noteBallot(ballot);
    if (host.ballot !== undefined && host.ballot < ballot) host.resign(ballot);
    if (!host.leading) this.#catchUp(peer, machine);
  }

  /** What a peer leads was activated; of two such the later is the machine's. */
  #learnLocation(member: Member, location: Location): void {
    const known = member.location?.configuration.number ?? 0;
    if (location.configuration.number > known) member.location = location;
  }

  /** Reads the tables as far as they go, then listens to the leader. */
  #catchUp(peer: Identity, machine: MachineId): void {
    const member = this.member(machine);
    const { location, hosted } = member;
    if (location === undefined || hosted.host.leading) return;
    member.usedAt = this.#options.ports.elapsed();
    hosted.host.catchUp(location.configuration, () => this.#follow(peer, member));
  }

  #follow(peer: Identity, member: Member): void {
    const { machine, hosted } = member;
    member.isAskingToFollow = true;
    this.#peers?.follow(peer, machine, (hosted.host.replica.applied + 1) as Slot);
  }

  #onChosen(peer: Identity, machine: MachineId, slot: Slot, text: string): void {
    const member = this.member(machine);
    member.usedAt = this.#options.ports.elapsed();
    if (member.hosted.host.learn(slot, text)) member.isAskingToFollow = false;
    else if (!member.isAskingToFollow) this.#follow(peer, member);
  }

  /** Its leader is gone. */
  #onVacant({ machine, ballot, location }: Led): void {
    if (!this.knows(machine)) return;
    const member = this.member(machine);
    this.#learnLocation(member, location);
    member.hosted.host.noteBallot(ballot);
    this.#leadIfVacant(member);
  }

  #leadIfVacant(member: Member): void {
    const { machine, hosted, usedAt } = member;
    const isInUse = this.#options.ports.elapsed() - usedAt < IN_USE_MS;
    const isFree = !hosted.host.leading && member.reconfiguring === undefined;
    const isVacant = isFree && this.leaderElsewhere(machine) === undefined;
    if (this.#isLeaving || !isInUse || !isVacant || this.#betterCandidate(machine) !== undefined) return;
    this.#try(member).catch((error: unknown) => this.#options.events.failed(machine, error));
  }
}

function shuttingDown(): Unavailable {
  return new Unavailable("unavailable", "this process is shutting down: try again");
}

/** Somebody else leads, which says nothing against this process. */
function isBeaten(error: unknown): boolean {
  return error instanceof TheseusError && error.code === "not_leader";
}

function nameOf(machine: MachineId): string {
  return machine.slice(0, machine.indexOf("/"));
}
