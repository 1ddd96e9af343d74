/** The way in: `connect(url).machine(bank, "main").send(command)`. */
import { Invalid } from "../errors.ts";
import type { MachineDefinition } from "../machine.ts";
import type { DeploymentStatus } from "../wire.ts";
import { addressIn } from "./addresses.ts";
import { jsonOf } from "./answers.ts";
import { MachineClient } from "./machine.ts";
import { Transport } from "./transport.ts";

const DEADLINE_MS = 30_000;

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
