/**
 * The registry's handler: stateless, as it will be behind a Lambda. A warm invocation keeps ballot and
 * state and answers in one round trip; a cold one fences and recovers first; several may duel, which costs
 * time and never safety (PROTOCOL §9).
 */
import { setTimeout as sleep } from "node:timers/promises";
import { deserialize, serialize } from "node:v8";
import { backoffMs } from "../../backoff.ts";
import { Refused, TheseusError, Unavailable } from "../../errors.ts";
import type { ProcessId } from "../../protocol/ballot.ts";
import type { Configuration, MachineId } from "../../protocol/configuration.ts";
import type { Succession } from "../../protocol/horizontal.ts";
import { ownAcceptors } from "../../protocol/pool.ts";
import type { QuorumSpec } from "../../protocol/quorum.ts";
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

export const REGISTRY = "registry/main" as MachineId;

/** One try at leading; a duel is decided well within it. */
const LEAD_MS_MAX = 2_000;
/** A caller has given up by then. */
const ANSWER_MS_MAX = 10_000;

const CHANGES_NOTHING: RegistryCommand = { type: "configure" };

const registryCode: MachineCode = {
  init: initialRegistry,
  apply: (state, command, { time }) =>
    applyRegistry(state as RegistryState, command as RegistryCommand, { time, verify }),
  freeze: serialize,
  thaw: deserialize,
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
   * pointer only ever moves on.
   */
  readonly movePointer: (to: Pointer) => void;
  /** Where tables are that the ports are about to be asked for. */
  readonly learn: (servers: readonly AcceptorServer[]) => void;
}

export class RegistryService {
  readonly hosted: Hosted;
  readonly #options: RegistryOptions;
  readonly #ports: Ports;

  constructor(options: RegistryOptions) {
    const { first, process, ports, learn, movePointer } = options;
    this.#options = options;
    this.#ports = ports;
    this.hosted = new Hosted({ ...registryHost(first), process, ports });
    // Before its leader goes on to a configuration it must be known where that is.
    this.hosted.on("executed", () => learn(this.own));
    this.hosted.on("installed", () => learn(this.own));
    this.hosted.on("epochInstalled", (configuration) => {
      const acceptors = this.own.filter(({ id }) => configuration.quorums.acceptors.includes(id));
      if (configuration.number > first.number) movePointer({ configuration, acceptors });
    });
  }

  /**
   * Replaces its own tables (PROTOCOL §8): these quorums in place of the current configuration; resolves once they are
   * installed. `servers`: all of them, and where they are. Saying it again is harmless.
   * @throws Refused with the reason when the reconfiguration would be void.
   */
  async reconfigure(quorums: QuorumSpec, servers: readonly AcceptorServer[]): Promise<Configuration> {
    for (const acceptor of servers) {
      const { response, refused } = await this.command({ type: "adoptAcceptor", acceptor });
      if (refused) throw new Refused("invalid_request", `the registry keeps its tables: ${response}`);
    }
    const configuration = await this.#propose(quorums);
    await this.#untilInstalled(configuration);
    return configuration;
  }

  /** The configuration with these quorums that is current or next after a reconfiguration command, ours or a twin's. */
  #propose(quorums: QuorumSpec): Promise<Configuration> {
    const wanted = JSON.stringify(quorums);
    return this.#leading(async () => {
      const { current, next } = this.#succession;
      const ours = [current, next].find((epoch) => JSON.stringify(epoch?.configuration.quorums) === wanted);
      if (ours !== undefined) return ours.configuration;
      const expect = current.configuration.number;
      const [reply] = await this.hosted.send([{ reconfigure: { expect, quorums } }]);
      if (reply instanceof TheseusError) throw reply;
      if (reply?.reply !== "reconfiguration")
        throw new Error(`the registry answered ${JSON.stringify(reply)}`);
      const proposed = reply.succession.next?.configuration;
      if (reply.void === undefined && proposed !== undefined) return proposed;
      throw new Refused("invalid_request", `the registry keeps its tables: ${reply.void}`);
    });
  }

  /** A command that is executed in an epoch proves that it is installed: nothing is voted there before (PROTOCOL §8). */
  #untilInstalled({ number }: Configuration): Promise<void> {
    return this.#leading(async () => {
      const [result] = await this.hosted.send([{ command: CHANGES_NOTHING }]);
      if (result === undefined || result instanceof TheseusError) throw result;
      const { configuration, first } = this.#succession.current;
      if (configuration.number < number || result.slot < first)
        throw new Unavailable("unavailable", "the registry's new tables are not installed yet: try again");
    });
  }

  get #succession(): Succession {
    return this.hosted.host.replica.succession as Succession;
  }

  /** The tables that it has or had, as far as its state tells where they are. */
  get own(): readonly AcceptorServer[] {
    return ownAcceptors(this.hosted.host.replica.state as RegistryState);
  }

  /** The time that it will log next, as far as it knows: what expires does so on this clock. */
  now(): number {
    return this.#ports.now();
  }

  /** Executes one command. Every registry command is idempotent, so an unknown outcome is simply repeated. */
  command(command: RegistryCommand): Promise<{ response: unknown; refused: boolean }> {
    return this.#leading(async () => {
      const [result] = await this.hosted.send([{ command }]);
      if (result instanceof TheseusError) throw result;
      if (result?.reply !== "response") throw new Error(`the registry answered ${JSON.stringify(result)}`);
      return { response: JSON.parse(result.response) as unknown, refused: result.refused === true };
    });
  }

  /** As far as this process has executed: what is to be done, or was by now. */
  get outbox(): RegistryState["outbox"] {
    return (this.hosted.host.replica.state as RegistryState).outbox;
  }

  /** A linearizable read of the registry's state. */
  read<Result>(query: (state: RegistryState) => Result): Promise<Result> {
    return this.#leading(async () => {
      await this.hosted.read();
      return query(this.hosted.host.replica.state as RegistryState);
    });
  }

  /** Does it while leading; when a rival wins the duel, backs off at random and tries again. */
  async #leading<Result>(act: () => Promise<Result>): Promise<Result> {
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
    const { configuration, acceptors } = await this.#options.pointer();
    this.#options.learn(acceptors);
    await this.hosted.lead(configuration, LEAD_MS_MAX);
  }
}
