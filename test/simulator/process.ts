/**
 * A simulated process: the product's driver on simulated ports. It may end between any two of its effects,
 * and it may stand still; a process that ended never says anything again, and never comes back: the next
 * one in its place has another id and remembers nothing.
 */
import { hash } from "node:crypto";
import type { Outcome } from "../../shared/protocol/acceptor.ts";
import type { Ballot, ProcessId } from "../../shared/protocol/ballot.ts";
import type { Configuration, MachineId } from "../../shared/protocol/configuration.ts";
import type { Abdication } from "../../shared/protocol/leader.ts";
import type { AcceptorId } from "../../shared/protocol/quorum.ts";
import type { Slot } from "../../shared/protocol/slot.ts";
import { Host } from "../../shared/runtime/host.ts";
import type { Ports } from "../../shared/runtime/ports.ts";
import type { Reconfiguration } from "./reconfiguration.ts";
import { Violation } from "./violation.ts";
import type { World } from "./world.ts";

const REGISTERED_INCARNATION = 0;
export const MACHINE = "ledger/1" as MachineId;

/** What a process tells its surroundings. */
export interface ProcessEvents {
  serving(process: Process, ballot: Ballot): void;
  abdicated(process: Process, abdication: Abdication): void;
  lost(process: Process, acceptor: AcceptorId): void;
  executed(process: Process, slot: Slot, text: string): void;
  epochInstalled(process: Process, configuration: Configuration): void;
  installed(process: Process, slot: Slot): void;
  ended(process: Process): void;
}

export class Process {
  readonly id: ProcessId;
  readonly host: Host;
  readonly ports: Ports;
  isAlive = true;
  isPaused = false;
  isCatchingUp = false;
  /** A handover has its replica: it neither leads nor follows. */
  isReserved = false;
  reconfiguration: Reconfiguration | undefined;
  /** How many truncations it is at. */
  truncations = 0;
  /** The configuration that it takes for the active one. */
  known: Configuration;
  clockOffsetMs = 0;
  readonly #world: World;
  readonly #events: ProcessEvents;
  /** What arrived while it stood still. */
  #backlog: (() => void)[] = [];
  /** Ends after so many more effects. */
  #effectsLeft = Number.POSITIVE_INFINITY;

  constructor(world: World, events: ProcessEvents, known: Configuration) {
    this.known = known;
    this.#world = world;
    this.#events = events;
    this.id = world.random.hexadecimal(32) as ProcessId;
    this.ports = this.#portsFor();
    this.host = new Host({
      machine: MACHINE,
      geometry: world.options.geometry,
      code: world.subject.code,
      process: this.id,
      ports: this.ports,
      events: {
        serving: (ballot) => this.say(() => events.serving(this, ballot)),
        abdicated: (abdication) => this.say(() => events.abdicated(this, abdication)),
        lost: (acceptor) => this.say(() => events.lost(this, acceptor)),
        executed: (slot, text) => this.say(() => events.executed(this, slot, text)),
        epochInstalled: (configuration) => this.say(() => events.epochInstalled(this, configuration)),
        installed: (slot) => this.say(() => events.installed(this, slot)),
      },
      ...(world.options.horizontal && {
        horizontal: { ...world.options.horizontal, first: world.configuration },
      }),
    });
  }

  get name(): string {
    return this.id.slice(0, 4);
  }

  lead(configuration: Configuration): void {
    this.enter(() => this.host.lead(configuration));
  }

  /** Something happens to this process: at once, when it stands still later, when it ended never. */
  enter(what: () => void): void {
    if (this.isPaused) this.#backlog.push(what);
    else if (this.isAlive) this.#run(what);
  }

  /** One effect: none after the end. */
  say(what: () => void): void {
    if (!this.isAlive) return;
    if (this.#effectsLeft-- <= 0) return this.end();
    what();
  }

  end(): void {
    if (!this.isAlive) return;
    this.isAlive = false;
    this.#backlog = [];
    this.#events.ended(this);
  }

  endAfter(effects: number): void {
    this.#effectsLeft = Math.min(this.#effectsLeft, effects);
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
    const backlog = this.#backlog;
    this.#backlog = [];
    for (const what of backlog) this.enter(what);
  }

  /** Ports for founding, which addresses the table that was registered and not whatever has its name later. */
  foundingPorts(): Ports {
    return this.#portsFor(REGISTERED_INCARNATION);
  }

  #run(what: () => void): void {
    try {
      what();
      if (this.host.broken !== undefined) throw new Error(this.host.broken);
    } catch (cause) {
      if (cause instanceof Violation) throw cause;
      throw new Violation("NO_EXCEPTION", `${this.name} threw ${String(cause)}`, { cause });
    }
  }

  #portsFor(incarnation?: number): Ports {
    const { random, scheduler } = this.#world;
    return {
      ask: (acceptor, _, verbs, done) =>
        this.say(() => {
          const answered = (outcomes: readonly Outcome[]): void => this.enter(() => done(outcomes));
          const table = this.#world.table(acceptor);
          if (this.truncations === 0 && verbs.some(({ verb, key }) => verb === "put" && key.kind === "part"))
            this.#world.coverage.hit("snapshotCopied");
          const request = { sender: this.name, table, verbs, done: answered };
          const isFounding = verbs.every(({ verb }) => verb === "create");
          const only = isFounding ? REGISTERED_INCARNATION : incarnation;
          this.#world.network.ask(only === undefined ? request : { ...request, incarnation: only });
        }),
      after: (delayMs, call) => {
        let isCancelled = false;
        const fire = (): void => {
          if (!isCancelled) call();
        };
        this.say(() => void scheduler.after(delayMs, () => this.enter(fire)));
        return () => {
          isCancelled = true;
        };
      },
      now: () => Math.floor(1_700_000_000_000 + scheduler.now + this.clockOffsetMs),
      elapsed: () => scheduler.now,
      random: () => random.fraction(),
      digest: (text) => hash("sha256", text),
    };
  }
}
