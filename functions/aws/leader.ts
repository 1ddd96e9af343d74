/**
 * A leader process in a container of ECS, or beside an emulator. It needs the directory and the registry to begin with;
 * once it leads it needs neither: machines fail over with both of them down. It writes nothing but its log.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { ecsTask } from "../../shared/aws/ecs-task.ts";
import { signedFetch } from "../../shared/aws/signed-fetch.ts";
import { backoffMs } from "../../shared/backoff.ts";
import { TheseusError } from "../../shared/errors.ts";
import { newCertificate } from "../../shared/runtime/http/certificate.ts";
import { isLoopback } from "../../shared/runtime/http/guard.ts";
import { startLeader } from "../../shared/runtime/leader.ts";
import { runPart } from "../../shared/runtime/part.ts";
import { type RegistryClient, registryClient } from "../../shared/runtime/registry/registry-client.ts";
import { SNAPSHOT_SLOTS } from "../../shared/runtime/snapshots/pace.ts";
import { openDynamodb } from "../../shared/storage/open-dynamodb.ts";
import { environment, openDirectory } from "./environment.ts";

const PORT = "4600";
const EVERYWHERE = "0.0.0.0";

await runPart("leader", async (log, stopping) => {
  const machines = environment("THESEUS_MACHINES");
  const { task, address } = await ecsTask();
  const directory = openDirectory();
  const [place, keys] = await patiently(log, stopping, () =>
    Promise.all([directory.registry(), directory.keys()]),
  );
  const registry = registryClient(place.address, signedFetch());
  const running = await startLeader({
    log,
    machines,
    deployment: place.deployment,
    registry,
    open: openDynamodb,
    reached: {
      port: Number(process.env.THESEUS_PORT || PORT),
      // The container's health check asks on loopback; beside an emulator nobody else may ask at all.
      host: isLoopback(address) ? address : EVERYWHERE,
      reachedAt: address,
      certificate: await newCertificate(),
    },
    identify: async () => ({ id: await patiently(log, stopping, () => claim(registry, task)), task }),
    hinted: () => directory.leaders(),
    keys,
    retires: true,
    snapshotSlots: Number(process.env.THESEUS_SNAPSHOT_SLOTS || SNAPSHOT_SLOTS),
  });
  return {
    url: running.url,
    async close() {
      await running.close();
      directory.close();
    },
  };
});

async function claim(registry: RegistryClient, task: string): Promise<string> {
  const { leader } = (await registry.command({ type: "claimLeader", task })) as { readonly leader: string };
  return leader;
}

/** A process that gave up would be started again, and ask the same again. @throws what waiting does not mend. */
async function patiently<Answer>(
  log: Logger,
  stopping: AbortSignal,
  ask: () => Promise<Answer>,
): Promise<Answer> {
  for (let attempt = 1; ; attempt++) {
    stopping.throwIfAborted();
    try {
      return await ask();
    } catch (err) {
      if (err instanceof TheseusError && !err.retryable) throw err;
      log.warn({ event: "waiting", err }, "not to be had yet, and is asked for again");
    }
    await sleep(backoffMs(attempt, Math.random), undefined, { signal: stopping }).catch(() => {});
  }
}
