/** Making this leader process known to the registry, and learning from it of the others; in the background. */
import { setTimeout as sleep } from "node:timers/promises";
import { Refused } from "../../errors.ts";
import { type LeaderServer, type RegistryCommand, registrationText } from "../../protocol/registry.ts";
import type { RegistryClient } from "../registry/registry-client.ts";
import type { Signer } from "../signing.ts";

const AGAIN_MS = 1_000;
/** A registry that does not answer must not keep a process that is to stop: the sweeper sees that it is gone. */
const RETIRE_MS_MAX = 10_000;

export interface RegistrationEvents {
  /** Another leader process. */
  found(address: string): void;
  /** It is retired or revoked: its endorsements will not count. */
  refused(error: Refused): void;
}

export interface Registration {
  /** Resolves when it was tried once, whatever came of it. */
  readonly tried: Promise<void>;
  stop(): void;
}

/** With the proof that the key is this process's own. */
export function registration(leader: LeaderServer, signer: Pick<Signer, "sign">): RegistryCommand {
  return { type: "registerLeader", leader, proof: signer.sign(registrationText(leader)) };
}

/** Tries until it has an answer or is stopped: leading needs no registry, only being found and endorsing do. */
export function registerLeader(
  leader: LeaderServer,
  signer: Pick<Signer, "sign">,
  registry: RegistryClient,
  events: RegistrationEvents,
): Registration {
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;
  const register = async (): Promise<void> => {
    try {
      await registry.command(registration(leader, signer));
      const { leaders } = await registry.servers();
      for (const { id, address } of leaders) if (id !== leader.id) events.found(address);
    } catch (error) {
      if (error instanceof Refused) events.refused(error);
      else if (!isStopped) timer = setTimeout(register, AGAIN_MS);
    }
  };
  return {
    tried: register(),
    stop() {
      isStopped = true;
      clearTimeout(timer);
    },
  };
}

/** For a process whose id ends with it. Gives up in time. @throws what the registry says. */
export async function retireLeader(leader: string, registry: Pick<RegistryClient, "command">): Promise<void> {
  const timer = new AbortController();
  const late = sleep(RETIRE_MS_MAX, undefined, { signal: timer.signal });
  try {
    await Promise.race([registry.command({ type: "retireLeader", leader }), late]);
  } finally {
    timer.abort();
    await late.catch(() => {});
  }
}
