/** The tables of a deployment on this machine as files in its folder. */

import { existsSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { Invalid } from "../../shared/errors.ts";
import type { AcceptorId } from "../../shared/protocol/quorum.ts";
import type { AcceptorServer } from "../../shared/protocol/registry.ts";
import { tablesFolder } from "../../shared/runtime/deployment.ts";
import { createSqliteTable, inspectSqliteTable } from "../../shared/storage/sqlite.ts";
import { random128 } from "./random128.ts";
import type { DevStore, TableUse } from "./store.ts";

/** A database and what SQLite keeps beside it. */
const SQLITE_FILES = ["", "-wal", "-shm", "-journal"];

export class SqliteDevStore implements DevStore {
  readonly nextMove = "put the files back that were there";
  readonly #folder: string;

  constructor(file: string) {
    this.#folder = tablesFolder(file);
  }

  get provisionerArgs(): readonly string[] {
    return ["--tables", this.#folder];
  }

  plan(use: TableUse, number: number): AcceptorServer {
    const id = `${use}${number}-${random128()}` as AcceptorId;
    return { id, kind: "sqlite", location: join(this.#folder, `${id}.sqlite`), incarnation: random128() };
  }

  async make(planned: readonly AcceptorServer[]): Promise<readonly AcceptorServer[]> {
    await mkdir(this.#folder, { recursive: true });
    for (const { location, incarnation } of planned) createSqliteTable(location, incarnation);
    return planned;
  }

  async delete(tables: readonly AcceptorServer[]): Promise<void> {
    for (const { location } of tables)
      for (const ending of SQLITE_FILES) await rm(`${location}${ending}`, { force: true });
  }

  async isThere({ location }: AcceptorServer): Promise<boolean> {
    return existsSync(location);
  }

  async assertUndamaged({ location, incarnation }: AcceptorServer): Promise<void> {
    const table = inspectSqliteTable(location, incarnation);
    if (table.state === "ok") return;
    const what = table.reason.replace(/\.$/, "");
    const nextMove =
      table.state === "lost"
        ? "upgrade if a newer Theseus wrote it, else move the file away to go on without this acceptor, or use another --dir"
        : "put that right, or use another --dir";
    throw new Invalid("invalid_request", `${what}: ${nextMove}`);
  }

  async close(): Promise<void> {}
}
