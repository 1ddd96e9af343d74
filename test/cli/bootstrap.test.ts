import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { openDeployment } from "../../cli/dev/bootstrap.ts";
import { SqliteDevStore } from "../../cli/dev/store-sqlite.ts";
import { missingTables } from "../../cli/dev/tables.ts";
import { type Deployment, deploymentFile, unfinishedFile } from "../../shared/runtime/deployment.ts";
import { until } from "../support/deployment.ts";
import { temporaryFolder } from "../support/temporary.ts";

const OPENER = fileURLToPath(new URL("../support/open-deployment.ts", import.meta.url));

function tableFiles({ registry, acceptors }: Deployment): readonly string[] {
  return [...registry.acceptors, ...acceptors].map(({ location }) => basename(location)).sort();
}

function databasesIn(dir: string): readonly string[] {
  const tables = join(dir, "tables");
  return existsSync(tables)
    ? readdirSync(tables)
        .filter((name) => name.endsWith(".sqlite"))
        .sort()
    : [];
}

test("A new folder gets three tables for the registry and three for the machines", async () => {
  const dir = temporaryFolder();
  const deployment = await openDeployment(dir);
  expect(databasesIn(dir)).toEqual(tableFiles(deployment));
  expect(deployment.registry.acceptors).toHaveLength(3);
  expect(deployment.acceptors).toHaveLength(3);
  for (const name of tableFiles(deployment)) expect(name).toMatch(/^[ar][123]-[0-9a-f]{32}\.sqlite$/);
  expect(await missingTables(deployment, new SqliteDevStore(deploymentFile(dir)))).toEqual([]);
});

test("A known folder keeps its deployment", async () => {
  const dir = temporaryFolder();
  const first = await openDeployment(dir);
  expect(await openDeployment(dir)).toEqual(first);
  expect(databasesIn(dir)).toEqual(tableFiles(first));
});

test.each([1, 3, 6])(
  "Killed when it has made %i tables, it starts anew, and nothing is left over",
  async (count) => {
    const dir = temporaryFolder();
    const opener = spawn(process.execPath, [OPENER, dir], { stdio: ["ignore", "inherit", "inherit"] });
    await until(() => databasesIn(dir).length >= count);
    opener.kill("SIGKILL");
    await once(opener, "close");
    // It may have been quick enough to record all; then this is how it was a moment before.
    if (existsSync(deploymentFile(dir))) renameSync(deploymentFile(dir), unfinishedFile(dir));
    const leftOver = databasesIn(dir);
    const deployment = await openDeployment(dir);
    expect(databasesIn(dir)).toEqual(tableFiles(deployment));
    expect(leftOver.filter((name) => tableFiles(deployment).includes(name))).toEqual([]);
    expect(await missingTables(deployment, new SqliteDevStore(deploymentFile(dir)))).toEqual([]);
  },
);

test("Tables without a record are never deleted, and no other deployment is made beside them", async () => {
  const dir = temporaryFolder();
  const first = await openDeployment(dir);
  rmSync(deploymentFile(dir));
  await expect(openDeployment(dir)).rejects.toThrow(/is not empty, and .*theseus\.json is not there/);
  expect(databasesIn(dir)).toEqual(tableFiles(first));
});

test("A folder that cannot hold tables is named", async () => {
  const dir = temporaryFolder();
  writeFileSync(join(dir, "tables"), "");
  await expect(openDeployment(dir)).rejects.toThrow(/the tables in .* cannot be made: ENOTDIR/);
});
