/**
 * The SQLite adapter of the acceptor port: one file is one table, and one worker thread serves it, so that
 * flushes of several tables overlap and none stops this thread's event loop.
 *
 * A missing reply is `unknown`: after a time limit, and for all that was under way when a worker crashed.
 */
import { once } from "node:events";
import { performance } from "node:perf_hooks";
import { Worker } from "node:worker_threads";
import { GONE, type Outcome, UNKNOWN, type Verb } from "../protocol/acceptor.ts";
import type { MachineId } from "../protocol/configuration.ts";
import type { SqliteMessage, SqliteReply, SqliteWorkerData } from "./sqlite.worker.ts";
import type { AcceptorStore } from "./store.ts";

export { createSqliteTable, inspectSqliteTable, type TableState } from "./sqlite-file.ts";

/** Twice what the worker may wait for the file's lock: a slower answer comes from a disk that hangs. */
const REQUEST_TIMEOUT_MS = 10_000;
/** A worker that cannot live must not be started in a loop; its callers back off as well. */
const RESTART_BACKOFF_MS = 100;

const EXTENSION = import.meta.url.endsWith(".ts") ? "ts" : "js";
const WORKER = new URL(`./sqlite.worker.${EXTENSION}`, import.meta.url);

/** The table at `path` that was born as `incarnation`. Opens it when the first verb is said. */
export function sqliteStore(path: string, incarnation: string): AcceptorStore {
  return new SqliteStore({ path, incarnation });
}

/** While a table hangs, what waits for it must not fill the memory: beyond this the outcome is unknown at once. */
const MAILBOX_MAX = 2_000;

interface Request {
  readonly settle: (outcomes: readonly Outcome[]) => void;
  /** Its answer when none comes. */
  readonly unknown: readonly Outcome[];
}

class SqliteStore implements AcceptorStore {
  readonly #table: SqliteWorkerData;
  readonly #underWay = new Map<number, Request>();
  #lastId = 0;
  /** Requests that the worker has not answered, also those whose callers were told "unknown" long ago. */
  #mailbox = 0;
  #worker: Worker | undefined;
  #restartAtMs = 0;
  #lost = false;
  #closed: Promise<void> | undefined;

  constructor(table: SqliteWorkerData) {
    this.#table = table;
  }

  execute(machine: MachineId, verbs: readonly Verb[]): Promise<readonly Outcome[]> {
    if (this.#lost) return Promise.resolve(verbs.map(() => GONE));
    const worker = this.#runningWorker();
    const unknown = verbs.map(() => UNKNOWN);
    if (worker === undefined || this.#mailbox >= MAILBOX_MAX) return Promise.resolve(unknown);
    const id = ++this.#lastId;
    return new Promise((resolve) => {
      const settle = (outcomes: readonly Outcome[]) => {
        clearTimeout(timeout);
        this.#underWay.delete(id);
        resolve(outcomes);
      };
      const timeout = setTimeout(settle, REQUEST_TIMEOUT_MS, unknown);
      this.#underWay.set(id, { settle, unknown });
      this.#mailbox++;
      worker.postMessage({ id, machine, verbs } satisfies SqliteMessage);
    });
  }

  close(): Promise<void> {
    this.#closed ??= this.#stop();
    return this.#closed;
  }

  /** Undefined after `close`, and for a moment after a crash. */
  #runningWorker(): Worker | undefined {
    if (this.#closed !== undefined || performance.now() < this.#restartAtMs) return undefined;
    this.#worker ??= this.#start();
    return this.#worker;
  }

  #start(): Worker {
    const worker = new Worker(WORKER, { workerData: this.#table });
    worker.on("message", ({ answers, lost }: SqliteReply) => {
      this.#mailbox -= answers.length;
      for (const { id, outcomes } of answers) this.#underWay.get(id)?.settle(outcomes);
      if (lost && !this.#lost) {
        this.#lost = true;
        // What lies in its mailbox is answered first; then there is nothing to do for a thread.
        worker.postMessage("close" satisfies SqliteMessage);
      }
    });
    worker.on("error", (error: Error) => process.emitWarning(error));
    worker.on("exit", () => this.#exited());
    return worker;
  }

  /** Node delivers the worker's last answers before it says that the worker is no more. */
  #exited(): void {
    this.#worker = undefined;
    this.#mailbox = 0;
    this.#restartAtMs = performance.now() + RESTART_BACKOFF_MS;
    for (const { settle, unknown } of this.#underWay.values()) settle(unknown);
  }

  /** The mailbox is in order, so the worker answers everything before it closes the file and ends. */
  async #stop(): Promise<void> {
    const worker = this.#worker;
    if (worker === undefined) return;
    const exit = once(worker, "exit");
    worker.postMessage("close" satisfies SqliteMessage);
    await exit;
  }
}
