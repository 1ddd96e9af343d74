/** A deployment on an emulator of AWS, by `theseus aws local` as a user runs it: a process of its own, told by its events. */
import { type ChildProcess, spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { createInterface } from "node:readline";
import type { LocalEvent } from "../../cli/aws/events.ts";
import type { DeploymentStatus } from "../../shared/wire.ts";
import { CLI, NODE_FLAGS } from "./cli.ts";
import { allGone } from "./deployment.ts";

type Ready = Extract<LocalEvent, { event: "ready" }>;

/** Resolves when all is up. @throws Error with what it said, when it ends before that. */
export async function startAwsLocal(file: string, name: string): Promise<AwsLocal> {
  const args = ["aws", "local", file, "--name", name, "--port", "0", "--json"];
  const child = spawn(process.execPath, [...NODE_FLAGS, CLI, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    // Where the tests' other emulators are kept, too.
    env: { ...process.env, XDG_CACHE_HOME: "node_modules/.cache" },
  });
  const deployment = new AwsLocal(child);
  await deployment.event(({ event }) => event === "ready");
  return deployment;
}

export class AwsLocal {
  /** All so far, in order. */
  readonly events: LocalEvent[] = [];
  readonly #process: ChildProcess;
  readonly #arrivals = new EventEmitter();
  readonly #closed: Promise<unknown>;
  #stderr = "";
  #isClosed = false;

  constructor(child: ChildProcess) {
    this.#process = child;
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

  get ready(): Ready {
    return this.events.find(({ event }) => event === "ready") as Ready;
  }

  /** The first event that matches, of those so far or of those to come. @throws Error when it ends first. */
  async event(matches: (event: LocalEvent) => boolean): Promise<LocalEvent> {
    for (;;) {
      const found = this.events.find(matches);
      if (found !== undefined) return found;
      if (this.#isClosed) throw new Error(`theseus aws local ended: ${this.#stderr}`);
      await once(this.#arrivals, "arrival");
    }
  }

  async status(): Promise<DeploymentStatus> {
    const answer = await fetch(`${this.ready.url}/v1/status`);
    if (!answer.ok) throw new Error(`no status: ${await answer.text()}`);
    return (await answer.json()) as DeploymentStatus;
  }

  /** The exit code; may be called twice. */
  async stop(): Promise<number | null> {
    this.#process.kill("SIGTERM");
    await this.#closed;
    await allGone(this.events.flatMap((event) => ("pid" in event && event.pid > 0 ? [event.pid] : [])));
    return this.#process.exitCode;
  }
}
