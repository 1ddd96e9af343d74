/**
 * What an error of SQLite means for the table: busy (say it again soon), damaged (the table is lost),
 * or trouble (a full disk, an I/O error, a missing right: the outcome is unknown, and it may pass).
 * Any other error is a mistake in this program, and is not handled.
 */
import { performance } from "node:perf_hooks";

/** Primary result codes, https://www.sqlite.org/rescode.html */
const SQLITE_BUSY = 5;
const SQLITE_CORRUPT = 11;
const SQLITE_CONSTRAINT = 19;
const SQLITE_NOTADB = 26;
/** Extended codes carry the primary one in their low byte. */
const PRIMARY_CODE = 0xff;

/**
 * Two processes may use one file, and one that votes without a gap starves a waiter that backs off as
 * SQLite's own busy_timeout does: so that is 0, and the lock is tried again at about the length of a commit.
 */
const LOCK_RETRY_MS = 0.3;
/** Longer than any group of writes takes: whoever holds the lock for so long is stopped, or no acceptor's user. */
const LOCK_TIMEOUT_MS = 5_000;

const pause = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));

/** @throws what `attempt` throws, and its BUSY once the time for that is over. */
export function whileBusy<Result>(attempt: () => Result): Result {
  const deadlineMs = performance.now() + LOCK_TIMEOUT_MS;
  for (;;) {
    try {
      return attempt();
    } catch (error) {
      if (primaryCode(error) !== SQLITE_BUSY || performance.now() >= deadlineMs) throw error;
      Atomics.wait(pause, 0, 0, LOCK_RETRY_MS);
    }
  }
}

export function isDamage(error: unknown): boolean {
  const code = primaryCode(error);
  return code === SQLITE_CORRUPT || code === SQLITE_NOTADB;
}

/** From SQLite, or from the operating system by way of node:fs; not a broken invariant of the schema. */
export function isStorageError(error: unknown): error is Error {
  const code = primaryCode(error);
  if (code !== undefined) return code !== SQLITE_CONSTRAINT;
  return error instanceof Error && "syscall" in error;
}

function primaryCode(error: unknown): number | undefined {
  if (!(error instanceof Error && "errcode" in error && typeof error.errcode === "number")) return undefined;
  return error.errcode & PRIMARY_CODE;
}
