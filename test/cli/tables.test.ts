import { rmSync, writeFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { openDeployment } from "../../cli/dev/bootstrap.ts";
import { SqliteDevStore } from "../../cli/dev/store-sqlite.ts";
import { findRegistry, missingTables } from "../../cli/dev/tables.ts";
import type { AcceptorServer } from "../../shared/protocol/registry.ts";
import { deploymentFile } from "../../shared/runtime/deployment.ts";
import { createSqliteTable } from "../../shared/storage/sqlite.ts";
import { temporaryFolder } from "../support/temporary.ts";

function remove({ location }: AcceptorServer): void {
  for (const suffix of ["", "-wal", "-shm"]) rmSync(location + suffix, { force: true });
}

async function fresh() {
  const dir = temporaryFolder();
  const deployment = await openDeployment(dir);
  const [first, second] = deployment.registry.acceptors as readonly [AcceptorServer, AcceptorServer];
  const [acceptor] = deployment.acceptors as readonly [AcceptorServer];
  const file = deploymentFile(dir);
  const store = new SqliteDevStore(file);
  return { file, store, deployment, first, second, acceptor };
}

test("A missing file is a lost acceptor, one of each kind is no harm", async () => {
  const { deployment, store, first, acceptor } = await fresh();
  remove(first);
  remove(acceptor);
  expect(await missingTables(deployment, store)).toEqual([first, acceptor]);
});

test("Without a majority of its tables the registry cannot start, which is said at once", async () => {
  const { file, store, deployment, first, second } = await fresh();
  remove(first);
  remove(second);
  await expect(findRegistry(file, deployment.registry, store)).rejects.toThrow(
    `too many of the registry's tables are not there (${first.location}, ${second.location}): put the files back`,
  );
});

test("A damaged file is named, and the next move", async () => {
  const { deployment, store, acceptor } = await fresh();
  remove(acceptor);
  writeFileSync(acceptor.location, "no database".repeat(1_000));
  await expect(missingTables(deployment, store)).rejects.toThrow(
    new RegExp(`^The table ${acceptor.location} is damaged: .*move the file away.*another --dir$`),
  );
});

test("Another table in a table's place is named", async () => {
  const { deployment, store, acceptor } = await fresh();
  remove(acceptor);
  createSqliteTable(acceptor.location, "somebody else");
  await expect(missingTables(deployment, store)).rejects.toThrow(
    `The table ${acceptor.location} was born as somebody else, not as ${acceptor.incarnation}`,
  );
});

test("A newer version's table is named", async () => {
  const { deployment, store, acceptor } = await fresh();
  const database = new DatabaseSync(acceptor.location);
  database.exec("PRAGMA user_version = 2");
  database.close();
  await expect(missingTables(deployment, store)).rejects.toThrow(
    /has format 2, .*: upgrade if a newer Theseus wrote it/,
  );
});
