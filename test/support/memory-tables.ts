/** Tables in memory that look like DynamoDB's: made, listed by their tag, deleted. */
import { randomBytes } from "node:crypto";
import type { AcceptorId } from "../../shared/protocol/quorum.ts";
import type { AcceptorServer } from "../../shared/protocol/registry.ts";
import type { Tables, TaggedTable } from "../../shared/provision/tables.ts";
import { type MemoryStore, memoryStore } from "../../shared/storage/memory.ts";
import type { AcceptorStore } from "../../shared/storage/store.ts";

export class MemoryTables implements Tables {
  readonly stores = new Map<AcceptorId, MemoryStore>();

  async create(): Promise<AcceptorServer> {
    const id = `p-${randomBytes(16).toString("hex")}` as AcceptorId;
    this.stores.set(id, memoryStore());
    return { id, kind: "dynamodb", location: `us-east-1/${id}`, incarnation: id };
  }

  async isReady({ id }: AcceptorServer): Promise<boolean> {
    return this.stores.has(id);
  }

  async delete({ id }: Pick<AcceptorServer, "id">): Promise<void> {
    this.stores.get(id)?.lose();
    this.stores.delete(id);
  }

  async has({ id }: AcceptorServer): Promise<boolean> {
    return this.stores.has(id);
  }

  async list(except: ReadonlySet<AcceptorId>): Promise<readonly TaggedTable[]> {
    const ids = [...this.stores.keys()].filter((id) => !except.has(id));
    return ids.map((id) => ({ id, location: `us-east-1/${id}`, ageMs: 0 }));
  }

  /** The adapter; a table that is deleted is gone. */
  readonly open = ({ id }: AcceptorServer): AcceptorStore => {
    const store = this.stores.get(id);
    if (store !== undefined) return store;
    const gone = memoryStore();
    gone.lose();
    return gone;
  };
}
