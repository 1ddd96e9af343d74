/** Making this leader process known to the registry, and learning from it of the others; in the background. */
import { Refused } from "../../errors.ts";
import type { LeaderServer } from "../../protocol/registry.ts";
import type { RegistryClient } from "../registry/registry-client.ts";

const AGAIN_MS = 1_000;

export interface Registration {
  /** Another leader process. */
  found(address: string): void;
  /** It is retired or revoked: its endorsements will not count. */
  refused(error: Refused): void;
}

/** Tries until it has an answer or is stopped: leading needs no registry, only being found and endorsing do. */
export function registerLeader(
  leader: LeaderServer,
  registry: RegistryClient,
  events: Registration,
): () => void {
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;
  const register = async (): Promise<void> => {
    try {
      await registry.command({ type: "registerLeader", leader });
      const { leaders } = await registry.servers();
      for (const { id, address } of leaders) if (id !== leader.id) events.found(address);
    } catch (error) {
      if (error instanceof Refused) events.refused(error);
      else if (!isStopped) timer = setTimeout(register, AGAIN_MS);
    }
  };
  void register();
  return () => {
    isStopped = true;
    clearTimeout(timer);
  };
}
