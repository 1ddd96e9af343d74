/** Tables as SQLite files in one folder. The tag is how a name begins: bootstrap's own tables have none of it. */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { readdir, rm, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { AcceptorServer } from "../protocol/pool.ts";
import type { AcceptorId } from "../protocol/quorum.ts";
import { createSqliteTable } from "../storage/sqlite.ts";
import type { Tables, TaggedTable } from "./tables.ts";

const TAG = "p-";
const FILE = /^(p-[0-9a-f]{32})\.sqlite(?:-wal|-shm|-journal)?$/;
/** The database first: without its log it would be an older state of itself. */
const SQLITE_FILES = ["", "-wal", "-shm", "-journal"];

export class SqliteTables implements Tables {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = resolve(folder);
  }

  async create(): Promise<AcceptorServer> {
    const id = `${TAG}${random128()}` as AcceptorId;
    const [location, incarnation] = [this.#locationOf(id), random128()];
    createSqliteTable(location, incarnation);
    return { id, kind: "sqlite", location, incarnation };
  }

  async isReady(table: AcceptorServer): Promise<boolean> {
    return this.has(table);
  }

  async delete({ location }: Pick<AcceptorServer, "location">): Promise<void> {
    for (const ending of SQLITE_FILES) await rm(`${location}${ending}`, { force: true });
  }

  async has({ location }: AcceptorServer): Promise<boolean> {
    return existsSync(location);
  }

  async list(except: ReadonlySet<AcceptorId>): Promise<readonly TaggedTable[]> {
    const found = new Map<AcceptorId, TaggedTable>();
    for (const name of await readdir(this.#folder)) {
      const id = FILE.exec(name)?.[1] as AcceptorId | undefined;
      if (id === undefined || except.has(id) || found.has(id)) continue;
      const bornMs = await birthOf(join(this.#folder, name));
      if (bornMs === undefined) continue;
      found.set(id, { id, location: this.#locationOf(id), ageMs: Date.now() - bornMs });
    }
    return [...found.values()];
  }

  #locationOf(id: AcceptorId): string {
    return join(this.#folder, `${id}.sqlite`);
  }
}

/** Undefined: it has just been deleted. */
async function birthOf(path: string): Promise<number | undefined> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  return found?.birthtimeMs;
}

function random128(): string {
  return randomBytes(16).toString("hex");
}
