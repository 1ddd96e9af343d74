/**
 * One machine as one process knows it. A process hears of thousands; what it takes to execute a machine (its
 * replica, its log) is made when somebody needs it, and let go when nobody has for long.
 */
import type { MachineDefinition } from "../../machine.ts";
import type { Ballot, ConfigurationNumber } from "../../protocol/ballot.ts";
import type { MachineId } from "../../protocol/configuration.ts";
import type { AcceptorServer, Location } from "../../protocol/registry.ts";
import type { Hosted } from "../hosted.ts";
import { Rounds } from "../rounds.ts";

/** A machine that was used this recently is taken over at once; another when it is used again. */
const IN_USE_MS = 60_000;

export class Member {
  readonly machine: MachineId;
  readonly definition: MachineDefinition;
  location: Location | undefined;
  usedAt = Number.NEGATIVE_INFINITY;
  /** When the peers were last told that it is used. */
  useToldAt = Number.NEGATIVE_INFINITY;
  /** A try at leading that is under way. */
  trying: Promise<void> | undefined;
  /** A reconfiguration that this process carries out. */
  reconfiguring: Promise<void> | undefined;
  /** A later configuration has ended this one's ballots, and was not active when it was last looked up. */
  supersededBy: ConfigurationNumber | undefined;
  /** Could not lead; passed over until then, on the clock of `Ports.elapsed`. */
  unfitUntilMs = Number.NEGATIVE_INFINITY;
  /** The ballot of the leader that was asked for what is chosen. */
  followed: Ballot | undefined;
  /** It was asked, and has not answered yet. */
  isAskingToFollow = false;
  readonly rounds = new Rounds();
  readonly #host: (member: Member) => Hosted;
  #hosted: Hosted | undefined;

  constructor(machine: MachineId, definition: MachineDefinition, host: (member: Member) => Hosted) {
    this.machine = machine;
    this.definition = definition;
    this.#host = host;
  }

  /** Where its tables are, as far as is known. */
  tables(): readonly AcceptorServer[] {
    return this.location?.acceptors ?? [];
  }

  /** What executes it here, from now on. */
  get hosted(): Hosted {
    this.#hosted ??= this.#host(this);
    return this.#hosted;
  }

  /** The same, if there is one: for whoever must not make one. */
  get loaded(): Hosted | undefined {
    return this.#hosted;
  }

  get isServing(): boolean {
    return this.#hosted?.host.serving === true;
  }

  /** Leads or is about to. */
  get isLeading(): boolean {
    return this.#hosted?.host.leading === true;
  }

  isInUse(nowMs: number): boolean {
    return nowMs - this.usedAt < IN_USE_MS;
  }

  /** A ballot of some leader: the next one must be above it. */
  noteBallot(ballot: Ballot): void {
    this.rounds.note(ballot);
  }

  /** What a peer leads was activated; of two such the later is the machine's. */
  learnLocation(location: Location): void {
    const known = this.location?.configuration.number ?? 0;
    if (location.configuration.number > known) this.location = location;
  }

  /** Lets the replica go, which is read again when it is needed; one that leads or is in trouble stays. */
  unload(): void {
    const isBusy = this.trying !== undefined || this.reconfiguring !== undefined || this.isLeading;
    if (isBusy || this.#hosted?.host.isSound !== true) return;
    this.#hosted = undefined;
    this.followed = undefined;
  }
}
