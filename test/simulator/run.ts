/**
 * One run: found, a safety phase with faults, then faults off and everything owed must be done. The same
 * seed and overrides give the same run, event by event.
 */
import { Client } from "./client.ts";
import type { Coverage } from "./faults.ts";
import { found } from "./founder.ts";
import { canProgress, Nemesis } from "./nemesis.ts";
import { drawOptions, type Options, type Overrides } from "./options.ts";
import { Owner } from "./owner.ts";
import { Random } from "./random.ts";
import { RegistryLog } from "./registry-log.ts";
import { check, Violation } from "./violation.ts";
import { World } from "./world.ts";

export interface Outcome {
  readonly seed: number;
  readonly options: Options;
  readonly violation: Violation | undefined;
  readonly coverage: Coverage;
  readonly events: number;
  readonly slots: number;
}

/** How long a founder waits for every acceptor before quorums are enough. */
const PATIENCE_MS_MAX = 400;
const FOUNDING_EVENTS_MAX = 20_000;
/** The safety phase goes on until there were so many faults. */
const FAULTS_MIN = 20;
const SAFETY_EVENTS_MAX = 50_000;
const LIVENESS_EVENTS_MAX = 60_000;
/** Answers that each client must get once faults are over. */
const ANSWERS_OWED = 4;
const BETWEEN_ATTEMPTS_MS = 25;
const BETWEEN_RECONFIGURATIONS_MS = 100;
/** A leader looks its configuration up so often, in attempts. */
const LOOKUP_EVERY = 10;
/** How long a reconfiguration goes on that began before faults were over. */
const TRY_MS_MAX = 500;
/** A process that alone tries to lead needs few tries: it learns the highest round from whoever refuses it. */
const ATTEMPTS_MAX = 20;

export function run(seed: number, overrides: Overrides, trace?: (line: string) => void): Outcome {
  const random = new Random(seed);
  const draws = {
    random,
    vertical: new Random(seed + 2 ** 40),
    truncation: new Random(seed + 2 ** 41),
    horizontal: new Random(seed + 2 ** 42),
    provisioning: new Random(seed + 2 ** 43),
    registry: new Random(seed + 2 ** 44),
  };
  const options = drawOptions(draws, overrides);
  const world = new World(options, draws, trace);
  let violation: Violation | undefined;
  try {
    new Run(world, draws.registry).run();
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    violation = error;
  }
  const { coverage, scheduler, canon } = world;
  return { seed, options, violation, coverage, events: scheduler.events, slots: canon.prefix };
}

class Run {
  readonly #world: World;
  readonly #owner: Owner;
  readonly #nemesis: Nemesis;
  readonly #clients: readonly Client[];
  readonly #chance: Random;

  /** `registry` is the source of chance of the registry's own log. */
  constructor(world: World, registry: Random) {
    this.#world = world;
    this.#chance = registry;
    this.#owner = new Owner(world);
    this.#nemesis = new Nemesis(world, this.#owner);
    this.#clients = Array.from(
      { length: world.options.clients },
      (_, index) => new Client(world, this.#owner, `client ${index}`),
    );
  }

  run(): void {
    for (let place = 0; place < this.#world.options.processes; place++) this.#owner.start(place);
    this.#nemesis.start();
    this.#found();
    this.#startLog();
    for (const client of this.#clients) client.begin();
    this.#suffer();
    this.#nemesis.heal();
    this.#world.registrar.log?.heal();
    this.#world.trace(() => "faults are over");
    this.#world.tableChecks.checkAll();
    const { tableChecks, options } = this.#world;
    const { active } = tableChecks;
    // Whoever can still read everything can go on with other acceptors.
    const isOwed =
      this.#canAllProgress || (options.vertical !== undefined && active.families.isRead(active.usable));
    check("LIVENESS", isOwed || options.doomed, () => "founding left too few acceptors to make progress");
    if (isOwed) this.#finish();
    tableChecks.checkAll();
    this.#world.answers.checkHistory();
  }

  /** Horizontally nobody outside helps: so must all that may be come to. */
  get #canAllProgress(): boolean {
    const { tableChecks, bootstrap } = this.#world;
    const { active } = tableChecks;
    if (bootstrap === undefined) return canProgress(active, active.usable);
    return bootstrap.live
      .map((each) => tableChecks.look(each))
      .every((each) => canProgress(each, each.survivors));
  }

  /** Several processes found at once, and may end half-way; somebody tries again until it is done. */
  #found(): void {
    const { scheduler, random, processes, coverage, configuration, options } = this.#world;
    const start = (): void => {
      if (this.#owner.isActivated) return;
      const process = random.pick(processes);
      if (random.chance(0.3)) {
        coverage.hit("founderCrashed");
        process.endAfter(random.below(options.quorums.acceptors.length + 2));
      }
      const ports = process.foundingPorts();
      process.enter(() =>
        found(configuration, options.geometry, ports, random.between(10, PATIENCE_MS_MAX), () =>
          process.say(() => {
            if (!this.#owner.isActivated) this.#owner.activate();
          }),
        ),
      );
      scheduler.after(random.between(0, 300), start);
    };
    start();
    start();
    this.#runUntil(() => this.#owner.isActivated, FOUNDING_EVENTS_MAX, "nobody founded the configuration");
  }

  /** From the first activation on the registry is run by a log of its own, in some runs. */
  #startLog(): void {
    const { registrar, options, coverage } = this.#world;
    if (options.registry === undefined) return;
    coverage.hit("registryLogged");
    registrar.log = new RegistryLog(this.#world, options.registry, this.#chance);
    registrar.log.start();
  }

  #suffer(): void {
    const { scheduler, coverage, options } = this.#world;
    const end = scheduler.events + options.events;
    const last = scheduler.events + SAFETY_EVENTS_MAX;
    this.#owner.tryToLead(this.#world.random.pick(this.#world.processes));
    while (scheduler.events < end || (coverage.total < FAULTS_MIN && scheduler.events < last))
      scheduler.step();
  }

  #finish(): void {
    this.#giveUpTries();
    this.#keepLeading();
    const owed = this.#clients.map((client) => client.answered + ANSWERS_OWED);
    const isDone = (client: Client, index: number): boolean => client.answered >= (owed[index] as number);
    this.#runUntil(() => this.#clients.every(isDone), LIVENESS_EVENTS_MAX, "a client waits for ever");
    for (const client of this.#clients) client.stop();
    const isQuiet = (): boolean => this.#clients.every((client) => client.isIdle);
    this.#runUntil(isQuiet, LIVENESS_EVENTS_MAX, "a client's last command is not answered");
    this.#reconfigureOnceMore();
    this.#catchUp();
  }

  /** A reconfiguration takes effect with no command after it, as long as somebody leads. */
  #reconfigureOnceMore(): void {
    const { epochs, options, processes, scheduler } = this.#world;
    // Handlers lead only while somebody asks them for something.
    if (epochs === undefined || options.subject === "registry") return;
    const { number } = epochs.current;
    const isOver = (): boolean => epochs.current.number > number;
    const ask = (): void => {
      const [process] = processes;
      if (process !== undefined && !isOver() && epochs.next === undefined) this.#owner.reconfigure(process);
      if (!isOver()) scheduler.after(BETWEEN_RECONFIGURATIONS_MS, ask);
    };
    ask();
    this.#runUntil(isOver, LIVENESS_EVENTS_MAX, "a reconfiguration never takes effect");
  }

  /** A try that began while there were faults may wait for a table that does not exist any more. */
  #giveUpTries(): void {
    const { scheduler, processes } = this.#world;
    for (const process of processes) {
      const { reconfiguration } = process;
      scheduler.after(TRY_MS_MAX, () => process.enter(() => reconfiguration?.giveUp()));
    }
  }

  /** One process tries to lead until it does. Handlers try when they are invoked, and back off from each other. */
  #keepLeading(): void {
    const { scheduler, processes, options } = this.#world;
    if (options.subject === "registry") return;
    const isReconfigured = options.vertical !== undefined || options.horizontal !== undefined;
    let attempts = 0;
    let tries = 0;
    const attempt = (): void => {
      const [process] = processes;
      if (process !== undefined && this.#needsOthers) this.#owner.reconfigure(process);
      // A leader with nothing that it may propose asks no table, and none can tell it that it is over.
      if (process?.host.leading && isReconfigured && tries++ % LOOKUP_EVERY === 0)
        this.#owner.lookUp(process);
      if (process?.isAlive && !process.host.leading && process.reconfiguration === undefined) {
        check("LIVENESS", ++attempts <= ATTEMPTS_MAX, () => `nobody leads after ${ATTEMPTS_MAX} attempts`);
        this.#owner.tryToLead(process);
      }
      scheduler.after(BETWEEN_ATTEMPTS_MS, attempt);
    };
    attempt();
  }

  /** The acceptors that are left can be read, and nothing more can be chosen: only others can help. */
  get #needsOthers(): boolean {
    const { tableChecks, options } = this.#world;
    const { active } = tableChecks;
    return options.vertical !== undefined && !canProgress(active, active.usable);
  }

  /** Every process that does not lead learns what the tables cover; what it executes is compared. */
  #catchUp(): void {
    const { processes, registrar } = this.#world;
    const isSettled = (): boolean =>
      processes.every((each) => !each.isCatchingUp && each.reconfiguration === undefined);
    this.#runUntil(isSettled, LIVENESS_EVENTS_MAX, "a follower never caught up");
    for (const process of processes) {
      process.known = registrar.active;
      if (!process.host.leading) this.#owner.catchUp(process);
    }
    this.#runUntil(isSettled, LIVENESS_EVENTS_MAX, "a follower never caught up");
    for (const { name, host } of processes) this.#world.replicas.checkMemory(name, host.replica);
  }

  #runUntil(isDone: () => boolean, eventsMax: number, otherwise: string): void {
    const { scheduler } = this.#world;
    const end = scheduler.events + eventsMax;
    while (!isDone()) {
      check("LIVENESS", scheduler.events < end, () => otherwise);
      check("LIVENESS", scheduler.step(), () => `${otherwise}, and nothing will happen any more`);
    }
  }
}
