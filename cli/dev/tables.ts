/**
 * The tables before anything uses them. A file that is missing is a lost acceptor, which the others make up
 * for; one that is damaged or somebody else's means that a person should look before work goes on.
 */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { Invalid } from "../../shared/errors.ts";
import type { ProcessId } from "../../shared/protocol/ballot.ts";
import { QuorumSystem } from "../../shared/protocol/quorum.ts";
import type { AcceptorServer } from "../../shared/protocol/registry.ts";
import { type Deployment, inFolderOf } from "../../shared/runtime/deployment.ts";
import { productionPorts } from "../../shared/runtime/ports-production.ts";
import { type Pointer, RegistryService } from "../../shared/runtime/registry/registry-service.ts";
import { StorePool } from "../../shared/runtime/store-pool.ts";
import { openStore } from "../../shared/storage/open.ts";
import { inspectSqliteTable } from "../../shared/storage/sqlite.ts";

/** The acceptors whose files are not there. @throws Invalid, naming the file and the next move. */
export function missingTables({ registry, acceptors }: Deployment): readonly AcceptorServer[] {
  const servers = [...registry.acceptors, ...acceptors];
  const missing = servers.filter((server) => !isThere(server));
  for (const server of servers) if (isThere(server)) assertUndamaged(server);
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
): Promise<Deployment["registry"]> {
  if (registry.acceptors.every(isThere)) return registry;
  const newest = await newestKnown(file, registry);
  if (hasQuorums(newest)) return { ...registry, ...newest };
  const files = newest.acceptors.filter((server) => !isThere(server)).map(({ location }) => location);
  throw new Invalid(
    "invalid_request",
    `too many of the registry's tables are not there (${files.join(", ")}): put the files back that were there, or use another --dir`,
  );
}

function hasQuorums({ configuration, acceptors }: Pointer): boolean {
  const quorums = new QuorumSystem(configuration.quorums);
  const lost = new Set(acceptors.filter((server) => !isThere(server)).map(({ id }) => id));
  return quorums.canReadWithout(lost) && quorums.canWriteWithout(lost);
}

async function newestKnown(file: string, registry: Deployment["registry"]): Promise<Pointer> {
  const here = (server: AcceptorServer) => inFolderOf(file, server);
  const stores = new StorePool(openStore);
  const service = new RegistryService({
    first: registry.first,
    process: randomBytes(16).toString("hex") as ProcessId,
    ports: productionPorts((acceptor) => stores.get(acceptor)),
    pointer: async () => registry,
    movePointer: async () => {},
    learn: (servers) => stores.learn(servers.map(here).filter(isThere)),
  });
  try {
    const { configuration, acceptors } = await service.newest();
    return { configuration, acceptors: acceptors.map(here) };
  } finally {
    await stores.close();
  }
}

export function isThere({ location }: AcceptorServer): boolean {
  return existsSync(location);
}

/** @throws Invalid, naming the file and the next move. */
export function assertUndamaged({ location, incarnation }: AcceptorServer): void {
  const table = inspectSqliteTable(location, incarnation);
  if (table.state === "ok") return;
  const what = table.reason.replace(/\.$/, "");
  const nextMove =
    table.state === "lost"
      ? "upgrade if a newer Theseus wrote it, else move the file away to go on without this acceptor, or use another --dir"
      : "put that right, or use another --dir";
  throw new Invalid("invalid_request", `${what}: ${nextMove}`);
}
