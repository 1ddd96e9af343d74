/**
 * A folder's deployment: the recorded one, or a new one with its tables. The record is written last, so that
 * a crash half-way leaves nothing recorded; table files that no record names are deleted at the next start,
 * and names are never reused (PROTOCOL §11).
 */
import { randomBytes } from "node:crypto";
import { mkdir, readdir, rm } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import type { ConfigurationNumber } from "../../shared/protocol/ballot.ts";
import type { Configuration } from "../../shared/protocol/configuration.ts";
import { type AcceptorId, majority } from "../../shared/protocol/quorum.ts";
import type { AcceptorServer } from "../../shared/protocol/registry.ts";
import { REGISTRY_GEOMETRY } from "../../shared/protocol/slot.ts";
import {
  type Deployment,
  deploymentFile,
  findDeployment,
  writeDeployment,
} from "../../shared/runtime/deployment.ts";
import { fileTrouble } from "../../shared/runtime/file-trouble.ts";
import { found } from "../../shared/runtime/found.ts";
import { productionPorts } from "../../shared/runtime/ports-production.ts";
import { REGISTRY } from "../../shared/runtime/registry-service.ts";
import { StorePool } from "../../shared/runtime/store-pool.ts";
import { openStore } from "../../shared/storage/open.ts";
import { createSqliteTable } from "../../shared/storage/sqlite.ts";

/** 2f + 1 with f = 1: the talk's three servers. */
const TABLES = 3;

/** Only files with such a name are ever deleted: `r` is a table of the registry, `a` of all other machines. */
const TABLE_FILE = /^([ra]\d+-[0-9a-f]{32}\.sqlite)(-wal|-shm|-journal)?$/;

/** @throws a TheseusError in a sentence for a person. The caller holds the folder's lock. */
export async function openDeployment(dir: string): Promise<Deployment> {
  const file = deploymentFile(dir);
  const recorded = await findDeployment(file);
  const tables = resolve(dir, "tables");
  try {
    await mkdir(tables, { recursive: true });
    await deleteUnrecorded(tables, recorded);
    return recorded ?? (await bootstrap(file, tables));
  } catch (error) {
    throw fileTrouble(error, `the tables in ${tables} cannot be made`);
  }
}

async function bootstrap(file: string, tables: string): Promise<Deployment> {
  const registryAcceptors = createTables(tables, "r");
  const acceptors = createTables(tables, "a");
  const configuration: Configuration = {
    number: 1 as ConfigurationNumber,
    previous: 0,
    quorums: majority(registryAcceptors.map(({ id }) => id)),
  };
  await foundRegistry(configuration, registryAcceptors);
  const registry = { machine: REGISTRY, configuration, acceptors: registryAcceptors };
  const deployment = { registry, acceptors };
  await writeDeployment(file, deployment);
  return deployment;
}

function createTables(folder: string, kind: "r" | "a"): readonly AcceptorServer[] {
  return Array.from({ length: TABLES }, (_, index) => {
    const id = `${kind}${index + 1}-${random128()}` as AcceptorId;
    const [location, incarnation] = [join(folder, `${id}.sqlite`), random128()];
    createSqliteTable(location, incarnation);
    return { id, kind: "sqlite", location, incarnation };
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

async function deleteUnrecorded(folder: string, recorded: Deployment | undefined): Promise<void> {
  const servers = recorded === undefined ? [] : [...recorded.registry.acceptors, ...recorded.acceptors];
  const kept = new Set(servers.map(({ location }) => basename(location)));
  for (const name of await readdir(folder)) {
    const table = TABLE_FILE.exec(name)?.[1];
    if (table !== undefined && !kept.has(table)) await rm(join(folder, name));
  }
}

function random128(): string {
  return randomBytes(16).toString("hex");
}
