/** The registry as a local process: the handler that stands behind a Lambda on AWS, behind an HTTP server. */
import { parseArgs } from "node:util";
import type { AcceptorServer } from "../shared/protocol/registry.ts";
import { LOCAL_DRAIN_MS, LOCAL_QUEUE } from "../shared/provision/local.ts";
import { LocalQueue } from "../shared/provision/queue-local.ts";
import { inFolderOf, movePointer, readDeployment } from "../shared/runtime/deployment.ts";
import { serve } from "../shared/runtime/http/serve.ts";
import { runPart } from "../shared/runtime/part.ts";
import { OutboxRelay } from "../shared/runtime/provisioner/outbox-relay.ts";
import { registryParts } from "../shared/runtime/registry/registry-parts.ts";
import { takeInThread } from "../shared/runtime/snapshots/in-thread.ts";
import { SNAPSHOT_SLOTS } from "../shared/runtime/snapshots/pace.ts";
import { reportSnapshots } from "../shared/runtime/snapshots/report.ts";
import { Snapshots } from "../shared/runtime/snapshots/snapshots.ts";
import { openStore } from "../shared/storage/open.ts";

await runPart("registry", async (log) => {
  const text = { type: "string" } as const;
  const options = { deployment: text, port: text, queue: text, "snapshot-slots": text };
  const { values } = parseArgs({ options });
  const file = values.deployment ?? "";
  const { registry } = await readDeployment(file);
  const here = (server: AcceptorServer) => inFolderOf(file, server);
  const report = (err: unknown) => log.error({ event: "error", err });
  const queue = values.queue === undefined ? undefined : new LocalQueue(values.queue, LOCAL_QUEUE);
  const relay = queue && new OutboxRelay({ queue, drainMs: LOCAL_DRAIN_MS });
  const { service, stores, ports, repairer, ...parts } = registryParts({
    first: registry.first,
    open: openStore,
    pointer: async () => (await readDeployment(file)).registry,
    movePointer: (to) => movePointer(file, to),
    here,
    // Once it is answered, and best effort: the sweeper sends what is not sent here.
    executed: ({ state }) => void setImmediate(() => relay?.relay(state.outbox).catch(report)),
    log,
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
  repairer.start();
  const served = await serve(parts.serve(), { port: Number(values.port ?? 0) });
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
