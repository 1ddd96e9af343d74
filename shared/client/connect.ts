/** The way in: `connect(url).machine(bank, "main").send(command)`. */
import { setTimeout as sleep } from "node:timers/promises";
import { Invalid } from "../errors.ts";
import type { MachineDefinition } from "../machine.ts";
import type { DeploymentStatus, DrainAnswer } from "../wire.ts";
import { addressIn } from "./addresses.ts";
import { jsonOf } from "./answers.ts";
import { MachineClient } from "./machine.ts";
import { Transport } from "./transport.ts";

const DEADLINE_MS = 30_000;
/** How often a leader that drains is asked how far it is. */
const ASK_PROGRESS_MS = 200;

export interface ConnectOptions {
  /** How long a call may take, retries included, before it is given up. Default: 30 s. */
  readonly deadlineMs?: number;
}

export class Theseus {
  readonly #transport: Transport;
  readonly #deadlineMs: number;
  /** Calls for one machine share their sessions and batches. */
  readonly #machines = new Map<string, MachineClient>();

  constructor(addresses: readonly string[], { deadlineMs = DEADLINE_MS }: ConnectOptions) {
    this.#transport = new Transport({ list: () => addresses, failed: () => {} });
    this.#deadlineMs = deadlineMs;
  }

  /** By definition, and typed by it; or by name. */
  machine<Machine extends MachineDefinition>(definition: Machine, id: string): MachineClient<Machine>;
  machine(name: string, id: string): MachineClient;
  machine(machine: string | MachineDefinition, id: string): MachineClient {
    const name = typeof machine === "string" ? machine : machine.name;
    const key = `${name}/${id}`;
    const known = this.#machines.get(key) ?? new MachineClient(this.#transport, name, id, this.#deadlineMs);
    this.#machines.set(key, known);
    return known;
  }

  async status(): Promise<DeploymentStatus> {
    const request = { method: "GET", path: "/v1/status" };
    const call = { machine: "", request, deadlineMs: this.#deadlineMs, mayRepeat: () => true };
    return jsonOf(await this.#transport.call(call)) as DeploymentStatus;
  }

  /**
   * Has a leader hand its machines over to the others; yields how many are left, whenever that changed, and ends once
   * it may be stopped. @throws Invalid when there is no such leader, or no other one.
   */
  async *drain(leader: string): AsyncGenerator<DrainAnswer> {
    const headers = { "content-type": "application/json" };
    const path = `/v1/leaders/${encodeURIComponent(leader)}/drain`;
    const request = { method: "POST", path, headers, body: "{}" };
    const call = { machine: "", request, deadlineMs: this.#deadlineMs, mayRepeat: () => true };
    for (let left = Number.NaN; left !== 0; await sleep(left === 0 ? 0 : ASK_PROGRESS_MS)) {
      const answer = jsonOf(await this.#transport.call(call)) as DrainAnswer;
      if (answer.machines !== left) yield answer;
      left = answer.machines;
    }
  }

  /** What is under way ends, its outcome being unknown. */
  close(): void {
    this.#transport.close();
  }
}

/**
 * `urls`: where to begin, the gateway's or the registry's address or those of leaders.
 * @throws Invalid when one is no http or https URL.
 */
export function connect(urls: string | readonly string[], options: ConnectOptions = {}): Theseus {
  const addresses = [urls].flat().map(addressOf);
  if (addresses.length === 0) throw new Invalid("invalid_request", "connect needs a URL");
  return new Theseus(addresses, options);
}

function addressOf(text: string): string {
  const address = addressIn(text);
  if (address === undefined) throw new Invalid("invalid_request", `not an http URL: ${text}`);
  return address;
}
