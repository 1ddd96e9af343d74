/**
 * A table that nobody uses may be lost without anybody noticing: each is asked for one item now and then, spares too.
 * Reads only, and few: an idle deployment writes nothing.
 */
import { HEAD } from "../../protocol/acceptor.ts";
import type { MachineId } from "../../protocol/configuration.ts";
import type { Ports } from "../ports.ts";
import type { RegistryClient } from "../registry/registry-client.ts";
import type { StorePool } from "../store-pool.ts";

/** One small read of each table so often, and one question to the registry. */
const PROBE_EVERY_MS = 5_000;
/**
 * No machine has that name, and no table that item: a leader may not look at the registry's (infra/permissions.ts), and
 * what it is refused would be a table that never answers.
 */
export const NOBODY = "-/-" as MachineId;

/** Until it is told to stop. `suspected`: some table is; whoever was told of that by nobody learns it here. */
export function probeTables(
  registry: RegistryClient,
  stores: StorePool,
  ports: Ports,
  suspected: () => void,
): () => void {
  let stop = (): void => {};
  let isStopped = false;
  const probe = async (): Promise<void> => {
    const { acceptors } = await registry.servers();
    if (isStopped) return;
    // The registry's own are its leader's to watch.
    const inService = acceptors.filter(({ state }) => state !== "retired" && state !== "own");
    for (const { id, state } of acceptors) if (state === "retired") void stores.drop(id);
    stores.learn(inService);
    if (inService.some(({ state }) => state === "suspected")) suspected();
    // The answer only has to come.
    for (const { id } of inService) ports.ask(id, NOBODY, [{ verb: "read", key: HEAD }], () => {});
  };
  const again = (): void => {
    if (!isStopped)
      stop = ports.after(
        PROBE_EVERY_MS,
        () =>
          void probe()
            .catch(() => {})
            .finally(again),
      );
  };
  again();
  return () => {
    isStopped = true;
    stop();
  };
}
