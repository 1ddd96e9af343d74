/**
 * A deployment for end-to-end tests: `theseus dev` as a process of its own, its parts as its children.
 *
 *   const deployment = await startDeployment({ file: "examples/bank.ts" });
 *   deployment.kill("leader-1", "SIGKILL");
 *   await deployment.event(({ event, part }) => event === "restarted" && part === "leader-1");
 *   await deployment.stop();
 */
import { type ChildProcess, spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import type { DevEvent } from "../../cli/dev/events.ts";
import type { StoreKind } from "../../shared/runtime/deployment.ts";
import type { DeploymentStatus } from "../../shared/wire.ts";
import { CLI, NODE_FLAGS } from "./cli.ts";
import { STORE } from "./store.ts";

export interface DeploymentOptions {
  /** The file that exports the machines. */
  readonly file: string;
  /** Where the state is kept. Default: a temporary folder, gone after `stop`. */
  readonly dir?: string;
  readonly leaders?: number;
  readonly tables?: number;
  readonly spares?: number;
  /** Default: that of the vitest config. */
  readonly store?: StoreKind;
  /** Default: that of `theseus dev`. */
  readonly snapshotSlots?: number;
  /** The gateway's. Default: any free one. */
  readonly port?: number;
}

/** One line of `theseus dev --json`. */
export type TimedEvent = DevEvent & { readonly time: string };

const POLL_MS = 20;
/** pino's level. */
const WARN = 40;

/** Resolves when all is up. @throws Error with its standard error, when it ends before that. */
export async function startDeployment({
  file,
  dir,
  leaders = 2,
  tables = 3,
  spares = 1,
  store = STORE,
  snapshotSlots,
  port = 0,
}: DeploymentOptions): Promise<TestDeployment> {
  const folder = dir ?? mkdtempSync(join(tmpdir(), "theseus-"));
  const args = [
    "dev",
    file,
    "--dir",
    folder,
    "--port",
    String(port),
    "--leaders",
    String(leaders),
    "--tables",
    String(tables),
    "--spares",
    String(spares),
    "--store",
    store,
    ...(snapshotSlots === undefined ? [] : ["--snapshot-slots", String(snapshotSlots)]),
    "--json",
  ];
  const child = spawn(process.execPath, [...NODE_FLAGS, CLI, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const deployment = new TestDeployment(child, folder, dir === undefined);
  await deployment.event(({ event }) => event === "ready");
  return deployment;
}

export class TestDeployment {
  readonly dir: string;
  /** All so far, in order. */
  readonly events: TimedEvent[] = [];
  readonly #process: ChildProcess;
  readonly #isTemporary: boolean;
  readonly #arrivals = new EventEmitter();
  readonly #closed: Promise<unknown>;
  #stderr = "";
  #isClosed = false;

  constructor(child: ChildProcess, dir: string, isTemporary: boolean) {
    this.#process = child;
    this.dir = dir;
    this.#isTemporary = isTemporary;
    this.#closed = once(child, "close").then(() => {
      this.#isClosed = true;
      this.#arrivals.emit("arrival");
    });
    child.stderr?.on("data", (chunk: Buffer) => {
      this.#stderr += chunk;
    });
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on("line", (line) => {
      this.events.push(JSON.parse(line));
      this.#arrivals.emit("arrival");
    });
  }

  /** The gateway's address. */
  get url(): string {
    const ready = this.events.find((event) => event.event === "ready");
    if (ready === undefined) throw new Error("the deployment is not ready");
    return ready.url;
  }

  /** Of `theseus dev` itself. */
  get pid(): number {
    return this.#process.pid as number;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** What its parts warned of, and their deaths, as lines: for whoever wonders why a test failed. */
  get warnings(): readonly string[] {
    return this.events
      .filter((each) => each.event === "died" || (each.event === "logged" && Number(each.line.level) >= WARN))
      .map((each) => JSON.stringify(each));
  }

  /** Of every part that ever ran. */
  get pids(): readonly number[] {
    return [...new Set(this.events.flatMap((event) => ("pid" in event ? [event.pid] : [])))];
  }

  /** Of the part's newest process: "registry", "gateway", "leader-1", … */
  pidOf(part: string): number {
    return this.#lastStart(part).pid;
  }

  addressOf(part: string): string {
    return this.#lastStart(part).url;
  }

  kill(part: string, signal: NodeJS.Signals = "SIGKILL"): void {
    process.kill(this.pidOf(part), signal);
  }

  /** To `theseus dev` itself. */
  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** The first event that matches, of those so far from `from` on or of those to come. @throws Error when it ends first. */
  async event(matches: (event: TimedEvent) => boolean, { from = 0 } = {}): Promise<TimedEvent> {
    for (;;) {
      const found = this.events.slice(from).find(matches);
      if (found !== undefined) return found;
      if (this.#isClosed)
        throw new Error(`theseus dev ended: ${this.#stderr || JSON.stringify(this.events)}`);
      await once(this.#arrivals, "arrival");
    }
  }

  async status(): Promise<DeploymentStatus> {
    const answer = await fetch(`${this.url}/v1/status`);
    return (await answer.json()) as DeploymentStatus;
  }

  /** The exit code of `theseus dev`; null when a signal ended it. */
  async ended(): Promise<number | null> {
    await this.#closed;
    return this.#process.exitCode;
  }

  /** Stops everything that still runs, also what a test had stopped or orphaned; may be called twice. */
  async stop(): Promise<number | null> {
    for (const pid of this.pids) resume(pid);
    this.#process.kill("SIGTERM");
    const code = await this.ended();
    await allGone(this.pids);
    if (this.#isTemporary) rmSync(this.dir, { recursive: true, force: true });
    return code;
  }

  #lastStart(part: string) {
    const starts = this.events.flatMap((event) =>
      event.event === "started" || event.event === "restarted" ? [event] : [],
    );
    const last = starts.findLast((event) => event.part === part);
    if (last === undefined) throw new Error(`no ${part} was started`);
    return last;
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Resolves when none of these processes is left. */
export async function allGone(pids: readonly number[]): Promise<void> {
  await until(() => !pids.some(isAlive));
}

export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(POLL_MS);
}

function resume(pid: number): void {
  if (isAlive(pid)) process.kill(pid, "SIGCONT");
}
