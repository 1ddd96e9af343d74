/**
 * The tables before anything uses them. A file that is missing is a lost acceptor, which the others make up
 * for; one that is damaged or somebody else's means that a person should look before work goes on.
 */
import { existsSync } from "node:fs";
import { Invalid } from "../../shared/errors.ts";
import { QuorumSystem } from "../../shared/protocol/quorum.ts";
import type { AcceptorServer } from "../../shared/protocol/registry.ts";
import type { Deployment } from "../../shared/runtime/deployment.ts";
import { inspectSqliteTable } from "../../shared/storage/sqlite.ts";

/** The acceptors whose files are not there. @throws Invalid, naming the file and the next move. */
export function missingTables({ registry, acceptors }: Deployment): readonly AcceptorServer[] {
  const servers = [...registry.acceptors, ...acceptors];
  const missing = servers.filter((server) => !isThere(server));
  for (const server of servers) if (isThere(server)) assertUndamaged(server);
  assertRegistryHasQuorums(registry, missing);
  return missing;
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

/** Its configuration is known here, so nobody need wait in vain for a registry that cannot answer. */
function assertRegistryHasQuorums(
  { configuration, acceptors }: Deployment["registry"],
  missing: readonly AcceptorServer[],
): void {
  const quorums = new QuorumSystem(configuration.quorums);
  const lost = new Set(missing.map(({ id }) => id));
  if (quorums.canReadWithout(lost) && quorums.canWriteWithout(lost)) return;
  const files = acceptors.filter(({ id }) => lost.has(id)).map(({ location }) => location);
  throw new Invalid(
    "invalid_request",
    `too many of the registry's tables are not there (${files.join(", ")}): put the files back that were there, or use another --dir`,
  );
}
