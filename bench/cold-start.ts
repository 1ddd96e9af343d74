/**
 * `cold-start`: what Lambda adds to a first invocation, as far as it is ours: importing the bundle, and the registry's
 * first command, which reads the directory, fences and recovers, beside a warm one. Each start is a process of its own;
 * the functions take turns. The tables are MiniStack's: the ratios say something, the milliseconds little.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startMinistack } from "../cli/aws/ministack.ts";
import { freePorts } from "../cli/dev/free-port.ts";
import { DynamodbTables } from "../shared/provision/tables-dynamodb.ts";
import { Directory } from "../shared/runtime/directory.ts";
import { bootstrapRegistry } from "../shared/runtime/registry/bootstrap.ts";
import { dynamodbDocuments, makeDocumentsTable } from "../shared/storage/documents-dynamodb.ts";
import { openDynamodb } from "../shared/storage/open-dynamodb.ts";
import { CACHE } from "../test/aws/cache.ts";
import { urlEvent } from "../test/support/function-url.ts";
import { bundleFunction, JOBS } from "./bundles.ts";
import { median, spread } from "./statistics.ts";

const STARTS = 9;
const CHILD = fileURLToPath(new URL("./cold-start-child.ts", import.meta.url));
const REGION = "us-east-1";
const DEPLOYMENT = "bench";
const LOCATION = `${REGION}/theseus-${DEPLOYMENT}-directory`;

export async function coldStart(): Promise<void> {
  const [port = 0] = await freePorts(1);
  const folder = mkdtempSync(join(tmpdir(), "theseus-bundles-"));
  const ministack = await startMinistack({ port, cache: CACHE, home: join(folder, "ministack") });
  try {
    const endpoint = `http://127.0.0.1:${port}`;
    process.env.AWS_ENDPOINT_URL = endpoint;
    await bootstrap(endpoint);
    await measure(folder, endpoint);
  } finally {
    rmSync(folder, { recursive: true, force: true });
    await ministack.stop();
  }
}

async function bootstrap(endpoint: string): Promise<void> {
  await makeDocumentsTable(LOCATION, { tags: {}, isProtected: false });
  const directory = new Directory([dynamodbDocuments(LOCATION)]);
  const deployment = await directory.makeDeployment();
  await directory.makeKeys();
  const place = { endpoint };
  const options = {
    deployment: DEPLOYMENT,
    regions: [REGION],
    isProtected: false,
    place,
    warn: console.warn,
  };
  const tables = new DynamodbTables(options);
  await bootstrapRegistry({
    ...{ directory, deployment, tables, others: () => tables.others(), open: openDynamodb },
    address: `https://bench.lambda-url.${REGION}.on.aws/`,
  });
  await tables.close();
  directory.close();
}

async function measure(folder: string, endpoint: string): Promise<void> {
  const bundles = await Promise.all(JOBS.map((job) => bundleFunction(job, folder)));
  const empty = join(folder, "empty.mjs");
  writeFileSync(empty, "export const handler = undefined;\n");
  const env = {
    PATH: process.env.PATH,
    AWS_REGION: REGION,
    AWS_ENDPOINT_URL: endpoint,
    THESEUS_DEPLOYMENT: DEPLOYMENT,
    THESEUS_DIRECTORY: LOCATION,
    THESEUS_QUEUE_URL: `${endpoint}/000000000000/nobody`,
  };
  const event = JSON.stringify(urlEvent("/v1/servers"));
  const importsMs = new Map(
    [empty, ...bundles.map(({ file }) => file)].map((file) => [file, [] as number[]]),
  );
  const [firstMs, warmMs] = [[] as number[], [] as number[]];
  for (let start = 0; start < STARTS; start++)
    for (const [file, times] of importsMs) {
      const isRegistry = file === bundles[0]?.file;
      const [imported = 0, first = 0, warm = 0] = await startOnce(file, isRegistry ? [event] : [], env);
      times.push(imported);
      if (isRegistry) firstMs.push(first);
      if (isRegistry) warmMs.push(warm);
    }
  const base = median(importsMs.get(empty) ?? []);
  console.log(`cold-start: ${STARTS} starts each; an empty module is imported in ${base.toFixed(1)} ms`);
  for (const { job, file, bytes, packedBytes } of bundles) {
    const times = importsMs.get(file) ?? [];
    const sizes = `${kb(bytes)} KB, packed ${kb(packedBytes)} KB`;
    console.log(`${job.padEnd(12)} ${sizes.padEnd(24)} import ms: ${spread(times)}`);
  }
  const ratio = (median(firstMs) / median(warmMs)).toFixed(0);
  console.log(`the registry's first answer ms: ${spread(firstMs)}; warm: ${spread(warmMs, 1)}: ${ratio} ×`);
}

async function startOnce(file: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<number[]> {
  const child = fork(CHILD, [file, ...args], { env, stdio: ["ignore", "ignore", "inherit", "ipc"] });
  const [timesMs] = (await once(child, "message")) as [number[]];
  await once(child, "exit");
  return timesMs;
}

function kb(bytes: number): string {
  return (bytes / 1024).toFixed(0);
}
