/** The stores that a process has open: one for each acceptor that it learned the place of. */
import { HEAD, UNKNOWN } from "../protocol/acceptor.ts";
import type { MachineId } from "../protocol/configuration.ts";
import type { AcceptorId } from "../protocol/quorum.ts";
import type { AcceptorServer } from "../protocol/registry.ts";
import type { AcceptorStore } from "../storage/store.ts";

/** Nothing is known of it, which is not that it is lost. */
const NOT_OPEN: AcceptorStore = {
  execute: async (_, verbs) => verbs.map(() => UNKNOWN),
  close: async () => {},
};

export class StorePool {
  readonly #open: (server: AcceptorServer) => AcceptorStore;
  readonly #stores = new Map<AcceptorId, AcceptorStore>();
  readonly #warm = new Set<AcceptorId>();

  /** `open` chooses the adapter by the server's kind. */
  constructor(open: (server: AcceptorServer) => AcceptorStore) {
    this.#open = open;
  }

  learn(servers: readonly AcceptorServer[]): void {
    for (const server of servers)
      if (!this.#stores.has(server.id)) this.#stores.set(server.id, this.#opened(server));
  }

  /** Whoever hears of a table that this version cannot open, in a log that is executed again and again, must live on. */
  #opened(server: AcceptorServer): AcceptorStore {
    try {
      return this.#open(server);
    } catch (error) {
      process.emitWarning(error instanceof Error ? error.message : String(error), "TableWarning");
      return NOT_OPEN;
    }
  }

  /** Opens what is not open yet, so that a standby that takes over does not wait for it. */
  async warm(machine: MachineId, servers: readonly AcceptorServer[]): Promise<void> {
    this.learn(servers);
    const cold = servers.filter(({ id }) => !this.#warm.has(id));
    for (const { id } of cold) this.#warm.add(id);
    await Promise.all(cold.map(({ id }) => this.get(id)?.execute(machine, [{ verb: "read", key: HEAD }])));
  }

  get(acceptor: AcceptorId): AcceptorStore | undefined {
    return this.#stores.get(acceptor);
  }

  /** A table that is being deleted: from now on nobody knows where it is. */
  async drop(acceptor: AcceptorId): Promise<void> {
    const store = this.#stores.get(acceptor);
    this.#stores.delete(acceptor);
    await store?.close();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#stores.values()].map((store) => store.close()));
  }
}
