/**
 * The registry as one atomic object, in place of the machine that it is: the product's own rules, and requests
 * that are lost, late and repeated like all others.
 */
import type { Configuration } from "../../shared/protocol/configuration.ts";
import type { RegistryContext } from "../../shared/protocol/endorsement.ts";
import { type OutboxRequest, outstanding } from "../../shared/protocol/outbox.ts";
import type { AcceptorRecord } from "../../shared/protocol/pool.ts";
import type { AcceptorId } from "../../shared/protocol/quorum.ts";
import {
  type AcceptorServer,
  applyRegistry,
  initialRegistry,
  lookup,
  type RegistryCommand,
  type RegistryState,
} from "../../shared/protocol/registry.ts";
import { verify } from "../support/endorsing.ts";
import { HOP_MS_MAX, LATE_MS_MAX, TIMEOUT_MS } from "./network.ts";
import { MACHINE, type Process } from "./process.ts";
import type { RegistryLog } from "./registry-log.ts";
import type { World } from "./world.ts";

export class Registrar {
  readonly #world: World;
  readonly state = initialRegistry();
  /** It runs on tables of its own: what was said to it is executed when it is chosen there. Absent: at once. */
  log: RegistryLog | undefined;
  /** Every configuration that was ever active. */
  readonly #activated: Configuration[] = [];
  #known = 1;

  constructor(world: World, first: Configuration) {
    this.#world = world;
    this.state.machines.set(MACHINE, {
      active: 0,
      next: 2,
      history: [],
      configurations: new Map([[1, first]]),
      reasons: new Map(),
      nonces: new Map(),
    });
  }

  /** The active one, or the first one while that is founded. */
  get active(): Configuration {
    return (lookup(this.state, MACHINE) as { configuration: Configuration }).configuration;
  }

  get activated(): readonly Configuration[] {
    return this.#activated;
  }

  /** The active one, and those that may still replace it. */
  get live(): readonly Configuration[] {
    const { active } = this;
    const configurations = this.state.machines.get(MACHINE)?.configurations.values() ?? [];
    return [...configurations].filter(
      (each) => each.number === active.number || each.previous === active.number,
    );
  }

  /** Those that the outbox orders to be deleted. */
  get retired(): ReadonlySet<AcceptorId> {
    return new Set(outstanding(this.state, "deleteAcceptor").map(({ acceptor }) => acceptor.id));
  }

  get outbox(): ReadonlyMap<string, OutboxRequest> {
    return this.state.outbox;
  }

  get acceptors(): ReadonlyMap<AcceptorId, AcceptorRecord> {
    return this.state.acceptors;
  }

  register(id: AcceptorId): void {
    // Else whoever proposes it does so.
    if (this.log === undefined)
      applyRegistry(this.state, { type: "registerAcceptor", acceptor: serverNamed(id) }, this.#context);
  }

  get #context(): RegistryContext {
    return { time: Math.floor(this.#world.scheduler.now), verify };
  }

  /** At once, or because its log says so: `time` is what that recorded. */
  execute(command: RegistryCommand, time = Math.floor(this.#world.scheduler.now)): unknown {
    const before = this.active;
    const wasStarted = this.#activated.length > 0;
    const completed = command.type === "complete" ? this.#pending(command.configuration) : undefined;
    const answer = applyRegistering(this.state, command, { time, verify });
    this.#world.trace(() => `the registry: ${JSON.stringify(command)} → ${JSON.stringify(answer)}`);
    this.#noteProposed();
    if (command.type === "registerLeader") this.#world.endorsers.registered(command.leader);
    if (command.type === "complete" && completed !== undefined)
      this.#world.endorsers.checkCompleted(command, completed, answer, this.state.audit.length, time);
    if (this.active !== before || (!wasStarted && command.type === "complete")) {
      this.#activated.push(this.active);
      this.#world.tableChecks.activate(this.active.number);
    }
    this.#world.provisioner.check();
    return answer;
  }

  /** `done(undefined)`: the outcome is unknown. */
  ask(process: Process, command: RegistryCommand, done: (answer: unknown) => void): void {
    this.tell(command, (answer) => process.enter(() => done(answer)));
  }

  /** By somebody who is none of the processes; `done` as above. */
  tell(command: RegistryCommand, done: (answer: unknown) => void): void {
    this.#exchange<unknown>((answered) => {
      if (this.log === undefined) answered(this.execute(command));
      else this.log.command(command, answered);
    }, done);
  }

  /** Until it is heard, or the process ends. */
  insist(process: Process, command: RegistryCommand): void {
    if (this.log === undefined) return void this.execute(command);
    this.ask(process, command, (answer) => {
      if (answer === undefined) this.insist(process, command);
    });
  }

  /** What was active when the request arrived; perhaps not any more. */
  lookup(process: Process, done: (active: Configuration | undefined) => void): void {
    this.#exchange<Configuration>(
      (answered) => {
        if (this.log === undefined) answered(this.active);
        else this.log.lookup(answered);
      },
      (active) => process.enter(() => done(active)),
    );
  }

  #exchange<Answer>(
    execute: (answered: (answer: Answer | undefined) => void) => void,
    done: (answer: Answer | undefined) => void,
  ): void {
    const { random, scheduler, coverage, rates } = this.#world;
    let isOver = false;
    const finish = (answer: Answer | undefined): void => {
      if (isOver) return;
      isOver = true;
      done(answer);
    };
    const arrive = (afterMs: number): void => {
      scheduler.after(afterMs, () => {
        execute((answer) => {
          if (!random.chance(rates.replyLost))
            scheduler.after(random.between(0.2, HOP_MS_MAX), () => finish(answer));
        });
      });
    };
    scheduler.after(TIMEOUT_MS, () => finish(undefined));
    if (random.chance(rates.requestLost)) return coverage.hit("registryRequestLost");
    const isLate = random.chance(rates.requestDelayed);
    arrive(isLate ? random.between(TIMEOUT_MS, LATE_MS_MAX) : random.between(0.2, HOP_MS_MAX));
    if (random.chance(rates.requestDuplicated)) {
      coverage.hit("registryRequestRepeated");
      arrive(random.between(TIMEOUT_MS, LATE_MS_MAX));
    }
  }

  /** What may be activated, but for its endorsements. */
  #pending(number: number): Configuration | undefined {
    const configuration = this.state.machines.get(MACHINE)?.configurations.get(number);
    const isPending = configuration?.previous === this.active.number;
    return isPending ? configuration : undefined;
  }

  #noteProposed(): void {
    for (const configuration of this.state.machines.get(MACHINE)?.configurations.values() ?? [])
      if (configuration.number > this.#known) {
        this.#known = configuration.number;
        this.#world.tableChecks.add(configuration);
      }
  }
}

export function serverNamed(id: AcceptorId): AcceptorServer {
  return { id, kind: "simulated", location: id, incarnation: "0" };
}

/** Whoever proposes tables that are new has registered them first. */
export function applyRegistering(
  state: RegistryState,
  command: RegistryCommand,
  context: RegistryContext,
): unknown {
  if (command.type === "propose")
    for (const id of command.quorums.acceptors)
      if (!state.acceptors.has(id))
        applyRegistry(state, { type: "registerAcceptor", acceptor: serverNamed(id) }, context);
  return applyRegistry(state, command, context);
}
