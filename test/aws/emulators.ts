/** Before the tests: the emulators, fetched once and started on free ports; after them: stopped. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import type { Emulator } from "../../cli/aws/emulator.ts";
import { startMinistack } from "../../cli/aws/ministack.ts";
import { freePorts } from "../../cli/dev/free-port.ts";
import { CACHE } from "./cache.ts";
import { startDynamodbLocal } from "./dynamodb-local.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** URLs. */
    dynamodbLocal: string;
    ministack: string;
  }
}

export async function setup({ provide }: TestProject): Promise<() => Promise<void>> {
  const [one, other] = (await freePorts(2)) as [number, number];
  const home = mkdtempSync(join(tmpdir(), "theseus-"));
  const started = await Promise.allSettled([
    startDynamodbLocal(one),
    startMinistack({ port: other, cache: CACHE, home }),
  ]);
  const [dynamodbLocal, ministack] = started;
  const stop = async () => {
    await Promise.all(started.map((each) => each.status === "fulfilled" && each.value.stop()));
    rmSync(home, { recursive: true, force: true });
  };
  if (dynamodbLocal.status === "rejected" || ministack.status === "rejected") {
    await stop();
    const reasons = started.flatMap((each) => (each.status === "rejected" ? [each.reason] : []));
    throw new AggregateError(reasons, reasons.join("\n"));
  }
  provide("dynamodbLocal", urlOf(dynamodbLocal.value));
  provide("ministack", urlOf(ministack.value));
  return stop;
}

function urlOf({ port }: Emulator): string {
  return `http://127.0.0.1:${port}`;
}
