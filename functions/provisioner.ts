/** The provisioner as a local process, fed by the local queue; the sweeper is a timer in it. */
import { parseArgs } from "node:util";
import { awsPlace } from "../shared/aws/clients.ts";
import { ParentLauncher } from "../shared/provision/launcher-parent.ts";
import { LOCAL_DRAIN_MS, LOCAL_QUEUE } from "../shared/provision/local.ts";
import { LocalQueue } from "../shared/provision/queue-local.ts";
import type { Tables } from "../shared/provision/tables.ts";
import { SqliteTables } from "../shared/provision/tables-sqlite.ts";
import { serve } from "../shared/runtime/http/serve.ts";
import { runPart } from "../shared/runtime/part.ts";
import { repeat, serveQueue } from "../shared/runtime/provisioner/loops.ts";
import { Provisioner } from "../shared/runtime/provisioner/provisioner.ts";
import { sweep } from "../shared/runtime/provisioner/sweeper.ts";
import { registryClient } from "../shared/runtime/registry/registry-client.ts";

const SWEEP_EVERY_MS = 2_000;
const ORPHAN_AGE_MS = 5_000;

await runPart("provisioner", async (log) => {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    options: { registry: text, queue: text, tables: text, dynamodb: text, port: text },
  });
  if (values.registry === undefined || values.queue === undefined)
    throw new Error(
      "a provisioner needs --registry URL --queue FILE, and --tables FOLDER or --dynamodb REGION/NAME",
    );
  const report = (err: unknown) =>
    log.warn({ event: "failed", err }, "could not be done yet, and is tried again");
  const ports = {
    registry: registryClient(values.registry),
    queue: new LocalQueue(values.queue, LOCAL_QUEUE),
    tables: await openTables(values.tables, values.dynamodb, (sentence) => log.warn(sentence)),
    launcher: new ParentLauncher(process),
    drainMs: LOCAL_DRAIN_MS,
    orphanAgeMs: ORPHAN_AGE_MS,
  };
  const provisioner = new Provisioner({
    ...ports,
    carriedOut: ({ request, type }) =>
      log.info({ event: "carriedOut", request, type }, `${request}: ${type}`),
  });
  const events = {
    orphan: (table: string) => log.info({ event: "orphan", table }, `${table} was nobody's, and is deleted`),
    lostSpare: (acceptor: string) =>
      log.warn({ event: "lostSpare", acceptor }, `the spare ${acceptor} is gone`),
    endedLeader: (leader: string) => log.warn({ event: "endedLeader", leader }, `${leader} has ended`),
  };
  const app = { fetch: () => Response.json({ status: "ok" }) };
  const served = await serve(app, { port: Number(values.port ?? 0), report });
  const stopping = new AbortController();
  const { signal } = stopping;
  const loops = [
    serveQueue(ports.queue, (body) => provisioner.handle(body), report, signal),
    repeat(SWEEP_EVERY_MS, () => sweep({ ...ports, events }), report, signal),
  ];
  return {
    url: served.url,
    async close() {
      stopping.abort();
      await Promise.all([...loops, served.close()]);
      await ports.queue.close();
    },
  };
});

/** The AWS SDK is loaded only by whoever uses it. */
async function openTables(
  folder: string | undefined,
  dynamodb: string | undefined,
  warn: (sentence: string) => void,
): Promise<Tables> {
  if (folder !== undefined) return new SqliteTables(folder);
  const [region = "", deployment = ""] = dynamodb?.split("/") ?? [];
  const { DynamodbTables } = await import("../shared/provision/tables-dynamodb.ts");
  const place = awsPlace("DYNAMODB");
  return new DynamodbTables({ deployment, regions: [region], isProtected: false, place, warn });
}
