/**
 * `theseus aws local`: the very same app that `cdk deploy` puts into an account, on an emulator of AWS on this machine.
 * The emulator runs the functions; the leaders, which are containers on AWS, are processes of this one, following the
 * service's tasks. Everything is gone when it stops.
 */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { signedFetch } from "../../shared/aws/signed-fetch.ts";
import { Unavailable } from "../../shared/errors.ts";
import { loadMachines } from "../../shared/runtime/load-machines.ts";
import { assertPortFree, freePorts } from "../dev/free-port.ts";
import { stopSignal } from "../dev/signals.ts";
import { assertCdk, bootstrap, type CdkOptions, deploy } from "./cdk.ts";
import { prepare } from "./containers.ts";
import type { Emulator } from "./emulator.ts";
import type { LocalEvent } from "./events.ts";
import { startMinistack } from "./ministack.ts";
import { startProxy } from "./proxy.ts";
import { ecsService, type Task } from "./service.ts";
import { findStack, type Stack } from "./stack.ts";
import { startTaskProcess } from "./task-process.ts";
import { TaskRunner } from "./task-runner.ts";
import { EMULATOR_REGION } from "./where.ts";

export interface LocalOptions {
  readonly file: string;
  /** The deployment's. */
  readonly name: string;
  /** The proxy's; 0: any free one. */
  readonly port: number;
  /** Where the emulator is installed. */
  readonly cache: string;
  readonly report: (event: LocalEvent) => void;
}

interface Started {
  readonly url: string;
  readonly stack: Stack;
  readonly emulator: Emulator & { readonly url: string };
}

/** What there is to be undone, last first, and whether it is over. */
interface Run {
  readonly home: string;
  readonly undo: (() => Promise<void>)[];
  readonly signal: AbortSignal;
}

/** Runs until it is told to stop. @throws a TheseusError in a sentence for a person. */
export async function local(options: LocalOptions): Promise<void> {
  const { file, port, report } = options;
  assertCdk();
  const machines = [...(await loadMachines(file)).keys()];
  if (port !== 0) await assertPortFree(port);
  const home = mkdtempSync(join(tmpdir(), "theseus-aws-"));
  const over = new AbortController();
  const run = {
    home,
    undo: [async () => rmSync(home, { recursive: true, force: true })],
    signal: over.signal,
  };
  // Whatever this process started ends with it; only its folder stays.
  const told = stopSignal(() => process.exit(1));
  const starting = start(options, run);
  try {
    const started = await Promise.race([starting, told]);
    if (typeof started !== "string") {
      const { url, emulator, stack } = started;
      report({
        event: "ready",
        url,
        emulator: emulator.url,
        stack: stack.name,
        region: stack.region,
        machines,
      });
      await Promise.race([told, endOf(emulator)]);
    }
    report({ event: "stopping", signal: await told });
  } finally {
    over.abort();
    await starting.catch(() => {});
    for (const each of run.undo.reverse()) await each();
  }
}

async function endOf(emulator: Emulator): Promise<never> {
  const said = await emulator.ended;
  throw new Unavailable("unavailable", `the emulator of AWS ended by itself:\n${said}`);
}

async function start(options: LocalOptions, run: Run): Promise<Started> {
  const { file, name, port, cache, report } = options;
  const [emulatorPort = 0] = await freePorts(1);
  report({ event: "step", step: "starting the emulator, MiniStack, which is fetched the first time" });
  const emulator = await startMinistack({ port: emulatorPort, cache, home: run.home });
  run.undo.push(() => emulator.stop());
  const url = `http://127.0.0.1:${emulatorPort}`;
  const cdk: CdkOptions = {
    emulator: url,
    home: run.home,
    said: (line) => report({ event: "logged", part: "cdk", pid: 0, line: { msg: line } }),
    signal: run.signal,
  };
  report({ event: "step", step: "preparing it for the CDK (cdk bootstrap)" });
  await bootstrap(cdk);
  report({ event: "step", step: "deploying (cdk deploy)" });
  await deploy({ name, entry: resolve(file), sandbox: "true" }, cdk);
  const place = { endpoint: url };
  const stack = await findStack(stackName(name), { place, region: EMULATOR_REGION });
  report({ event: "step", step: "starting the leaders" });
  await startLeaders(stack, url, run, report);
  const fetch = signedFetch({ AWS_ENDPOINT_URL: url });
  const failed = (error: unknown) => report({ event: "trouble", why: sentenceOf(error) });
  const proxy = await startProxy({ ...stack, port, fetch, report: failed });
  run.undo.push(() => proxy.close());
  return { url: proxy.url, stack, emulator: { ...emulator, url } };
}

async function startLeaders(
  { cluster, service, region }: Stack,
  emulator: string,
  { home, undo, signal }: Run,
  report: LocalOptions["report"],
): Promise<void> {
  const ecs = ecsService({ cluster, service, region }, { endpoint: emulator });
  const runner = new TaskRunner({
    service: ecs,
    failed: (error) => report({ event: "trouble", why: sentenceOf(error) }),
    async start(task) {
      const [port = 0] = await freePorts(1);
      const folder = join(home, "tasks", shortId(task));
      const { command, env } = await prepare(await ecs.definition(task.definition), {
        ...{ id: task.id, folder, emulator, port },
      });
      return startTaskProcess({ part: `task-${shortId(task).slice(0, 6)}`, command, env, report });
    },
  });
  undo.push(async () => {
    await runner.stop();
    ecs.close();
  });
  await Promise.race([runner.start(), once(signal, "abort")]);
}

/** As infra/app.ts names it. */
export function stackName(deployment: string): string {
  return `theseus-${deployment}`;
}

/** The last part of its ARN. */
function shortId({ id }: Task): string {
  return id.slice(id.lastIndexOf("/") + 1);
}

function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
