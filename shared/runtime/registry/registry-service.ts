/**
 * The registry's handler: stateless, as it will be behind a Lambda. A warm invocation keeps ballot and
 * state and answers in one round trip; a cold one fences and recovers first; several may duel, which costs
 * time and never safety (PROTOCOL §9).
 */
import { setTimeout as sleep } from "node:timers/promises";
import { deserialize, serialize } from "node:v8";
import { backoffMs } from "../../backoff.ts";
import { TheseusError, Unavailable } from "../../errors.ts";
import type { ProcessId } from "../../protocol/ballot.ts";
import type { Configuration, MachineId } from "../../protocol/configuration.ts";
import type { Succession } from "../../protocol/horizontal.ts";
import { ownAcceptors } from "../../protocol/own-tables.ts";
import type { AcceptorId } from "../../protocol/quorum.ts";
import {
  type AcceptorServer,
  applyRegistry,
  initialRegistry,
  type RegistryCommand,
  type RegistryState,
} from "../../protocol/registry.ts";
import type { MachineCode } from "../../protocol/replica.ts";
import { REGISTRY_GEOMETRY } from "../../protocol/slot.ts";
import type { HostOptions } from "../host-options.ts";
import { Hosted } from "../hosted.ts";
import type { Ports } from "../ports.ts";
import { verify } from "../signing.ts";
import { OwnTables } from "./own-tables.ts";

export const REGISTRY = "registry/main" as MachineId;

/** One try at leading; a duel is decided well within it. */
const LEAD_MS_MAX = 2_000;
/** A caller has given up by then. */
const ANSWER_MS_MAX = 10_000;

const registryCode: MachineCode = {
  init: initialRegistry,
  apply: (state, command, { time }) =>
    applyRegistry(state as RegistryState, command as RegistryCommand, { time, verify }),
  freeze: serialize,
  // A snapshot of an earlier version lacks what was not known then.
  thaw: (frozen) => ({ ...initialRegistry(), ...deserialize(frozen) }),
};

/** What hosts the registry that began with this configuration. */
export function registryHost(
  first: Configuration,
): Pick<HostOptions, "machine" | "geometry" | "code" | "horizontal"> {
  return { machine: REGISTRY, geometry: REGISTRY_GEOMETRY, code: registryCode, horizontal: { first } };
}

/** Where the registry may be found: one of its configurations that is still there. A hint, and never more. */
export interface Pointer {
  readonly configuration: Configuration;
  readonly acceptors: readonly AcceptorServer[];
}

export interface RegistryOptions {
  /** What the registry began with: a constant of its life, wherever the pointer has moved. */
  readonly first: Configuration;
  readonly process: ProcessId;
  readonly ports: Ports;
  /** Read whenever the registry is to be led; what it names may be gone by then. */
  readonly pointer: () => Promise<Pointer>;
  /**
   * What it names is installed: nothing depends on configurations before it any more. Told again by every leader; the
   * pointer only ever moves on. What only older configurations used is deleted after it resolves.
   */
  readonly movePointer: (to: Pointer) => Promise<void>;
  /** Where tables are that the ports are about to be asked for. */
  readonly learn: (servers: readonly AcceptorServer[]) => void;
  /** A table that is being deleted. */
  readonly forget?: (acceptor: AcceptorId) => void;
}

export class RegistryService {
  readonly hosted: Hosted;
  /** Its own tables, and how they are replaced. */
  readonly tables: OwnTables;
  readonly #options: RegistryOptions;
  readonly #ports: Ports;

  constructor(options: RegistryOptions) {
    const { first, process, ports } = options;
    this.#options = options;
    this.#ports = ports;
    this.hosted = new Hosted({ ...registryHost(first), process, ports });
    // Before its leader goes on to a configuration it must be known where that is.
    this.hosted.on("executed", () => this.#follow());
    this.hosted.on("installed", () => this.#follow());
    this.tables = new OwnTables(this, options);
  }

  #follow(): void {
    const { learn, forget = () => {} } = this.#options;
    learn(this.own);
    for (const { id, state } of this.state.acceptors.values()) if (state === "retired") forget(id);
  }

  /** As far as this process has executed, as all that it says of itself. */
  get state(): RegistryState {
    return this.hosted.host.replica.state as RegistryState;
  }

  /** What it began with. */
  get first(): Configuration {
    return this.#options.first;
  }

  get succession(): Succession {
    return this.hosted.host.replica.succession as Succession;
  }

  /** The tables that it has or had, as far as its state tells where they are. */
  get own(): readonly AcceptorServer[] {
    return ownAcceptors(this.state);
  }

  /** The time that it will log next, as far as it knows: what expires does so on this clock. */
  now(): number {
    return this.#ports.now();
  }

  /** Executes one command. Every registry command is idempotent, so an unknown outcome is simply repeated. */
  command(command: RegistryCommand): Promise<{ response: unknown; refused: boolean }> {
    return this.leading(async () => {
      const [result] = await this.hosted.send([{ command }]);
      if (result instanceof TheseusError) throw result;
      if (result?.reply !== "response") throw new Error(`the registry answered ${JSON.stringify(result)}`);
      return { response: JSON.parse(result.response) as unknown, refused: result.refused === true };
    });
  }

  /** A linearizable read of the registry's state. */
  read<Result>(query: (state: RegistryState) => Result): Promise<Result> {
    return this.leading(async () => {
      await this.hosted.read();
      return query(this.state);
    });
  }

  /** Does it while leading; when a rival wins the duel, backs off at random and tries again. */
  async leading<Result>(act: () => Promise<Result>): Promise<Result> {
    const deadline = this.#ports.elapsed() + ANSWER_MS_MAX;
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#lead();
        return await act();
      } catch (error) {
        if (!(error instanceof TheseusError) || !error.retryable) throw error;
        if (this.#ports.elapsed() > deadline)
          throw new Unavailable("unavailable", `the registry cannot be led: ${error.message}`, {
            cause: error,
          });
        await sleep(backoffMs(attempt, this.#ports.random));
      }
    }
  }

  async #lead(): Promise<void> {
    if (this.hosted.host.serving) return;
    const { configuration } = await this.#pointer();
    try {
      await this.hosted.lead(configuration, LEAD_MS_MAX);
    } catch (error) {
      // Too few of its tables are there: the next attempt begins where those that are have been led on to.
      if (error instanceof TheseusError && error.code === "unavailable") await this.newest();
      throw error;
    }
  }

  /**
   * What the tables know of that the pointer names, without leading, and those that they name in their turn: any one
   * that is there will do. A hint again, and never more.
   */
  async newest(): Promise<Pointer> {
    const { configuration: pointed, acceptors } = await this.#pointer();
    const later = (known: Configuration): Configuration => {
      const { configuration } = this.succession.current;
      return configuration.number > known.number ? configuration : known;
    };
    for (let known = later(pointed); ; ) {
      await this.hosted.catchUp(known);
      const configuration = later(known);
      const places = new Map([...acceptors, ...this.own].map((each) => [each.id, each]));
      const named = configuration.quorums.acceptors.flatMap((id) => places.get(id) ?? []);
      if (configuration.number === known.number) return { configuration, acceptors: named };
      known = configuration;
    }
  }

  async #pointer(): Promise<Pointer> {
    const pointer = await this.#options.pointer();
    this.#options.learn(pointer.acceptors);
    return pointer;
  }
}
