/**
 * A folder's deployment: the recorded one, or a new one with its tables. What is to be made is listed before it
 * is made, and recorded once it is complete: a crash half-way leaves a list of tables to delete, and nothing else
 * is ever deleted. Names are never reused (PROTOCOL §11).
 */

import { readdir, rm } from "node:fs/promises";
import { Invalid } from "../../shared/errors.ts";
import type { ConfigurationNumber } from "../../shared/protocol/ballot.ts";
import type { Configuration } from "../../shared/protocol/configuration.ts";
import { majority } from "../../shared/protocol/quorum.ts";
import type { AcceptorServer } from "../../shared/protocol/registry.ts";
import { REGISTRY_GEOMETRY } from "../../shared/protocol/slot.ts";
import {
  type Deployment,
  deploymentFile,
  findDeployment,
  removeUnfinished,
  type StoreKind,
  storeOf,
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
import { random128 } from "./random128.ts";
import { assertStore, type DevStore, openDevStore, type TableUse } from "./store.ts";

/** 2f + 1 with f = 1: the talk's three servers. */
const TABLES = 3;

export interface OpenOptions {
  /** At least so many for the machines; a folder that has fewer gets more. */
  readonly tables?: number;
  /** Default: what the folder has, or SQLite. */
  readonly store?: StoreKind | undefined;
}

/** @throws a TheseusError in a sentence for a person. The caller holds the folder's lock. */
export async function openDeployment(
  dir: string,
  { tables = TABLES, store: wanted }: OpenOptions = {},
): Promise<Deployment> {
  const file = deploymentFile(dir);
  const recorded = await findDeployment(file);
  try {
    if (recorded === undefined) {
      await deleteUnfinished(dir);
      await assertEmpty(dir, tablesFolder(file));
    } else assertStore(dir, recorded, wanted);
    const deployment = recorded ?? (await bootstrap(dir, wanted ?? "sqlite"));
    const complete = await withTables(deployment, dir, tables);
    await rm(unfinishedFile(dir), { force: true });
    await removeUnfinished(file);
    return complete;
  } catch (error) {
    throw fileTrouble(error, `the tables in ${tablesFolder(file)} cannot be made`);
  }
}

async function bootstrap(dir: string, kind: StoreKind): Promise<Deployment> {
  const id = random128();
  return using(await openDevStore(dir, id, kind), async (store) => {
    const planned = (["r", "a"] as const).map((use) => planTables(store, use, TABLES));
    const [registryTables = [], machinesTables = []] = planned;
    // Where nobody answers there is nothing to be removed later.
    for (const table of registryTables.slice(0, 1)) await store.isThere(table);
    await writeDeployment(unfinishedFile(dir), newDeployment(id, registryTables, machinesTables));
    const made = await store.make(planned.flat());
    const deployment = newDeployment(id, made.slice(0, TABLES), made.slice(TABLES));
    const { configuration, acceptors } = deployment.registry;
    await foundRegistry(configuration, acceptors);
    await writeDeployment(deploymentFile(dir), deployment);
    return deployment;
  });
}

function newDeployment(
  id: string,
  registryAcceptors: readonly AcceptorServer[],
  acceptors: readonly AcceptorServer[],
): Deployment {
  const configuration: Configuration = {
    number: 1 as ConfigurationNumber,
    previous: 0,
    quorums: majority(registryAcceptors.map((table) => table.id)),
  };
  const registry = {
    machine: REGISTRY,
    first: configuration,
    configuration,
    acceptors: registryAcceptors,
  };
  return { id, registry, acceptors };
}

/** Recorded once they are there; a crash in between leaves empty tables that nobody knows, and that harm nobody. */
async function withTables(deployment: Deployment, dir: string, count: number): Promise<Deployment> {
  const { id, acceptors } = deployment;
  if (acceptors.length >= count) return deployment;
  return using(await openDevStore(dir, id, storeOf(deployment), deployment), async (store) => {
    const planned = planTables(store, "a", count - acceptors.length, acceptors.length);
    const extended = { ...deployment, acceptors: [...acceptors, ...(await store.make(planned))] };
    await writeDeployment(deploymentFile(dir), extended);
    return extended;
  });
}

function planTables(store: DevStore, use: TableUse, count: number, before = 0): readonly AcceptorServer[] {
  return Array.from({ length: count }, (_, index) => store.plan(use, before + index + 1));
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
  const { id, registry, acceptors } = unfinished;
  await using(await openDevStore(dir, id, storeOf(unfinished), unfinished), (store) =>
    store.delete([...registry.acceptors, ...acceptors]),
  );
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

async function using<Result>(store: DevStore, act: (store: DevStore) => Promise<Result>): Promise<Result> {
  try {
    return await act(store);
  } finally {
    await store.close();
  }
}
