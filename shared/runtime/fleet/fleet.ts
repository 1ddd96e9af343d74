/**
 * The machines that one leader process hosts, and which of them it leads. How it comes to lead one, follows the
 * others, and gives some up is in files of their own; here is what is the same for all of them.
 */
import { Invalid } from "../../errors.ts";
import { type MachineDefinition, machineCode } from "../../machine.ts";
import type { Ballot } from "../../protocol/ballot.ts";
import type { MachineId } from "../../protocol/configuration.ts";
import type { Abdication } from "../../protocol/leader.ts";
import type { AcceptorId, QuorumSpec } from "../../protocol/quorum.ts";
import type { AcceptorServer, Location } from "../../protocol/registry.ts";
import { MACHINE_GEOMETRY, type Slot } from "../../protocol/slot.ts";
import { Hosted } from "../hosted.ts";
import { type Identity, type Led, leadsMessage, type PeerMessage, type Use } from "../peers/message.ts";
import type { Peers } from "../peers/peers.ts";
import type { Ports } from "../ports.ts";
import type { RegistryClient } from "../registry/registry-client.ts";
import type { Snapshots } from "../snapshots/snapshots.ts";
import type { StorePool } from "../store-pool.ts";
import { Candidates } from "./candidates.ts";
import type { Endorser } from "./endorser.ts";
import type { FleetEvents } from "./events.ts";
import { Following } from "./following.ts";
import { Leading } from "./leading.ts";
import { Member } from "./member.ts";
import { Rebalancing } from "./rebalancing.ts";
import type { Cause } from "./reconfigure.ts";

/** Machines in one message to a newcomer. */
const LEADS_PAGE = 100;
/** Uses are gathered for so long before the peers hear of them. */
const TELL_USE_MS = 100;
/** They hear again of a machine that goes on being used: often enough that it stays "in use" for them. */
const USE_AGAIN_MS = 10_000;
/** What neither leads nor was used for so long is read again when it is needed. */
const UNLOAD_AFTER_MS = 600_000;
const UNLOAD_EVERY_MS = 60_000;

export interface FleetOptions {
  readonly self: Identity;
  readonly definitions: ReadonlyMap<string, MachineDefinition>;
  readonly registry: RegistryClient;
  readonly stores: StorePool;
  readonly endorser: Endorser;
  readonly ports: Ports;
  readonly events: FleetEvents;
  /** Default: none are taken. */
  readonly snapshots?: Snapshots;
}

export class Fleet {
  readonly self: Identity;
  readonly candidates: Candidates;
  readonly #options: FleetOptions;
  readonly #members = new Map<MachineId, Member>();
  readonly #following: Following;
  readonly #leading: Leading;
  readonly #rebalancing: Rebalancing;
  /** Used, and the peers have not been told yet. */
  readonly #untold = new Set<Member>();

  constructor(options: FleetOptions) {
    this.#options = options;
    this.self = options.self;
    this.candidates = new Candidates(options.self, options.ports);
    const memberOf = (machine: MachineId) => (this.knows(machine) ? this.member(machine) : undefined);
    const shared = { ...options, candidates: this.candidates, memberOf };
    this.#following = new Following(shared);
    this.#leading = new Leading(shared);
    this.#rebalancing = new Rebalancing({ ...shared, members: () => this.members });
  }

  get members(): Iterable<Member> {
    return this.#members.values();
  }

  get peers(): Peers {
    return this.candidates.peers;
  }

  /** How many machines it leads, or is about to. */
  get leads(): number {
    return this.#members.values().reduce((sum, { isLeading }) => sum + (isLeading ? 1 : 0), 0);
  }

  meet(peers: Peers): void {
    this.candidates.meet(peers);
    this.#following.listen();
    this.#leading.listen();
    this.#rebalancing.listen();
    this.#unloadLater();
  }

  /** What a peer that comes is told first: all that this process leads, and which of it is used. */
  *welcome(): Iterable<PeerMessage> {
    if (this.candidates.isDraining) yield { type: "draining" };
    let page: Led[] = [];
    for (const member of this.#members.values()) {
      const led = ledBy(member);
      if (led !== undefined) page.push(led);
      if (page.length < LEADS_PAGE) continue;
      yield leadsMessage(page);
      page = [];
    }
    yield leadsMessage(page);
    yield { type: "used", machines: this.#usesOf(this.#members.values()) };
  }

  /** The machine, if it is known here already. */
  find(machine: MachineId): Member | undefined {
    return this.#members.get(machine);
  }

  /** The machine, not necessarily led. @throws Invalid (unknown_machine) when no definition has its name. */
  member(machine: MachineId): Member {
    const known = this.#members.get(machine);
    if (known !== undefined) return known;
    const member = new Member(machine, this.definition(machine), (of) => this.#host(of));
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
    await this.#leading.lead(member);
    this.#tellUse(member);
    return member;
  }

  /**
   * Replaces the machine's configuration; the activated one. @throws Unavailable (not_leader) naming whom to ask,
   * or why it could not be done; Refused with what is wrong with the quorums.
   */
  async reconfigure(
    machine: MachineId,
    quorumsFor: (present: QuorumSpec) => Promise<QuorumSpec>,
    cause: Cause,
  ): Promise<Location> {
    return this.#leading.reconfigure(await this.led(machine), quorumsFor, cause);
  }

  /** Whether it is this process's to lead, or would be if anybody used it. */
  isMine(machine: MachineId): boolean {
    const { candidates } = this;
    return (
      candidates.leaderElsewhere(machine) === undefined &&
      candidates.better(this.member(machine)) === undefined
    );
  }

  /**
   * Puts another table in a suspect's place. @throws Unavailable (not_leader) when that is another process's to do, or
   * why it could not be done.
   */
  replaceTable(machine: MachineId, suspect: AcceptorId, by: AcceptorServer): Promise<void> {
    return this.#leading.replaceTable(this.member(machine), suspect, by);
  }

  /** Sends a watcher what is chosen from `from` on; undefined when that is older than what is in memory. */
  follow(machine: MachineId, from: Slot, send: (slot: Slot, text: string) => void): (() => void) | undefined {
    const member = this.#members.get(machine);
    // It is told when this process leads the machine again, and asks again.
    if (member?.isServing !== true) return () => {};
    const { hosted } = member;
    const backlog = hosted.host.log.range(from, hosted.host.log.last);
    if (backlog === undefined) return undefined;
    backlog.forEach((text, index) => {
      send((from + index) as Slot, text);
    });
    const stop = (): void => {
      hosted.off("executed", send);
      hosted.off("abdicated", stop);
    };
    hosted.on("executed", send);
    hosted.on("abdicated", stop);
    return stop;
  }

  /**
   * Hands every machine over, a few at a time, and takes no new ones while another process could: from then on this
   * one may be stopped without anybody noticing, as soon as `leads` is 0. Saying it again changes nothing.
   * @throws Invalid when there is no other process.
   */
  drain(): void {
    const { candidates, self } = this;
    if (candidates.others.length === 0)
      throw new Invalid(
        "invalid_request",
        `${self.id} is the last leader that lives and does not drain: start another one first`,
      );
    if (candidates.isDraining) return;
    candidates.isDraining = true;
    this.peers.tell({ type: "draining" });
    this.#rebalancing.reviewAll();
  }

  /** Hands every machine over and leads no more; peers are told first, so that no client is sent back here. */
  async leave(): Promise<void> {
    this.candidates.isLeaving = true;
    this.peers.tell({ type: "leaving" });
    await Promise.all([...this.#members.values()].map(({ loaded }) => loaded?.handOver()));
  }

  #host(member: Member): Hosted {
    const { machine, definition, rounds } = member;
    const { ports, self, events } = this.#options;
    const code = machineCode(definition);
    const { process } = self;
    const hosted = new Hosted({ machine, geometry: MACHINE_GEOMETRY, code, process, ports, rounds });
    hosted.on("serving", (ballot) => this.#onServing(member, ballot));
    hosted.on("abdicated", (abdication, ballot) => this.#onAbdicated(member, abdication, ballot));
    this.#options.snapshots?.watch(member, hosted);
    const told = new Set<AcceptorId>();
    hosted.on("lost", (acceptor) => {
      this.#leading.onLost(member, acceptor);
      if (!told.has(acceptor)) events.lost(machine, acceptor);
      told.add(acceptor);
    });
    return hosted;
  }

  #onServing(member: Member, ballot: Ballot): void {
    this.#options.events.leads(member.machine, ballot);
    const led = ledBy(member);
    if (led !== undefined) this.peers.tell(leadsMessage([led]));
    member.useToldAt = Number.NEGATIVE_INFINITY;
    this.#tellUse(member);
    this.#rebalancing.review(member);
  }

  #onAbdicated(member: Member, abdication: Abdication, ballot: Ballot): void {
    this.#options.events.abdicated(member.machine, abdication, ballot);
    this.peers.tell({ type: "left", machine: member.machine });
    this.#leading.onAbdicated(member, abdication, ballot);
  }

  #tellUse(member: Member): void {
    const { ports } = this.#options;
    const now = ports.elapsed();
    if (now - member.useToldAt < USE_AGAIN_MS || !member.isInUse(now)) return;
    member.useToldAt = now;
    this.#untold.add(member);
    if (this.#untold.size > 1) return;
    ports.after(TELL_USE_MS, () => {
      this.peers.tell({ type: "used", machines: this.#usesOf(this.#untold) });
      this.#untold.clear();
    });
  }

  #usesOf(members: Iterable<Member>): readonly Use[] {
    const now = this.#options.ports.elapsed();
    const used = [...members].filter((member) => member.isServing && member.isInUse(now));
    return used.map(({ machine, usedAt }) => [machine, Math.round(now - usedAt)]);
  }

  #unloadLater(): void {
    const { ports } = this.#options;
    ports.after(UNLOAD_EVERY_MS, () => {
      const before = ports.elapsed() - UNLOAD_AFTER_MS;
      for (const member of this.#members.values()) if (member.usedAt < before) member.unload();
      this.#unloadLater();
    });
  }
}

/** What peers are told of a machine that this process leads. */
function ledBy({ machine, location, isServing, loaded }: Member): Led | undefined {
  const ballot = loaded?.host.ballot;
  return isServing && ballot !== undefined && location !== undefined
    ? { machine, ballot, location }
    : undefined;
}

function nameOf(machine: MachineId): string {
  return machine.slice(0, machine.indexOf("/"));
}
