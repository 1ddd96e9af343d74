/** The registry as a local process: the handler that will stand behind a Lambda, behind an HTTP server. */
import { randomBytes } from "node:crypto";
import { parseArgs } from "node:util";
import type { ProcessId } from "../shared/protocol/ballot.ts";
import { LOCAL_DRAIN_MS, LOCAL_QUEUE } from "../shared/provision/local.ts";
import { LocalQueue } from "../shared/provision/queue-local.ts";
import { readDeployment } from "../shared/runtime/deployment.ts";
import { serve } from "../shared/runtime/http/serve.ts";
import { runPart } from "../shared/runtime/part.ts";
import { productionPorts } from "../shared/runtime/ports-production.ts";
import { OutboxRelay } from "../shared/runtime/provisioner/outbox-relay.ts";
import { registryInterface } from "../shared/runtime/registry/registry-http.ts";
import { RegistryService } from "../shared/runtime/registry/registry-service.ts";
import { takeInThread } from "../shared/runtime/snapshots/in-thread.ts";
import { SNAPSHOT_SLOTS } from "../shared/runtime/snapshots/pace.ts";
import { reportSnapshots } from "../shared/runtime/snapshots/report.ts";
import { Snapshots } from "../shared/runtime/snapshots/snapshots.ts";
import { StorePool } from "../shared/runtime/store-pool.ts";
import { openStore } from "../shared/storage/open.ts";

await runPart("registry", async (log) => {
  const text = { type: "string" } as const;
  const options = { deployment: text, port: text, queue: text, "snapshot-slots": text };
  const { values } = parseArgs({ options });
  const { registry } = await readDeployment(values.deployment ?? "");
  const stores = new StorePool(openStore);
  stores.learn(registry.acceptors);
  const ports = productionPorts((acceptor) => stores.get(acceptor));
  const service = new RegistryService({
    first: registry.configuration,
    process: randomBytes(16).toString("hex") as ProcessId,
    ports,
    pointer: async () => registry,
    movePointer: ({ configuration }) =>
      log.warn(
        { event: "installed", configuration },
        "the deployment file does not know the registry's tables",
      ),
    learn: (servers) => stores.learn(servers),
  });
  const snapshots = new Snapshots({
    slots: Number(values["snapshot-slots"] ?? SNAPSHOT_SLOTS),
    source: { first: registry.configuration },
    take: takeInThread,
    ports,
    events: reportSnapshots(log),
  });
  const tables = () => [...registry.acceptors, ...service.own];
  snapshots.watch({ usedAt: 0, tables }, service.hosted);
  service.hosted.on("serving", (ballot) => log.info({ event: "leads", ballot }, "leads the registry"));
  service.hosted.on("abdicated", (abdication, ballot) =>
    log.warn(
      { event: "abdicated", ballot, ...abdication },
      `no longer leads the registry: ${abdication.why}`,
    ),
  );
  const report = (err: unknown) => log.error({ event: "error", err });
  const queue = values.queue === undefined ? undefined : new LocalQueue(values.queue, LOCAL_QUEUE);
  const relay = queue && new OutboxRelay({ queue, drainMs: LOCAL_DRAIN_MS });
  const app = registryInterface(service, ports.random, {
    report,
    // Once it is answered, and best effort: the sweeper sends what is not sent here.
    executed: () => void setImmediate(() => relay?.relay(service.outbox).catch(report)),
  });
  const served = await serve(app, { port: Number(values.port ?? 0) });
  return {
    url: served.url,
    async close() {
      await served.close();
      await Promise.all([service.hosted.handOver(), snapshots.close()]);
      await stores.close();
      await queue?.close();
    },
  };
});
