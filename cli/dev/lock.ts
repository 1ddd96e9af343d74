/**
 * One `dev` per folder. Two would each start a registry and leaders on the same tables: safe, but neither
 * would be what its owner thinks it is.
 *
 * The lock is SQLite's on an empty database, so the operating system lets go of it however its holder dies;
 * a process id alone may since belong to somebody else. The id in `dev.pid` is for people and scripts.
 */
import { accessSync, constants, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Invalid, Unavailable } from "../../shared/errors.ts";
import { fileTrouble } from "../../shared/runtime/file-trouble.ts";

/** https://www.sqlite.org/rescode.html */
const SQLITE_BUSY = 5;
const SQLITE_NOTADB = 26;

export interface Lock {
  release(): void;
}

/** Makes the folder if need be. @throws a TheseusError in a sentence, when another holds it or may not. */
export function lockFolder(dir: string): Lock {
  const pidFile = join(dir, "dev.pid");
  try {
    mkdirSync(dir, { recursive: true });
    // Names what is wrong, where SQLite says only that it is unable to open the database.
    accessSync(dir, constants.R_OK | constants.W_OK | constants.X_OK);
    const holding = hold(join(dir, "dev.lock"), () => refusal(dir, pidFile));
    writeFileSync(pidFile, `${process.pid}\n`);
    return {
      release() {
        rmSync(pidFile, { force: true });
        holding.close();
      },
    };
  } catch (error) {
    throw fileTrouble(error, `the folder ${dir} cannot be used`);
  }
}

function hold(path: string, refused: () => Error): DatabaseSync {
  const database = new DatabaseSync(path);
  try {
    database.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
    return database;
  } catch (error) {
    database.close();
    const { errcode } = error as { errcode?: number };
    if (errcode === SQLITE_BUSY) throw refused();
    if (errcode === SQLITE_NOTADB)
      throw new Invalid("invalid_request", `${path} is not a lock: remove that file, or use another --dir`);
    throw error;
  }
}

function refusal(dir: string, pidFile: string): Error {
  let holder = "";
  try {
    holder = ` (process ${readFileSync(pidFile, "utf8").trim()})`;
  } catch {
    // It is only just starting.
  }
  const message = `${dir} is in use by another theseus dev${holder}: stop it, or use another --dir`;
  return new Unavailable("unavailable", message);
}
