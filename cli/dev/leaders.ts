/** The leader processes of a deployment on this machine: `theseus dev` is to the provisioner what ECS is on AWS. */
import type { LaunchAnswer, LaunchRequest } from "../../shared/provision/launcher-parent.ts";
import type { RegistryClient } from "../../shared/runtime/registry/registry-client.ts";
import { freePorts, isPortFree } from "./free-port.ts";
import type { Parts } from "./parts.ts";

export interface LeadersOptions {
  /** The machines' file, as an absolute path. */
  readonly file: string;
  readonly registry: RegistryClient;
  readonly deploymentId: string;
  readonly snapshotSlots: number;
}

export class Leaders {
  readonly #parts: Parts;
  readonly #options: LeadersOptions;
  /** By id, of all that are kept running. */
  readonly #started = new Map<string, { readonly address: string; readonly ready: Promise<string> }>();

  constructor(parts: Parts, options: LeadersOptions) {
    this.#parts = parts;
    this.#options = options;
  }

  get ids(): readonly string[] {
    return [...this.#started.keys()];
  }

  get addresses(): readonly string[] {
    return [...this.#started.values()].map(({ address }) => address);
  }

  /** All at once, each knowing of the others from the start. */
  async startAll(ids: readonly string[]): Promise<void> {
    const ports = await this.#portsFor(ids);
    const addresses = ports.map((port) => `http://127.0.0.1:${port}`);
    await Promise.all(ids.map((id, index) => this.#start(id, ports[index] as number, addresses)));
  }

  async carryOut(request: LaunchRequest): Promise<LaunchAnswer> {
    const { launcher } = request;
    try {
      if (request.act === "start") await this.start(request.leader);
      else if (request.act === "stop") await this.stop(request.leader);
      return { launcher, leaders: this.ids };
    } catch (error) {
      return { launcher, error: error instanceof Error ? error.message : String(error) };
    }
  }

  /** Resolves when it is ready; there is only ever one of an id. */
  async start(id: string): Promise<void> {
    const started = this.#started.get(id);
    if (started !== undefined) await started.ready;
    else await this.startAll([id]);
  }

  async stop(id: string): Promise<void> {
    await this.#parts.stopOne(id);
    this.#started.delete(id);
  }

  async #start(id: string, port: number, others: readonly string[]): Promise<void> {
    const { file, registry, deploymentId, snapshotSlots } = this.#options;
    const address = `http://127.0.0.1:${port}`;
    const peers = [...this.addresses, ...others].filter((each) => each !== address);
    const args = {
      ...{ file, id, registry: registry.url, peers: peers.join(",") },
      ...{ "deployment-id": deploymentId, "snapshot-slots": String(snapshotSlots) },
    };
    const flags = Object.entries(args).flatMap(([name, value]) => [`--${name}`, value]);
    const ready = this.#parts.start({ part: id, entry: "leader", port, args: flags });
    this.#started.set(id, { address, ready });
    try {
      await ready;
    } catch (error) {
      this.#started.delete(id);
      throw error;
    }
  }

  /** Where it may be the port of the last time, since the registry and its readers remember that address. */
  async #portsFor(ids: readonly string[]): Promise<readonly number[]> {
    const fresh = await freePorts(ids.length);
    const { leaders } = await this.#options.registry.servers();
    const known = new Map(leaders.map(({ id, address }) => [id, Number(new URL(address).port)]));
    return Promise.all(
      fresh.map(async (port, index) => {
        const last = known.get(ids[index] as string);
        return last !== undefined && (await isPortFree(last)) ? last : port;
      }),
    );
  }
}
