/** Making this leader process known to the registry, and learning from it of the others; in the background. */
import type { LeaderServer } from "../../protocol/registry.ts";
import type { RegistryClient } from "../registry/registry-client.ts";

const AGAIN_MS = 1_000;

/** Tries until it succeeds or is stopped: leading needs no registry, only being found by newcomers does. */
export function registerLeader(
  { id, process, address, publicKey }: Omit<LeaderServer, "state">,
  registry: RegistryClient,
  found: (address: string) => void,
): () => void {
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;
  const register = async (): Promise<void> => {
    try {
      await registry.command({ type: "registerLeader", leader: { id, process, address, publicKey } });
      const { leaders } = await registry.servers();
      for (const leader of leaders) if (leader.id !== id) found(leader.address);
    } catch {
      if (!isStopped) timer = setTimeout(register, AGAIN_MS);
    }
  };
  void register();
  return () => {
    isStopped = true;
    clearTimeout(timer);
  };
}
