/** The registry as a local process: the handler that will stand behind a Lambda, behind an HTTP server. */
import { randomBytes } from "node:crypto";
import { parseArgs } from "node:util";
import type { Logger } from "pino";
import type { ProcessId } from "../shared/protocol/ballot.ts";
import type { AcceptorServer } from "../shared/protocol/registry.ts";
import { LOCAL_DRAIN_MS, LOCAL_QUEUE } from "../shared/provision/local.ts";
import { LocalQueue } from "../shared/provision/queue-local.ts";
import { inFolderOf, movePointer, readDeployment } from "../shared/runtime/deployment.ts";
import { serve } from "../shared/runtime/http/serve.ts";
import { runPart } from "../shared/runtime/part.ts";
import { productionPorts } from "../shared/runtime/ports-production.ts";
import { OutboxRelay } from "../shared/runtime/provisioner/outbox-relay.ts";
import { registryInterface } from "../shared/runtime/registry/registry-http.ts";
import { RegistryService } from "../shared/runtime/registry/registry-service.ts";
import { observed } from "../shared/runtime/repair/observed-ports.ts";
import { type RegistryRepairEvents, RegistryRepairer } from "../shared/runtime/repair/registry-repairer.ts";
import { reportSuspicions } from "../shared/runtime/repair/report.ts";
import { TableHealth } from "../shared/runtime/repair/table-health.ts";
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
  const file = values.deployment ?? "";
  const { registry } = await readDeployment(file);
  const here = (server: AcceptorServer) => inFolderOf(file, server);
  const stores = new StorePool(openStore);
  const health = new TableHealth(() => performance.now());
  const ports = observed(
    productionPorts((acceptor) => stores.get(acceptor)),
    health,
    (acceptor) => stores.get(acceptor) !== undefined,
  );
  const service = new RegistryService({
    first: registry.first,
    process: randomBytes(16).toString("hex") as ProcessId,
    ports,
    pointer: async () => (await readDeployment(file)).registry,
    movePointer: async ({ configuration, acceptors }) => {
      await movePointer(file, { configuration, acceptors: acceptors.map(here) });
      log.info(
        { event: "reconfigured", configuration },
        `the registry is in configuration ${configuration.number}: ${configuration.quorums.acceptors.join(", ")}`,
      );
    },
    learn: (servers) => stores.learn(servers.map(here)),
    forget: (acceptor) => void stores.drop(acceptor),
  });
  const snapshots = new Snapshots({
    slots: Number(values["snapshot-slots"] ?? SNAPSHOT_SLOTS),
    source: { first: registry.first },
    take: takeInThread,
    ports,
    events: reportSnapshots(log),
  });
  const tables = () => [...registry.acceptors, ...service.own.map(here)];
  snapshots.watch({ usedAt: 0, tables }, service.hosted);
  service.hosted.on("serving", (ballot) => log.info({ event: "leads", ballot }, "leads the registry"));
  service.hosted.on("abdicated", (abdication, ballot) => {
    if (abdication.why === "damaged") health.distrust(abdication.acceptor);
    log.warn(
      { event: "abdicated", ballot, ...abdication },
      `no longer leads the registry: ${abdication.why}`,
    );
  });
  const report = (err: unknown) => log.error({ event: "error", err });
  const queue = values.queue === undefined ? undefined : new LocalQueue(values.queue, LOCAL_QUEUE);
  const relay = queue && new OutboxRelay({ queue, drainMs: LOCAL_DRAIN_MS });
  // Once it is answered, and best effort: the sweeper sends what is not sent here.
  const executed = () => void setImmediate(() => relay?.relay(service.state.outbox).catch(report));
  const repairer = new RegistryRepairer({ service, health, ports, executed, events: reportRepairs(log) });
  repairer.start();
  const app = registryInterface(service, ports.random, {
    report,
    executed,
  });
  const served = await serve(app, { port: Number(values.port ?? 0) });
  return {
    url: served.url,
    async close() {
      repairer.close();
      await served.close();
      await Promise.all([service.hosted.handOver(), snapshots.close()]);
      await stores.close();
      await queue?.close();
    },
  };
});

function reportRepairs(log: Logger): RegistryRepairEvents {
  return {
    ...reportSuspicions(log),
    failed: (err) => log.warn({ event: "failed", err }, "the registry's tables are not all in order yet"),
  };
}
