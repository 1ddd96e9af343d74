/**
 * A folder's deployment: the recorded one, or a new one with its tables. What is to be made is listed before it
 * is made, and recorded once it is complete: a crash half-way leaves a list of tables to delete, and nothing else
 * is ever deleted. Names are never reused (PROTOCOL §11).
 */
import { randomBytes } from "node:crypto";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { Invalid } from "../../shared/errors.ts";
import type { ConfigurationNumber } from "../../shared/protocol/ballot.ts";
import type { Configuration } from "../../shared/protocol/configuration.ts";
import { type AcceptorId, majority } from "../../shared/protocol/quorum.ts";
import type { AcceptorServer } from "../../shared/protocol/registry.ts";
import { REGISTRY_GEOMETRY } from "../../shared/protocol/slot.ts";
import {
  type Deployment,
  deploymentFile,
  findDeployment,
  removeUnfinished,
  tablesFolder,
  unfinishedFile,
  writeDeployment,
} from "../../shared/runtime/deployment.ts";
import { fileTrouble } from "../../shared/runtime/file-trouble.ts";
import { found } from "../../shared/runtime/found.ts";
import { productionPorts } from "../../shared/runtime/ports-production.ts";
import { REGISTRY } from "../../shared/runtime/registry/registry-service.ts";
import { StorePool } from "../../shared/runtime/store-pool.ts";
import { openStore } from "../../shared/storage/open.ts";
import { createSqliteTable } from "../../shared/storage/sqlite.ts";

/** 2f + 1 with f = 1: the talk's three servers. */
const TABLES = 3;

/** A database and what SQLite keeps beside it. */
const SQLITE_FILES = ["", "-wal", "-shm", "-journal"];

/** @throws a TheseusError in a sentence for a person. The caller holds the folder's lock. */
export async function openDeployment(dir: string, tableCount = TABLES): Promise<Deployment> {
  const recorded = await findDeployment(deploymentFile(dir));
  const tables = tablesFolder(deploymentFile(dir));
  try {
    if (recorded === undefined) {
      await deleteUnfinished(dir);
      await assertEmpty(dir, tables);
    }
    const deployment = await withTables(recorded ?? (await bootstrap(dir, tables)), dir, tables, tableCount);
    await rm(unfinishedFile(dir), { force: true });
    await removeUnfinished(deploymentFile(dir));
    return deployment;
  } catch (error) {
    throw fileTrouble(error, `the tables in ${tables} cannot be made`);
  }
}

async function bootstrap(dir: string, tables: string): Promise<Deployment> {
  const registryAcceptors = newTables(tables, "r");
  const acceptors = newTables(tables, "a");
  const configuration: Configuration = {
    number: 1 as ConfigurationNumber,
    previous: 0,
    quorums: majority(registryAcceptors.map(({ id }) => id)),
  };
  const registry = {
    machine: REGISTRY,
    first: configuration,
    configuration,
    acceptors: registryAcceptors,
  };
  const deployment = { id: random128(), registry, acceptors };
  await writeDeployment(unfinishedFile(dir), deployment);
  await mkdir(tables, { recursive: true });
  for (const { location, incarnation } of [...registryAcceptors, ...acceptors])
    createSqliteTable(location, incarnation);
  await foundRegistry(configuration, registryAcceptors);
  await writeDeployment(deploymentFile(dir), deployment);
  return deployment;
}

/** Recorded once they are there; a crash in between leaves empty tables that nobody knows, and that harm nobody. */
async function withTables(
  deployment: Deployment,
  dir: string,
  folder: string,
  count: number,
): Promise<Deployment> {
  const { acceptors } = deployment;
  if (acceptors.length >= count) return deployment;
  const added = newTables(folder, "a", count - acceptors.length, acceptors.length);
  for (const { location, incarnation } of added) createSqliteTable(location, incarnation);
  const extended = { ...deployment, acceptors: [...acceptors, ...added] };
  await writeDeployment(deploymentFile(dir), extended);
  return extended;
}

function newTables(folder: string, kind: "r" | "a", count = TABLES, before = 0): readonly AcceptorServer[] {
  return Array.from({ length: count }, (_, index) => {
    const id = `${kind}${before + index + 1}-${random128()}` as AcceptorId;
    return { id, kind: "sqlite", location: join(folder, `${id}.sqlite`), incarnation: random128() };
  });
}

async function foundRegistry(
  configuration: Configuration,
  acceptors: readonly AcceptorServer[],
): Promise<void> {
  const stores = new StorePool(openStore);
  stores.learn(acceptors);
  try {
    const ports = productionPorts((acceptor) => stores.get(acceptor));
    await found(ports, REGISTRY, configuration, REGISTRY_GEOMETRY);
  } finally {
    await stores.close();
  }
}

async function deleteUnfinished(dir: string): Promise<void> {
  const unfinished = await findDeployment(unfinishedFile(dir));
  if (unfinished === undefined) return;
  for (const { location } of [...unfinished.registry.acceptors, ...unfinished.acceptors])
    for (const ending of SQLITE_FILES) await rm(`${location}${ending}`, { force: true });
}

/** Tables without a record may hold everything that somebody has: no new deployment is made beside them. */
async function assertEmpty(dir: string, tables: string): Promise<void> {
  const names = await readdir(tables).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  if (names.length === 0) return;
  throw new Invalid(
    "invalid_request",
    `${tables} is not empty, and ${deploymentFile(dir)} is not there: put that file back, or use another --dir`,
  );
}

function random128(): string {
  return randomBytes(16).toString("hex");
}
