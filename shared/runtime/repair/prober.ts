/**
 * A table that nobody uses may be lost without anybody noticing: each is asked for one item now and then, spares too.
 * Reads only, and few: an idle deployment writes nothing.
 */
import { HEAD } from "../../protocol/acceptor.ts";
import type { Ports } from "../ports.ts";
import type { RegistryClient } from "../registry/registry-client.ts";
import { REGISTRY } from "../registry/registry-service.ts";
import type { StorePool } from "../store-pool.ts";

/** One small read of each table so often, and one question to the registry. */
const PROBE_EVERY_MS = 5_000;

/** Until it is told to stop. */
export function probeTables(registry: RegistryClient, stores: StorePool, ports: Ports): () => void {
  let stop = (): void => {};
  let isStopped = false;
  const probe = async (): Promise<void> => {
    const { acceptors } = await registry.servers();
    if (isStopped) return;
    // The registry's own are its leader's to watch.
    const inService = acceptors.filter(({ state }) => state !== "retired" && state !== "own");
    for (const { id, state } of acceptors) if (state === "retired") void stores.drop(id);
    stores.learn(inService);
    // Any machine's Head will do: the answer only has to come.
    for (const { id } of inService) ports.ask(id, REGISTRY, [{ verb: "read", key: HEAD }], () => {});
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
