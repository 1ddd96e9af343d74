/**
 * The queue in one SQLite file, which several processes may have open: flushed before `send` resolves. Its times are
 * the wall clock's, since they must outlive processes; a clock that jumps makes messages come early or late, which at
 * least once and in any order includes.
 */

import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import type { Message, Queue, QueueOptions } from "./queue.ts";

const FORMAT = 1;
const POLL_MS = 50;
/** Another process holds the file's lock for a few flushes at most. */
const BUSY_MS_MAX = 5_000;
/** So many are kept to be looked at. */
const DEAD_LETTERS_MAX = 1_000;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS message (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    body TEXT NOT NULL, visible_at REAL NOT NULL, receives INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX IF NOT EXISTS message_visible_at ON message (visible_at);
  CREATE TABLE IF NOT EXISTS dead_letter (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
  PRAGMA user_version = ${FORMAT};
`;

export class LocalQueue implements Queue {
  readonly #database: DatabaseSync;
  readonly #options: QueueOptions;

  /** Makes the file if there is none. @throws RangeError for a newer version's file, or a damaged one. */
  constructor(path: string, options: QueueOptions) {
    this.#options = options;
    this.#database = new DatabaseSync(path);
    try {
      this.#prepare(path);
    } catch (error) {
      this.#database.close();
      throw isDamage(error) ? new RangeError(damaged(path), { cause: error }) : error;
    }
  }

  #prepare(path: string): void {
    this.#database.exec(
      `PRAGMA busy_timeout = ${BUSY_MS_MAX}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;`,
    );
    const format = this.#database.prepare("PRAGMA user_version").get()?.user_version;
    if (format !== 0 && format !== FORMAT)
      throw new RangeError(`the queue ${path} has format ${format}, and this version reads ${FORMAT}`);
    this.#database.exec(`BEGIN IMMEDIATE; ${SCHEMA} COMMIT;`);
  }

  async send(body: string, delayMs = 0): Promise<void> {
    this.#database
      .prepare("INSERT INTO message (body, visible_at, receives) VALUES (:body, :visibleAt, 0)")
      .run({ body, visibleAt: Date.now() + delayMs });
  }

  async receive(max: number, waitMs: number, signal?: AbortSignal): Promise<readonly Message[]> {
    const deadline = performance.now() + waitMs;
    for (;;) {
      const messages = signal?.aborted ? [] : this.#receiveNow(max);
      if (messages.length > 0 || signal?.aborted || performance.now() >= deadline) return messages;
      await sleep(POLL_MS);
    }
  }

  async delete(receipt: string): Promise<void> {
    const [id = "", receives = ""] = receipt.split("-");
    this.#database
      .prepare("DELETE FROM message WHERE id = :id AND receives = :receives")
      .run({ id: Number(id), receives: Number(receives) });
  }

  /** The bodies of the latest ones. */
  deadLetters(): readonly string[] {
    const rows = this.#database.prepare("SELECT body FROM dead_letter ORDER BY id").all();
    return rows.map(({ body }) => String(body));
  }

  async close(): Promise<void> {
    if (this.#database.isOpen) this.#database.close();
  }

  #receiveNow(max: number): readonly Message[] {
    const now = Date.now();
    // Whoever finds nothing takes no lock and flushes nothing.
    const waiting = this.#database
      .prepare("SELECT 1 FROM message WHERE visible_at <= :now LIMIT 1")
      .get({ now });
    return waiting === undefined ? [] : this.#transaction(() => this.#take(max, now));
  }

  #take(max: number, now: number): readonly Message[] {
    this.#buryTheDead(now);
    const rows = this.#database
      .prepare(
        `UPDATE message SET visible_at = :until, receives = receives + 1
         WHERE id IN (SELECT id FROM message WHERE visible_at <= :now ORDER BY visible_at LIMIT :max)
         RETURNING id, body, receives`,
      )
      .all({ now, until: now + this.#options.visibilityMs, max });
    return rows.map(({ id, body, receives }) => ({ body: String(body), receipt: `${id}-${receives}` }));
  }

  #buryTheDead(now: number): void {
    const dead = { now, most: this.#options.receivesMax };
    const where = "FROM message WHERE visible_at <= :now AND receives >= :most";
    const { changes } = this.#database
      .prepare(`INSERT INTO dead_letter (id, body) SELECT id, body ${where}`)
      .run(dead);
    if (changes === 0) return;
    this.#database.prepare(`DELETE ${where}`).run(dead);
    this.#database
      .prepare(
        "DELETE FROM dead_letter WHERE id NOT IN (SELECT id FROM dead_letter ORDER BY id DESC LIMIT :kept)",
      )
      .run({ kept: DEAD_LETTERS_MAX });
  }

  #transaction<Result>(act: () => Result): Result {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      const result = act();
      this.#database.exec("COMMIT");
      return result;
    } catch (error) {
      this.#database.exec("ROLLBACK");
      throw error;
    }
  }
}

/** https://www.sqlite.org/rescode.html */
const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;
/** Extended codes carry the primary one in their low byte. */
const PRIMARY_CODE = 0xff;

function isDamage(error: unknown): boolean {
  const { errcode } = error as { errcode?: number };
  return [SQLITE_CORRUPT, SQLITE_NOTADB].includes((errcode ?? 0) & PRIMARY_CODE);
}

function damaged(path: string): string {
  return `the queue ${path} is damaged: move that file away, what is not done yet is sent again`;
}
