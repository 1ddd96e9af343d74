/**
 * The registry as the machine that it is (PROTOCOL §9): a log on tables of its own, below those who reconfigure. Its
 * handlers duel, end, and are frozen in the middle of a decision, and it reconfigures itself horizontally. A world
 * within the world, with the same clock; what its log says is what the registry says.
 */
import { deserialize, serialize } from "node:v8";
import type { Configuration } from "../../shared/protocol/configuration.ts";
import type { RegistryCommand, RegistryState } from "../../shared/protocol/registry.ts";
import { Refusal } from "../../shared/protocol/replica.ts";
import { verify } from "../support/endorsing.ts";
import { found } from "./founder.ts";
import { Nemesis } from "./nemesis.ts";
import type { Options } from "./options.ts";
import { type Heard, Owner } from "./owner.ts";
import { MACHINE } from "./process.ts";
import type { Random } from "./random.ts";
import { applyRegistering, type Registrar } from "./registrar.ts";
import { summaryOf } from "./registry.ts";
import type { Subject } from "./subject.ts";
import { World } from "./world.ts";

/** `unique`: said again it is another command, as the registry's callers do. */
interface Logged {
  readonly command: RegistryCommand;
  readonly at: number;
  readonly unique: number;
}

export class RegistryLog {
  readonly #world: World;
  readonly #owner: Owner;
  readonly #nemesis: Nemesis;

  constructor(outer: World, options: Options, random: Random) {
    const draws = { random, vertical: random, provisioning: random };
    const { scheduler, coverage, registrar } = outer;
    const tell = (line: string): void => outer.trace(() => `registry: ${line}`);
    const trace = outer.isTraced ? tell : undefined;
    this.#world = new World(options, draws, trace, { scheduler, coverage, subject: subjectOf(registrar) });
    this.#owner = new Owner(this.#world);
    this.#nemesis = new Nemesis(this.#world, this.#owner);
  }

  start(): void {
    const { options, configuration, processes } = this.#world;
    for (let place = 0; place < options.processes; place++) this.#owner.start(place);
    const ports = (processes[0] as (typeof processes)[number]).foundingPorts();
    found(configuration, options.geometry, ports, Number.POSITIVE_INFINITY, () => {
      this.#owner.activate();
      this.#nemesis.start();
    });
  }

  heal(): void {
    this.#nemesis.heal();
    this.#world.tableChecks.checkAll();
  }

  /** `done(undefined)`: the outcome is unknown. */
  command(command: RegistryCommand, done: (answer: unknown) => void): void {
    const { scheduler } = this.#world;
    const logged: Logged = { command, at: Math.floor(scheduler.now), unique: this.#world.unique() };
    this.#ask({ command: logged }, (heard) => {
      if (!("reply" in heard) || heard.reply.reply !== "response") return done(undefined);
      const response = JSON.parse(heard.reply.response) as unknown;
      done(heard.reply.refused ? new Refusal(response as string) : response);
    });
  }

  lookup(done: (active: Configuration | undefined) => void): void {
    this.#ask(undefined, (heard) => done("asOf" in heard ? activeIn(heard.summary) : undefined));
  }

  #ask(command: { readonly command: Logged } | undefined, hear: (heard: Heard) => void): void {
    this.#owner.ask(this.#world.random.pick(this.#world.processes), command, hear);
  }
}

/** What is chosen is executed by the registrar, so that everybody sees it who may see everything. */
function subjectOf(registrar: Registrar): Subject {
  const before = serialize(registrar.state);
  return {
    code: {
      init: () => deserialize(before),
      apply: (state, logged) => {
        const { command, at } = logged as Logged;
        return applyRegistering(state as RegistryState, command, { time: at, verify });
      },
      freeze: serialize,
      thaw: deserialize,
    },
    reference: () => ({
      execute(logged) {
        const { command, at } = logged as Logged;
        const answer = registrar.execute(command, at);
        if (answer instanceof Refusal) return { response: JSON.stringify(answer.reason), refused: true };
        return { response: JSON.stringify(answer) };
      },
      summary: () => summaryOf(registrar.state),
    }),
    summary: (state) => summaryOf(state as RegistryState),
    fingerprint: () => "",
    diagnose: () => "REPLICAS_AGREE",
    command: () => {
      throw new Error("this machine has no clients but those who reconfigure");
    },
  };
}

/** From what a read shows, where maps are lists of pairs. */
function activeIn(summary: string): Configuration {
  type Pairs<Key, Value> = readonly (readonly [Key, Value])[];
  interface Shown {
    readonly machines: Pairs<string, { active: number; configurations: Pairs<number, Configuration> }>;
  }
  const record = new Map((JSON.parse(summary) as Shown).machines).get(MACHINE);
  return new Map(record?.configurations).get(record?.active ?? 0) as Configuration;
}
