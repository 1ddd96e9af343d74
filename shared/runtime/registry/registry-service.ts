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
import {
  applyRegistry,
  initialRegistry,
  type RegistryCommand,
  type RegistryState,
} from "../../protocol/registry.ts";
import type { MachineCode } from "../../protocol/replica.ts";
import { REGISTRY_GEOMETRY } from "../../protocol/slot.ts";
import { Hosted } from "../hosted.ts";
import type { Ports } from "../ports.ts";
import { verify } from "../signing.ts";

export const REGISTRY = "registry/main" as MachineId;

/** One try at leading; a duel is decided well within it. */
const LEAD_MS_MAX = 2_000;
/** A caller has given up by then. */
const ANSWER_MS_MAX = 10_000;

export const registryCode: MachineCode = {
  init: initialRegistry,
  apply: (state, command, { time }) =>
    applyRegistry(state as RegistryState, command as RegistryCommand, { time, verify }),
  freeze: serialize,
  thaw: deserialize,
};

export class RegistryService {
  readonly hosted: Hosted;
  readonly #configuration: Configuration;
  readonly #ports: Ports;

  constructor(configuration: Configuration, process: ProcessId, ports: Ports) {
    this.#configuration = configuration;
    this.#ports = ports;
    const machine = REGISTRY;
    this.hosted = new Hosted({ machine, geometry: REGISTRY_GEOMETRY, code: registryCode, process, ports });
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
        await this.hosted.lead(this.#configuration, LEAD_MS_MAX);
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
}
