/**
 * Whoever owns the processes, in place of the product's server and of its stateless functions: starts them
 * again, decides who tries to lead, hands commands to them, and sends a leader's executed commands to the
 * others. It may decide anything at any time; no decision of it may break a promise.
 */

import { backoffMs } from "../../shared/backoff.ts";
import type { TheseusError } from "../../shared/errors.ts";
import type { Abdication } from "../../shared/protocol/leader.ts";
import type { Reply } from "../../shared/protocol/session.ts";
import type { Slot } from "../../shared/protocol/slot.ts";
import type { Command } from "../../shared/protocol/value.ts";
import { Process, type ProcessEvents } from "./process.ts";
import { check } from "./violation.ts";
import type { World } from "./world.ts";

/** What a client hears: a command's reply, what a read showed, or an error. */
export type Heard =
  | { readonly reply: Reply }
  | { readonly asOf: Slot; readonly summary: string }
  | { readonly error: TheseusError };
export type Hear = (heard: Heard) => void;

const RESTART_MS_MAX = 200;
/** How long a leader that was deposed waits before it tries again, if it does. */
const RETRY_MS_MAX = 150;

export class Owner {
  readonly #world: World;
  readonly #events: ProcessEvents;
  /** What handlers have been invoked for and cannot do until they lead. */
  readonly #invocations = new Map<Process, (() => void)[]>();
  readonly #applied = new Map<Process, Slot>();
  readonly #attempts = new Map<Process, number>();
  isActivated = false;

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
      },
      executed: (process, slot, text) => this.#executed(process, slot, text),
      ended: (process) => this.#ended(process),
    };
  }

  start(place: number): void {
    const process = new Process(this.#world, this.#events);
    this.#world.processes[place] = process;
    this.#world.trace(() => `${process.name} starts in place ${place}`);
  }

  /** Stateless handlers lead only for as long as they are asked something; servers whenever they like. */
  get #areHandlers(): boolean {
    return this.#world.options.subject === "registry";
  }

  tryToLead(process: Process): void {
    const { processes, coverage, configuration } = this.#world;
    if (!this.isActivated || !process.isAlive) return;
    if (processes.some((other) => other !== process && other.host.serving)) coverage.hit("rivalLeader");
    process.lead(configuration);
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
      check("HEAD_CLAIM", this.#isSuspect(abdication.acceptor), () => JSON.stringify(abdication));
    if (this.#areHandlers) return this.#leadAgainForInvocations(process);
    if (this.#world.isHealed || !random.chance(0.4)) return;
    // Now and then at once, inside the driver's own step.
    if (random.chance(0.1)) return this.tryToLead(process);
    process.ports.after(random.between(0, RETRY_MS_MAX), () => this.tryToLead(process));
  }

  /** A table that was lost, or created again, may miss a chunk. */
  #isSuspect(acceptor: string): boolean {
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

  #executed(process: Process, slot: Slot, text: string): void {
    const before = this.#applied.get(process) ?? (0 as Slot);
    this.#applied.set(process, slot);
    this.#world.replicas.executed(process.name, before, slot, text, process.host.replica.state);
    if (!process.host.leading || this.#areHandlers) return;
    for (const other of this.#world.processes) if (other !== process) this.#send(other, slot, text);
  }

  #send(to: Process, slot: Slot, text: string): void {
    const { random, coverage } = this.#world;
    if (random.chance(this.#world.rates.followerGap)) return coverage.hit("followerGap");
    this.#world.post(() =>
      to.enter(() => {
        if (!to.host.learn(slot, text)) this.catchUp(to);
      }),
    );
  }

  catchUp(process: Process): void {
    if (process.isCatchingUp) return;
    process.isCatchingUp = true;
    process.host.catchUp(this.#world.configuration, () => {
      process.isCatchingUp = false;
    });
  }

  #ended(process: Process): void {
    const { processes, random, scheduler, coverage } = this.#world;
    this.#world.trace(() => `${process.name} ends`);
    this.#invocations.delete(process);
    const place = processes.indexOf(process);
    scheduler.after(random.between(1, RESTART_MS_MAX), () => {
      coverage.hit("restart");
      this.start(place);
    });
  }
}
