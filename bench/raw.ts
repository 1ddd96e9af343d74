/** The yardstick: raw conditional writes on one table of the same store, one after another, of one command's size. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Verb } from "../shared/protocol/acceptor.ts";
import { ballotOf, type ConfigurationNumber, type ProcessId } from "../shared/protocol/ballot.ts";
import type { MachineId } from "../shared/protocol/configuration.ts";
import type { Lane, Slot } from "../shared/protocol/slot.ts";
import { createSqliteTable, sqliteStore } from "../shared/storage/sqlite.ts";
import type { AcceptorStore } from "../shared/storage/store.ts";
import { quantile } from "./statistics.ts";

const MACHINE = "bench/raw" as MachineId;
const KEY = { kind: "cell", configuration: 1 as ConfigurationNumber, lane: 1 as Lane } as const;
const BALLOT = ballotOf(KEY.configuration, 1, "0123456789abcdef".repeat(2) as ProcessId);
const VALUE_CHARACTERS = 200;

export class RawTable {
  readonly #store: AcceptorStore;
  readonly #dir: string;
  #slot = 0;

  private constructor(store: AcceptorStore, dir: string) {
    this.#store = store;
    this.#dir = dir;
  }

  static async create(): Promise<RawTable> {
    const dir = await mkdtemp(join(tmpdir(), "theseus-bench-"));
    const path = join(dir, "raw.sqlite");
    await createSqliteTable(path, "raw");
    const store = sqliteStore(path, "raw");
    await store.execute(MACHINE, [{ verb: "create", key: KEY }]);
    return new RawTable(store, dir);
  }

  async run(ms: number): Promise<{ perSecond: number; p50Ms: number; p99Ms: number }> {
    const latenciesMs: number[] = [];
    const from = performance.now();
    while (performance.now() - from < ms) {
      const before = performance.now();
      await this.#write();
      latenciesMs.push(performance.now() - before);
    }
    const perSecond = (1_000 * latenciesMs.length) / (performance.now() - from);
    return { perSecond, p50Ms: quantile(latenciesMs, 0.5), p99Ms: quantile(latenciesMs, 0.99) };
  }

  async close(): Promise<void> {
    await this.#store.close();
    await rm(this.#dir, { recursive: true });
  }

  async #write(): Promise<void> {
    const slot = ++this.#slot as Slot;
    const value = { text: String(slot).padEnd(VALUE_CHARACTERS, "."), digest: String(slot) };
    const vote: Verb = { verb: "vote", key: KEY, ballot: BALLOT, slot, value };
    const [outcome] = await this.#store.execute(MACHINE, [vote]);
    if (outcome?.outcome !== "applied") throw new Error(`a raw write was ${outcome?.outcome}`);
  }
}
