/**
 * Getting a machine to be led by this process: find it, learn it, lead it, or say who does. A failover needs no
 * registry: peers tell where their machines are. Only a machine that no process alive has led is looked up there, and
 * only one that was never started costs it a command.
 */
import { Invalid, Refused, TheseusError, Unavailable } from "../../errors.ts";
import type { Ballot, ConfigurationNumber } from "../../protocol/ballot.ts";
import type { MachineId } from "../../protocol/configuration.ts";
import type { Abdication } from "../../protocol/leader.ts";
import { type AcceptorId, type QuorumSpec, QuorumSystem, replaceAcceptor } from "../../protocol/quorum.ts";
import type { AcceptorServer, Location } from "../../protocol/registry.ts";
import { NO_SLOT } from "../../protocol/slot.ts";
import { configurationOf } from "../host.ts";
import type { Led } from "../peers/message.ts";
import { UNFIT_MS } from "../peers/peers.ts";
import type { Ports } from "../ports.ts";
import type { RegistryClient } from "../registry/registry-client.ts";
import { startMachine } from "../registry/start-machine.ts";
import type { StorePool } from "../store-pool.ts";
import type { Candidates } from "./candidates.ts";
import type { Endorser } from "./endorser.ts";
import type { FleetEvents } from "./events.ts";
import type { Member } from "./member.ts";
import { isGone, withoutLost } from "./new-quorums.ts";
import { type Cause, reconfigure } from "./reconfigure.ts";
import { Turns } from "./turns.ts";

/** One try at leading: fence, learn, recover. A long log takes a while to learn. */
const LEAD_MS_MAX = 30_000;
/** The same on tables that are suspected, and that nothing took the place of yet: they may answer all the same. */
const LEAD_SUSPECTED_MS_MAX = 3_000;
/** When it cannot lead, trying faster only fills the log. */
const TRY_EVERY_MS = 200;
/** Tries at once: enough to fill a table's group commits, few enough that the first are soon done. */
const TRIES_MAX = 16;
/** A try that takes longer, for a long log or silent tables, lets the next machine begin. */
const TURN_MS_MAX = 500;
/** How long a reconfiguration that ended the old ballots is waited for, before another one is made. */
const STRANDED_AFTER_MS = 3_000;
/** By then a table that is lost for good says so itself. */
const RENEW_AFTER_MS = 1_000;
/** After an abdication the successor's word arrives within this time, if there is one. */
const RECONSIDER_MS = 300;

export interface LeadingOptions {
  readonly candidates: Candidates;
  readonly registry: RegistryClient;
  readonly endorser: Endorser;
  readonly stores: StorePool;
  readonly ports: Ports;
  readonly events: FleetEvents;
  readonly memberOf: (machine: MachineId) => Member | undefined;
}

export class Leading {
  readonly #options: LeadingOptions;
  readonly #turns: Turns;
  /** What takes the place of the tables that the registry suspects, as far as it was heard of. */
  readonly #replacements = new Map<AcceptorId, AcceptorId>();

  constructor(options: LeadingOptions) {
    this.#options = options;
    this.#turns = new Turns(TRIES_MAX, TURN_MS_MAX, options.ports);
  }

  listen(): void {
    const { peers } = this.#options.candidates;
    peers.on("left", (_, led) => this.#onVacant([led]));
    peers.on("suspected", (_, led) => this.#onVacant(led));
  }

  /** Resolves when this process leads it. @throws Unavailable (not_leader) naming whom to ask, or why it cannot. */
  async lead(member: Member): Promise<void> {
    if (member.isServing) return;
    // While it copies the old configuration serves; only from the fence on there is something to wait for.
    await member.reconfiguring;
    if (member.isServing) return;
    const { candidates } = this.#options;
    const elsewhere = candidates.leaderElsewhere(member.machine) ?? candidates.better(member);
    if (elsewhere !== undefined) throw candidates.notLeader(member.machine, elsewhere);
    if (candidates.isLeaving) throw shuttingDown();
    await this.#try(member);
  }

  /** Leads it if it is in use and nobody else should. */
  leadIfVacant(member: Member): void {
    const { candidates, ports, events } = this.#options;
    const { machine } = member;
    const isBusy = member.isLeading || member.reconfiguring !== undefined;
    if (candidates.isLeaving || isBusy || !member.isInUse(ports.elapsed())) return;
    if (candidates.leaderElsewhere(machine) !== undefined || candidates.better(member) !== undefined) return;
    this.#try(member).catch((error: unknown) => {
      // Somebody else was faster while it waited for its turn.
      if (!isBeaten(error)) events.failed(machine, error);
    });
  }

  onAbdicated(member: Member, abdication: Abdication, ballot: Ballot): void {
    const isSuperseded =
      abdication.why === "fenced" && configurationOf(abdication.by) > configurationOf(ballot);
    if (isSuperseded) this.#onSuperseded(member, configurationOf(abdication.by));
    const { ports } = this.#options;
    ports.after(RECONSIDER_MS * (1 + ports.random()), () => this.leadIfVacant(member));
  }

  /** The activated configuration of a machine that this process leads. */
  async reconfigure(
    member: Member,
    quorumsFor: (present: QuorumSpec) => Promise<QuorumSpec>,
    cause: Cause,
  ): Promise<Location> {
    member.location ??= await this.#locate(member.machine);
    const from = member.location;
    return this.#reconfigure(member, from, await quorumsFor(from.configuration.quorums), cause);
  }

  /** All that the registry suspects: what it suspects no more is as good as any. */
  suspectsAre(suspects: ReadonlySet<AcceptorId>): void {
    for (const id of this.#replacements.keys()) if (!suspects.has(id)) this.#replacements.delete(id);
  }

  /** Whoever leads the machine does it, or should; also when nobody can lead it before that is done. */
  async replaceTable(member: Member, suspect: AcceptorId, by: AcceptorServer): Promise<void> {
    this.#replacements.set(suspect, by.id);
    this.#options.stores.learn([by]);
    await this.lead(member);
    member.location ??= await this.#locate(member.machine);
    const from = member.location;
    const { quorums } = from.configuration;
    if (quorums.acceptors.includes(suspect))
      await this.#reconfigure(member, from, replaceAcceptor(quorums, suspect, by.id), {
        reason: { suspects: [suspect] },
      });
  }

  /**
   * A table that answers and has no cells of the machine's configuration was left behind when that was founded, or has
   * forgotten them: a new configuration on the same tables gives it what it lacks.
   */
  onLost(member: Member, acceptor: AcceptorId): void {
    const { ports, stores, events } = this.#options;
    const { machine, location: before } = member;
    ports.after(RENEW_AFTER_MS, async () => {
      try {
        if (!member.isServing || member.location !== before || (await isGone(machine, acceptor, stores)))
          return;
        await this.reconfigure(member, async (present) => present, { reason: { suspects: [] } });
      } catch (error) {
        events.failed(machine, error);
      }
    });
  }

  async #reconfigure(member: Member, from: Location, quorums: QuorumSpec, cause: Cause): Promise<Location> {
    if (member.reconfiguring !== undefined)
      throw new Unavailable(
        "unavailable",
        `${member.machine} is being reconfigured: try again when that is done`,
      );
    const { candidates, endorser, registry, stores, ports } = this.#options;
    const { self, peers } = candidates;
    const gathering = { endorser, registry, self, peers: () => peers.live, calls: peers.calls };
    const { hosted } = member;
    const activated = reconfigure({ hosted, from, quorums, cause, gathering, registry, stores, ports });
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
      this.leadIfVacant(member);
    }
  }

  /** Callers that come while a try is under way, or just after it failed, share its outcome. */
  #try(member: Member): Promise<void> {
    if (member.trying === undefined) {
      const trying = this.#turns.run(member, () => this.#lead(member));
      member.trying = trying;
      const over = (): void => {
        member.trying = undefined;
      };
      trying.then(over, () => this.#options.ports.after(TRY_EVERY_MS, over));
    }
    return member.trying;
  }

  async #lead(member: Member): Promise<void> {
    const { candidates, stores } = this.#options;
    const { machine, hosted } = member;
    const elsewhere = candidates.leaderElsewhere(machine);
    if (elsewhere !== undefined) throw candidates.notLeader(machine, elsewhere);
    if (member.location === undefined) member.location = await this.#locate(machine);
    if (candidates.isLeaving) throw shuttingDown();
    const isWhole = await this.#rescueIfNeedBe(member, member.location);
    const { configuration, acceptors } = member.location;
    stores.learn(acceptors);
    // What the tables cover is learnt before the leader that there may be is fenced, not while nobody serves.
    if (hosted.host.replica.applied === NO_SLOT) await hosted.catchUp(configuration);
    try {
      await hosted.lead(configuration, isWhole ? LEAD_MS_MAX : LEAD_SUSPECTED_MS_MAX);
    } catch (error) {
      if (!isBeaten(error)) this.#isUnfit(member);
      throw candidates.withLeader(machine, error as TheseusError);
    }
  }

  /**
   * Whether it may be led as on any tables. A suspicion may be wrong, or over: nobody endorses a replacement then, and
   * without that the machine must not stand.
   */
  async #rescueIfNeedBe(member: Member, location: Location): Promise<boolean> {
    if (this.#isStranded(member)) await this.#rescue(member, location);
    else if (this.#isCrippled(location))
      try {
        await this.#rescue(member, location);
      } catch (error) {
        if (isBeaten(error)) throw error;
        return false;
      }
    return true;
  }

  async #rescue(member: Member, from: Location): Promise<void> {
    const { candidates, registry, stores } = this.#options;
    stores.learn(from.acceptors);
    const present = from.configuration.quorums;
    const lost = { by: candidates.self.id, registry, stores, replacements: this.#replacements };
    const quorums = await withoutLost(member.machine, present, lost);
    const suspects = present.acceptors.filter((id) => !quorums.acceptors.includes(id));
    try {
      await this.#reconfigure(member, from, quorums, { reason: { suspects } });
    } catch (error) {
      // To whoever only sent a command it says no more than that the machine cannot be led now.
      throw error instanceof Refused
        ? new Unavailable("unavailable", error.message, { cause: error })
        : error;
    }
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

  /** So many of its tables are suspected that nobody can lead it before others stand in their place. */
  #isCrippled({ configuration }: Location): boolean {
    return !new QuorumSystem(configuration.quorums).canWriteWithout(new Set(this.#replacements.keys()));
  }

  /** Looks up which configuration is the machine's; the one that ended this one's ballots has time to complete. */
  #onSuperseded(member: Member, by: ConfigurationNumber): void {
    member.location = undefined;
    const { ports } = this.#options;
    ports.after(STRANDED_AFTER_MS * (1 + ports.random()), () => {
      member.supersededBy = by;
    });
  }

  /** The next candidate should try. */
  #isUnfit(member: Member): void {
    member.unfitUntilMs = this.#options.ports.elapsed() + UNFIT_MS;
    this.#options.candidates.peers.tell({ type: "unfit", machine: member.machine });
    void this.#lookAgain(member);
  }

  /** The machine may have left these tables without this process hearing of it; then they may be deleted by now. */
  async #lookAgain(member: Member): Promise<void> {
    const { registry } = this.#options;
    const known = await lookupIn(registry, member.machine).catch(() => undefined);
    if (known?.active === true) member.learnLocation(known);
  }

  /** Started first, if it never was. */
  async #locate(machine: MachineId): Promise<Location> {
    const { registry, stores, ports } = this.#options;
    const known = await lookupIn(registry, machine);
    return known?.active === true ? known : startMachine(machine, registry, stores, ports);
  }

  /** Their leader is gone. */
  #onVacant(led: readonly Led[]): void {
    const vacant: Member[] = [];
    for (const { machine, ballot, location } of led) {
      const member = this.#options.memberOf(machine);
      if (member === undefined) continue;
      member.learnLocation(location);
      member.noteBallot(ballot);
      vacant.push(member);
    }
    // The first of them have their turn at once.
    vacant.sort((one, other) => other.usedAt - one.usedAt);
    for (const member of vacant) this.leadIfVacant(member);
  }
}

/** A read, which leaves no trace there; undefined: it was never started. */
async function lookupIn(registry: RegistryClient, machine: MachineId): Promise<Location | undefined> {
  try {
    return await registry.lookup(machine);
  } catch (error) {
    if (error instanceof Invalid) return undefined;
    throw error;
  }
}

function shuttingDown(): Unavailable {
  return new Unavailable("unavailable", "this process is shutting down: try again");
}

/** Somebody else leads, which says nothing against this process. */
function isBeaten(error: unknown): boolean {
  return error instanceof TheseusError && error.code === "not_leader";
}
