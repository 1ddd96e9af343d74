/** The two places where the sandbox's tests deploy: a real account, and an emulator, which shows that they work. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { vi } from "vitest";
import { deploy } from "../../cli/aws/cdk.ts";
import { findStack, type Stack } from "../../cli/aws/stack.ts";
import type { Where } from "../../cli/aws/where.ts";
import { startAwsLocal } from "../support/aws-local.ts";
import { CLI, NODE_FLAGS } from "../support/cli.ts";
import { temporaryFolder } from "../support/temporary.ts";
import type { Asked } from "./asked.ts";

export interface Sandbox {
  readonly url: string;
  readonly where: Where;
  readonly stack: Stack;
  /** A new version. */
  deploy(entry: string): Promise<void>;
  /** What runs on this machine; the stack stays. */
  stop(): Promise<void>;
}

const APP = "node --conditions=source test/sandbox/app.ts";

export function deployTo(asked: Asked, name: string, entry: string): Promise<Sandbox> {
  return asked.kind === "real" ? deployToAccount(asked.where, name, entry) : deployToEmulator(name, entry);
}

async function deployToEmulator(name: string, entry: string): Promise<Sandbox> {
  const local = await startAwsLocal(entry, name);
  const { url, emulator, region, stack } = local.ready;
  for (const variable of ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB"]) vi.stubEnv(variable, emulator);
  const where = { place: { endpoint: emulator }, region };
  return {
    ...{ url, where, stack: await findStack(stack, where) },
    deploy: (next) =>
      deploy({ name, entry: next, sandbox: "true" }, { emulator, home: temporaryFolder(), said: () => {} }),
    stop: async () => {
      await local.stop();
    },
  };
}

async function deployToAccount(where: Where, name: string, entry: string): Promise<Sandbox> {
  await cdkDeploy(name, entry);
  const stack = await findStack(`theseus-${name}`, where);
  const proxy = spawn(
    process.execPath,
    [...NODE_FLAGS, CLI, "aws", "proxy", "--stack", stack.name, "--port", "0", "--json"],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const url = await urlOf(proxy);
  return {
    ...{ url, where, stack, deploy: (next) => cdkDeploy(name, next) },
    stop: async () => {
      proxy.kill("SIGTERM");
      await once(proxy, "close");
    },
  };
}

async function urlOf({ stdout }: ChildProcess): Promise<string> {
  for await (const line of createInterface({ input: stdout as NodeJS.ReadableStream }))
    return (JSON.parse(line) as { readonly url: string }).url;
  throw new Error("theseus aws proxy ended by itself");
}

/** With the credentials of this process, and what it says in between. */
async function cdkDeploy(name: string, entry: string): Promise<void> {
  const bin = createRequire(import.meta.url).resolve("aws-cdk/bin/cdk");
  const context = Object.entries({ name, entry, sandbox: "true" });
  const child = spawn(
    process.execPath,
    [
      ...[bin, "deploy", "--app", APP, "--require-approval", "never", "--no-notices", "--no-color", "--ci"],
      ...["--output", "node_modules/.cache/sandbox.out"],
      ...context.flatMap(([key, value]) => ["--context", `${key}=${value}`]),
    ],
    { stdio: ["ignore", "inherit", "inherit"] },
  );
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`cdk deploy failed (${code}): it said why`);
}
