/**
 * Whoever owns the processes, in place of the product's server and of its stateless functions: starts them
 * again, decides who tries to lead, hands commands to them, and sends a leader's executed commands to the
 * others. It may decide anything at any time; no decision of it may break a promise.
 */

import { backoffMs } from "../../shared/backoff.ts";
import type { TheseusError } from "../../shared/errors.ts";
import type { ConfigurationNumber } from "../../shared/protocol/ballot.ts";
import type { Configuration } from "../../shared/protocol/configuration.ts";
import type { Abdication } from "../../shared/protocol/leader.ts";
import type { AcceptorId } from "../../shared/protocol/quorum.ts";
import type { Reply } from "../../shared/protocol/session.ts";
import type { Slot } from "../../shared/protocol/slot.ts";
import { type Snapshot, snapshotOf } from "../../shared/protocol/snapshot.ts";
import type { Command } from "../../shared/protocol/value.ts";
import { configurationOf } from "../../shared/runtime/host.ts";
import type { Bootstrap } from "./bootstrap.ts";
import type { Epochs } from "./checks/epochs.ts";
import { drawFullQuorums, drawQuorums } from "./options.ts";
import { MACHINE, Process, type ProcessEvents } from "./process.ts";
import { Reconfiguration } from "./reconfiguration.ts";
import { check } from "./violation.ts";
import type { World } from "./world.ts";

/** What a client hears: a command's reply, what a read showed, or an error. */
export type Heard =
  | { readonly reply: Reply }
  | { readonly asOf: Slot; readonly summary: string }
  | { readonly error: TheseusError };
export type Hear = (heard: Heard) => void;

/** How often a reconfiguration takes over acceptors that are lost. */
const BAD_WELCOME = 0.1;
/** How often a horizontal one may have witnesses, and is void. */
const WITNESSES = 0.1;
const RESTART_MS_MAX = 200;
const LATE_SNAPSHOT_MS_MAX = 1_000;
/** How long a leader that was deposed waits before it tries again, if it does. */
const RETRY_MS_MAX = 150;

export class Owner {
  readonly #world: World;
  readonly #events: ProcessEvents;
  /** What handlers have been invoked for and cannot do until they lead. */
  readonly #invocations = new Map<Process, (() => void)[]>();
  readonly #applied = new Map<Process, Slot>();
  readonly #attempts = new Map<Process, number>();
  /** What each place knew last: a process that starts again may find it on its disk. */
  readonly #cached: Configuration[] = [];

  constructor(world: World) {
    this.#world = world;
    this.#events = {
      serving: (process) => this.#serving(process),
      abdicated: (process, abdication) => this.#abdicated(process, abdication),
      lost: (process, acceptor) => {
        const table = world.table(acceptor);
        world.trace(() => `${process.name} lost ${acceptor}`);
        check(
          "LOST_IS_LOST",
          table.hasRefused,
          () => `${process.name} reports ${acceptor}, which never refused`,
        );
        world.provisioner.suspect(acceptor);
      },
      executed: (process, slot, text) => this.executed(process, slot, text),
      epochInstalled: (process, configuration) => this.#epochInstalled(process, configuration),
      installed: (process, slot) => this.installed(process, slot),
      ended: (process) => this.#ended(process),
    };
  }

  start(place: number): void {
    const { registrar, random } = this.#world;
    const cached = this.#cached[place];
    const known = cached !== undefined && random.chance(0.5) ? cached : registrar.active;
    const process = new Process(this.#world, this.#events, known);
    this.#world.processes[place] = process;
    this.#world.endorsers.started(process, place);
    this.#world.trace(() => `${process.name} starts in place ${place}`);
  }

  /** The first configuration is founded. */
  get isActivated(): boolean {
    return this.#world.registrar.activated.length > 0;
  }

  activate(): void {
    this.#world.registrar.execute({
      type: "complete",
      machine: MACHINE,
      configuration: this.#world.configuration.number,
    });
  }

  /** Stateless handlers lead only for as long as they are asked something; servers whenever they like. */
  get #areHandlers(): boolean {
    return this.#world.options.subject === "registry";
  }

  tryToLead(process: Process): void {
    const { processes, coverage } = this.#world;
    if (!this.isActivated || !process.isAlive || process.isReserved) return;
    if (processes.some((other) => other !== process && other.host.serving)) coverage.hit("rivalLeader");
    process.lead(this.#configurationFor(process));
  }

  /** Sometimes one that is over, on purpose. */
  #configurationFor(process: Process): Configuration {
    const { random, verticalRates, registrar, coverage } = this.#world;
    const configuration = random.chance(verticalRates.stale)
      ? random.pick(registrar.activated)
      : process.known;
    if (configuration.number < registrar.active.number) coverage.hit("staleConfiguration");
    return configuration;
  }

  /** A process says that nothing depends on older configurations any more. */
  #epochInstalled(process: Process, configuration: Configuration): void {
    const { tableChecks, bootstrap } = this.#world;
    check(
      "INSTALLED",
      tableChecks.isInstalled(configuration.number),
      () => `${process.name} takes configuration ${configuration.number} for installed`,
    );
    bootstrap?.moveTo(configuration);
    this.#learnOf(process, configuration);
  }

  /** A command of the machine itself: mostly to a leader, and sometimes to two. */
  #reconfigureHorizontally(bootstrap: Bootstrap, { current }: Epochs, wrongExpect: number): void {
    const { random, coverage, processes, isHealed } = this.#world;
    coverage.hit("reconfigurationAsked");
    const isWrong = !isHealed && random.chance(wrongExpect);
    if (isWrong) coverage.hit("wrongExpect");
    const expect = (current.number + (isWrong ? random.pick([-1, 1]) : 0)) as ConfigurationNumber;
    const acceptors = (count: number): readonly AcceptorId[] => this.#drawAcceptors(current, 0, count);
    const quorums =
      !isHealed && random.chance(WITNESSES)
        ? drawQuorums(random, acceptors)
        : drawFullQuorums(random, acceptors);
    const reconfigure = { expect, quorums };
    bootstrap.asked(reconfigure);
    const leaders = processes.filter(({ host, isAlive }) => isAlive && host.serving);
    for (let copies = random.pick([1, 1, 2]); copies > 0; copies--)
      this.ask(random.pick(leaders.length > 0 ? leaders : processes), { reconfigure }, () => {});
  }

  /** From the active configuration, as far as the process knows, to another one. */
  reconfigure(process: Process): void {
    const { processes, coverage, bootstrap, epochs, options } = this.#world;
    if (!this.isActivated || !process.isAlive || process.reconfiguration !== undefined) return;
    if (bootstrap !== undefined && epochs !== undefined)
      return this.#reconfigureHorizontally(bootstrap, epochs, options.horizontal?.wrongExpect ?? 0);
    coverage.hit("reconfigure");
    if (processes.some((other) => other.reconfiguration !== undefined)) coverage.hit("rivalReconfiguration");
    if (process.host.serving) coverage.hit("leaderReconfigures");
    const quorums = drawQuorums(this.#world.random, (count) =>
      this.#drawAcceptors(process.known, BAD_WELCOME, count),
    );
    this.#world.trace(() => `${process.name} reconfigures to ${JSON.stringify(quorums)}`);
    process.reconfiguration = new Reconfiguration(this.#world, this, process, quorums);
    const { reconfiguration } = process;
    process.enter(() => reconfiguration.start());
  }

  /** Some of the old ones, mostly such as work, and fresh ones for the rest; in any order. */
  #drawAcceptors(old: Configuration, badWelcome: number, count: number): readonly AcceptorId[] {
    const { random, isHealed } = this.#world;
    const acceptors: AcceptorId[] = [];
    const isBadWelcome = !isHealed && random.chance(badWelcome);
    const kept = random.pick([0, 0.5, 0.9]);
    for (const id of old.quorums.acceptors) {
      const { isLost, incarnation } = this.#world.table(id);
      if ((isBadWelcome || (!isLost && incarnation === 0)) && random.chance(kept)) acceptors.push(id);
    }
    while (acceptors.length < count)
      acceptors.push(this.#world.provisioner.spareBut(acceptors) ?? this.#world.freshTable().id);
    const order = new Map(acceptors.map((id) => [id, random.fraction()]));
    return acceptors
      .sort((one, other) => (order.get(one) as number) - (order.get(other) as number))
      .slice(0, count);
  }

  activated(process: Process, configuration: Configuration): void {
    const { coverage, random, isHealed } = this.#world;
    coverage.hit("activated");
    this.#learnOf(process, configuration);
    if (!isHealed && random.chance(0.7)) this.tryToLead(process);
  }

  /** Which configuration is active? Asked once: whoever needs the answer asks again when its next try fails. */
  lookUp(process: Process, isFenced = false): void {
    const { registrar, random, verticalRates } = this.#world;
    const { known } = process;
    registrar.lookup(process, (active) => {
      if (active === undefined) return;
      this.#learnOf(process, active);
      const isStuck = isFenced && active.number === known.number && this.#world.bootstrap === undefined;
      // Fenced, and nobody finishes what the fence was for: somebody has to (PROTOCOL §4 step 2).
      if (isStuck && (this.#isInCharge(process) || random.chance(verticalRates.reconfigureWhenFenced)))
        this.reconfigure(process);
    });
  }

  /** Once faults are over one process alone does what has to be done. */
  #isInCharge(process: Process): boolean {
    return this.#world.isHealed && process === this.#world.processes[0];
  }

  #learnOf(process: Process, configuration: Configuration): void {
    // One that can propose nothing more may never hear of it from a table.
    const { host } = process;
    if ((host.configuration?.number ?? 0) < configuration.number) process.enter(() => host.resign());
    if (configuration.number <= process.known.number) return;
    process.known = configuration;
    this.#cached[this.#world.processes.indexOf(process)] = configuration;
  }

  /** Asks a process, as a client does. `command` undefined: a linearizable read. */
  ask(process: Process, command: Command | undefined, hear: Hear): void {
    const answer = (heard: Heard): void => process.say(() => this.#answer(process, command, heard, hear));
    process.enter(() => {
      if (!this.#areHandlers || process.host.serving) return this.#submit(process, command, answer);
      this.#invocations.set(process, [
        ...(this.#invocations.get(process) ?? []),
        () => this.#submit(process, command, answer),
      ]);
      this.tryToLead(process);
    });
  }

  #submit({ host }: Process, command: Command | undefined, answer: Hear): void {
    if (command !== undefined)
      return host.submit([command], (_, result) =>
        answer("reply" in result ? { reply: result } : { error: result }),
      );
    host.read((result) => {
      if (typeof result !== "number") answer({ error: result });
      else answer({ asOf: result, summary: this.#world.subject.summary(host.replica.state) });
    });
  }

  #answer(process: Process, command: Command | undefined, heard: Heard, hear: Hear): void {
    const { answers } = this.#world;
    this.#world.trace(() => `${process.name} answers ${JSON.stringify(command)} ${JSON.stringify(heard)}`);
    if ("reply" in heard && command !== undefined) answers.replied(command, heard.reply);
    if ("asOf" in heard) answers.read(heard.asOf, heard.summary);
    hear(heard);
  }

  #serving(process: Process): void {
    this.#world.trace(() => `${process.name} serves at ${process.host.ballot}`);
    this.#attempts.delete(process);
    const { configuration } = process.host;
    if (configuration !== undefined && configuration.number > process.known.number)
      this.#world.coverage.hit("walkedOn");
    this.#announce(process);
    for (const invocation of this.#invocations.get(process) ?? []) invocation();
    this.#invocations.delete(process);
  }

  /** Others may hear of a new leader from itself, before any table refuses them. */
  #announce(process: Process): void {
    const { ballot } = process.host;
    for (const other of this.#world.processes) {
      if (
        other === process ||
        ballot === undefined ||
        !this.#world.random.chance(this.#world.rates.announced)
      )
        continue;
      this.#world.post(() =>
        other.enter(() => {
          if (other.host.ballot === undefined || other.host.ballot < ballot) other.host.resign(ballot);
        }),
      );
    }
  }

  #abdicated(process: Process, abdication: Abdication): void {
    const { random } = this.#world;
    this.#world.trace(() => `${process.name} abdicates ${JSON.stringify(abdication)}`);
    check("WINDOW", abdication.why !== "alarm", () => JSON.stringify(abdication));
    if (abdication.why === "damaged")
      check("HEAD_CLAIM", this.isSuspect(abdication.acceptor), () => JSON.stringify(abdication));
    if (this.#isReconfigured) this.#lookUpIfOver(process, abdication);
    if (this.#areHandlers) return this.#leadAgainForInvocations(process);
    if (this.#world.isHealed || !random.chance(0.4)) return;
    // Now and then at once, inside the driver's own step.
    if (random.chance(0.1)) return this.tryToLead(process);
    process.ports.after(random.between(0, RETRY_MS_MAX), () => this.tryToLead(process));
  }

  get #isReconfigured(): boolean {
    const { vertical, horizontal } = this.#world.options;
    return vertical !== undefined || horizontal !== undefined;
  }

  /** Its configuration may be over, or need another one. */
  #lookUpIfOver(process: Process, abdication: Abdication): void {
    const { why } = abdication;
    const led = process.host.configuration?.number ?? 0;
    const isOver = why === "fenced" && configurationOf(abdication.by) > led;
    if (isOver || why === "noQuorum" || why === "damaged") this.lookUp(process, true);
  }

  /** A table that was lost, or created again, may miss a chunk. */
  isSuspect(acceptor: string): boolean {
    return this.#world.tables.some(
      ({ id, isLost, incarnation }) => id === acceptor && (isLost || incarnation > 0),
    );
  }

  #leadAgainForInvocations(process: Process): void {
    if (!this.#invocations.has(process)) return;
    const attempt = (this.#attempts.get(process) ?? 0) + 1;
    this.#attempts.set(process, attempt);
    process.ports.after(backoffMs(attempt, process.ports.random), () => this.tryToLead(process));
  }

  executed(process: Process, slot: Slot, text: string): void {
    const before = this.#applied.get(process) ?? (0 as Slot);
    this.#applied.set(process, slot);
    this.#world.replicas.executed(process.name, before, slot, text, process.host.replica);
    this.#truncateNowAndThen(process, slot);
    if (!process.host.leading || this.#areHandlers) return;
    for (const other of this.#world.processes) if (other !== process) this.#send(other, slot, text);
  }

  /** By a snapshot of its replica as it is now. */
  #truncateNowAndThen(process: Process, slot: Slot): void {
    const { random, options, coverage } = this.#world;
    const { truncation, geometry } = options;
    if (truncation === undefined || slot % geometry.chunkSlots !== 0 || !random.chance(truncation.truncate))
      return;
    const { host, ports } = process;
    // Of two snapshots of one slot the names differ, as they may when the same state is frozen to other bytes.
    const partBytes = truncation.partBytes + random.below(2);
    const snapshot = snapshotOf(slot, host.replica.freeze(), ports.digest, partBytes);
    if (!random.chance(truncation.late)) return this.truncate(process, snapshot);
    coverage.hit("lateSnapshot");
    ports.after(random.between(0, LATE_SNAPSHOT_MS_MAX), () => this.truncate(process, snapshot));
  }

  truncate(process: Process, snapshot: Snapshot): void {
    const { coverage, processes } = this.#world;
    coverage.hit("truncate");
    if (processes.some(({ truncations }) => truncations > 0)) coverage.hit("rivalTruncation");
    this.#world.trace(() => `${process.name} truncates by ${snapshot.name}`);
    process.truncations++;
    process.host.truncate(process.known, snapshot, ({ truncated, left }) => {
      this.#world.trace(() => `${process.name} has truncated ${truncated}, and not ${JSON.stringify(left)}`);
      process.truncations--;
      if (left.length === 0) coverage.hit("truncated");
    });
  }

  installed(process: Process, slot: Slot): void {
    const before = this.#applied.get(process) ?? (0 as Slot);
    if (process.isReserved) this.#world.coverage.hit("installedByReconfigurer");
    else this.#world.coverage.hit(process.host.leading ? "installedByLeader" : "installedByFollower");
    this.#applied.set(process, slot);
    this.#world.trace(() => `${process.name} installs a snapshot of slot ${slot}`);
    this.#world.replicas.installed(process.name, before, slot, process.host.replica);
  }

  #send(to: Process, slot: Slot, text: string): void {
    const { random, coverage } = this.#world;
    if (random.chance(this.#world.rates.followerGap)) return coverage.hit("followerGap");
    this.#world.post(() =>
      to.enter(() => {
        if (!to.isReserved && !to.host.learn(slot, text)) this.catchUp(to);
      }),
    );
  }

  catchUp(process: Process): void {
    if (process.isCatchingUp || process.isReserved) return;
    process.isCatchingUp = true;
    process.host.catchUp(process.known, () => {
      process.isCatchingUp = false;
    });
  }

  #ended(process: Process): void {
    const { processes, random, scheduler, coverage } = this.#world;
    this.#world.trace(() => `${process.name} ends`);
    this.#invocations.delete(process);
    if (process.reconfiguration !== undefined) coverage.hit("reconfigurerCrashed");
    if (process.truncations > 0) coverage.hit("truncatorCrashed");
    if (process.isReserved) coverage.hit("crashedAfterFence");
    const place = processes.indexOf(process);
    scheduler.after(random.between(1, RESTART_MS_MAX), () => {
      coverage.hit("restart");
      this.start(place);
    });
  }
}
