/**
 * The tables before anything uses them. One that is missing is a lost acceptor, which the others make up for; one that
 * is damaged or somebody else's means that a person should look before work goes on.
 */

import { Invalid } from "../../shared/errors.ts";
import type { ProcessId } from "../../shared/protocol/ballot.ts";
import { QuorumSystem } from "../../shared/protocol/quorum.ts";
import type { AcceptorServer } from "../../shared/protocol/registry.ts";
import { type Deployment, inFolderOf } from "../../shared/runtime/deployment.ts";
import { productionPorts } from "../../shared/runtime/ports-production.ts";
import { type Pointer, RegistryService } from "../../shared/runtime/registry/registry-service.ts";
import { StorePool } from "../../shared/runtime/store-pool.ts";
import { openStore } from "../../shared/storage/open.ts";
import { random128 } from "./random128.ts";
import type { DevStore } from "./store.ts";

/** The acceptors whose tables are not there. @throws Invalid, naming the table and the next move. */
export async function missingTables(
  { registry, acceptors }: Deployment,
  store: DevStore,
): Promise<readonly AcceptorServer[]> {
  const servers = [...registry.acceptors, ...acceptors];
  const missing = await thoseMissing(servers, store);
  for (const server of servers) if (!missing.includes(server)) await store.assertUndamaged(server);
  return missing;
}

/**
 * Where the registry is. Tables that the file names and that are not there may have been replaced since: then the newest
 * configuration counts that any one of the others knows of. @throws Invalid when too few of that are there, so that
 * nobody waits in vain for a registry that cannot answer.
 */
export async function findRegistry(
  file: string,
  registry: Deployment["registry"],
  store: DevStore,
): Promise<Deployment["registry"]> {
  const lost = await thoseMissing(registry.acceptors, store);
  if (lost.length === 0) return registry;
  const newest = await newestKnown(file, registry, lost);
  const missing = await thoseMissing(newest.acceptors, store);
  if (hasQuorums(newest, missing)) return { ...registry, ...newest };
  const locations = missing.map(({ location }) => location);
  throw new Invalid(
    "invalid_request",
    `too many of the registry's tables are not there (${locations.join(", ")}): ${store.nextMove}, or use another --dir`,
  );
}

function hasQuorums({ configuration }: Pointer, missing: readonly AcceptorServer[]): boolean {
  const quorums = new QuorumSystem(configuration.quorums);
  const lost = new Set(missing.map(({ id }) => id));
  return quorums.canReadWithout(lost) && quorums.canWriteWithout(lost);
}

async function newestKnown(
  file: string,
  registry: Deployment["registry"],
  lost: readonly AcceptorServer[],
): Promise<Pointer> {
  const here = (server: AcceptorServer) => inFolderOf(file, server);
  const isLost = new Set(lost.map(({ id }) => id));
  const stores = new StorePool(openStore);
  const service = new RegistryService({
    first: registry.first,
    process: random128() as ProcessId,
    ports: productionPorts((acceptor) => stores.get(acceptor)),
    pointer: async () => registry,
    movePointer: async () => {},
    learn: (servers) => stores.learn(servers.map(here).filter(({ id }) => !isLost.has(id))),
  });
  try {
    const { configuration, acceptors } = await service.newest();
    return { configuration, acceptors: acceptors.map(here) };
  } finally {
    await stores.close();
  }
}

export async function thoseMissing(
  servers: readonly AcceptorServer[],
  store: DevStore,
): Promise<readonly AcceptorServer[]> {
  const areThere = await Promise.all(servers.map((server) => store.isThere(server)));
  return servers.filter((_, index) => !areThere[index]);
}
