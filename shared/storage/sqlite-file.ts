/**
 * The file of a table: its birth, its opening, and when it counts as lost (PROTOCOL §11).
 *
 * A file is created once, by `createSqliteTable`, and never by opening it. It carries a birth stamp; the
 * registry knows which one belongs there. A file that is missing, damaged, born as another, written by a
 * newer version, deleted or replaced while open, is a lost acceptor: what it promised may be forgotten.
 *
 * While a table is open, only stat its files, never open them by node:fs: closing any descriptor of a file
 * drops all locks that this process holds on it, SQLite's among them.
 */
import { accessSync, closeSync, constants, fsyncSync, openSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import { isDamage, isStorageError, whileBusy } from "./sqlite-error.ts";

/** "Thes" in ASCII: tells a table of ours from any other SQLite database. */
const APPLICATION_ID = 0x54686573;
const FORMAT = 1;

/**
 * Cells and contents hold large texts, so their rows lie in ordinary rowid tables: a table WITHOUT ROWID
 * keeps whole rows in its inner pages and grows deep. The text comes last, so that a condition on the
 * columns before it does not read the text's pages.
 */
const SCHEMA = `
  CREATE TABLE birth (incarnation TEXT NOT NULL) STRICT;
  CREATE TABLE cell (
    machine TEXT NOT NULL, key TEXT NOT NULL,
    promised TEXT NOT NULL, slot INTEGER NOT NULL, vote TEXT, digest TEXT, text TEXT,
    PRIMARY KEY (machine, key),
    CHECK (vote IS NULL OR (vote <= promised AND slot > 0 AND digest IS NOT NULL AND text IS NOT NULL))
  ) STRICT;
  CREATE TABLE head (
    machine TEXT NOT NULL PRIMARY KEY,
    covered INTEGER NOT NULL, snapshot_slot INTEGER NOT NULL, snapshot TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE content (
    machine TEXT NOT NULL, key TEXT NOT NULL,
    digest TEXT NOT NULL, text TEXT NOT NULL,
    PRIMARY KEY (machine, key)
  ) STRICT;
`;

/**
 * FULL: every commit is flushed before it is answered. A checkpoint each 250 pages keeps the log small,
 * so that it is overwritten in place instead of growing, which a flush would have to record as well.
 */
const SETTINGS = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  PRAGMA wal_autocheckpoint = 250;
`;

/** `reason` is one sentence for a person. */
export type Lost = { readonly state: "lost"; readonly reason: string };
export type Opened =
  | { readonly state: "open"; readonly database: DatabaseSync; readonly identity: string }
  | Lost;
/** unusable: it cannot be opened now (no right, locked, disk trouble), which says nothing about its content. */
export type TableState =
  | { readonly state: "ok" }
  | Lost
  | { readonly state: "unusable"; readonly reason: string };

/**
 * Brings a table into the world, empty and on disk for good.
 * @throws when there is a file already, or the disk refuses. What a failed birth leaves behind has no
 * stamp, so nobody takes it for a table.
 */
export function createSqliteTable(path: string, incarnation: string): void {
  closeSync(openSync(path, "wx", 0o600));
  const database = new DatabaseSync(locationOf(path));
  try {
    database.exec(SETTINGS);
    database.exec(`BEGIN IMMEDIATE; ${SCHEMA}
      PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${FORMAT};`);
    database.prepare("INSERT INTO birth (incarnation) VALUES (:incarnation)").run({ incarnation });
    database.exec("COMMIT");
  } finally {
    database.close();
  }
  flush(path);
  flush(dirname(resolve(path)));
}

/** @throws a storage error when nothing can be said about the table now. */
export function openSqliteFile(path: string, incarnation: string): Opened {
  return whileBusy(() => openOnce(path, incarnation));
}

/** What start-up code tells a person about a table. Reads the whole file once, to find damage early. */
export function inspectSqliteTable(path: string, incarnation: string): TableState {
  try {
    const opened = openSqliteFile(path, incarnation);
    if (opened.state === "lost") return opened;
    try {
      const found = opened.database.prepare("PRAGMA quick_check(1)").get()?.quick_check;
      return found === "ok" ? { state: "ok" } : lost(`The table ${path} is damaged: ${found}.`);
    } finally {
      opened.database.close();
    }
  } catch (error) {
    if (isDamage(error)) return damaged(path, error);
    if (!isStorageError(error)) throw error;
    return { state: "unusable", reason: `The table ${path} cannot be used now: ${error.message}.` };
  }
}

/**
 * Device and number of the path's files, or undefined when one is not there. The log and its index count:
 * without them the file is an older state of itself. An open file keeps its number, so while a table is
 * open, an equal identity means that the open files are the path's files.
 */
export function identityOf(path: string): string | undefined {
  const numbers: string[] = [];
  for (const suffix of ["", "-wal", "-shm"]) {
    const stat = statSync(path + suffix, { bigint: true, throwIfNoEntry: false });
    if (stat === undefined) return undefined;
    numbers.push(`${stat.dev}:${stat.ino}`);
  }
  return numbers.join(" ");
}

export function damaged(path: string, error: unknown): Lost {
  return lost(`The table ${path} is damaged: ${error instanceof Error ? error.message : error}.`);
}

export function lost(reason: string): Lost {
  return { state: "lost", reason };
}

function openOnce(path: string, incarnation: string): Opened {
  const before = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (before === undefined) return lost(`The table ${path} is not there.`);
  // SQLite would open a file that may only be read, and stay a reader when the right comes back.
  accessSync(path, constants.W_OK);
  const database = new DatabaseSync(locationOf(path));
  try {
    database.exec(SETTINGS);
    const strangeness = whyNot(database, incarnation);
    if (strangeness !== undefined) {
      database.close();
      return lost(`The table ${path} ${strangeness}.`);
    }
    const identity = identityOf(path);
    if (!identity?.startsWith(`${before.dev}:${before.ino} `)) {
      database.close();
      return lost(`The table ${path} was replaced while it was being opened.`);
    }
    return { state: "open", database, identity };
  } catch (error) {
    database.close();
    if (isDamage(error)) return damaged(path, error);
    throw error;
  }
}

/** Why this is not the table that was born as `incarnation`, to be read after "The table … ". */
function whyNot(database: DatabaseSync, incarnation: string): string | undefined {
  const application = database.prepare("PRAGMA application_id").get()?.application_id;
  if (application !== APPLICATION_ID) return "is not a table of Theseus";
  const format = database.prepare("PRAGMA user_version").get()?.user_version;
  if (format !== FORMAT)
    return `has format ${format}, and this version of Theseus reads format ${FORMAT} only`;
  const stamp = database.prepare("SELECT incarnation FROM birth").get()?.incarnation;
  if (stamp !== incarnation)
    return `was born as ${stamp}, not as ${incarnation}: another file took its place`;
  return undefined;
}

/** `mode=rw` never creates a file, as a bare path would. */
function locationOf(path: string): URL {
  const location = pathToFileURL(path);
  location.search = "mode=rw";
  return location;
}

function flush(path: string): void {
  const descriptor = openSync(path, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
