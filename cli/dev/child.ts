/**
 * One part as an operating-system process, kept alive: when it dies it is started again on the port it had,
 * so its address stays true. Before it was ready for the first time, its death is its owner's failure.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { backoffMs } from "../../shared/backoff.ts";
import { Unavailable } from "../../shared/errors.ts";
import { fieldsOf } from "./log-line.ts";

/** A part drains for less than that; whoever takes longer is stuck. */
const STOP_MS_MAX = 10_000;
/** A part that lived for so long did not die of starting. */
const STABLE_MS = 10_000;

const IS_SOURCE = import.meta.url.endsWith(".ts");

export interface ChildOptions {
  readonly part: string;
  /** The file in functions/ that it runs, without its extension. */
  readonly entry: "registry" | "leader" | "gateway" | "provisioner";
  readonly args: readonly string[];
  readonly port: number;
  readonly report: (event: PartEvent) => void;
  /** What it asks of this process; an answer that comes too late for it is dropped. */
  readonly heard?: (message: unknown, answer: (message: object) => void) => void;
}

interface Named {
  readonly part: string;
  readonly pid: number;
}
export type PartEvent =
  | (Named & { readonly event: "started" | "restarted"; readonly url: string })
  | (Named & { readonly event: "died"; readonly code: number | null; readonly signal: string | null })
  | (Named & { readonly event: "stopped" })
  /** What it logged itself: `line` has the fields of its line, or a `msg` when that was no JSON. */
  | (Named & { readonly event: "logged"; readonly line: Readonly<Record<string, unknown>> });

export class Child {
  readonly #options: ChildOptions;
  readonly #ready = Promise.withResolvers<string>();
  #process: ChildProcess | undefined;
  #wasReady = false;
  #isStopping = false;
  #lastWords = "";
  #startedAtMs = 0;
  #failures = 0;
  #restart: NodeJS.Timeout | undefined;

  constructor(options: ChildOptions) {
    this.#options = options;
  }

  /** Its address, once it is ready. @throws Unavailable with its last words, when it dies before that. */
  start(): Promise<string> {
    this.#spawn();
    return this.#ready.promise;
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    clearTimeout(this.#restart);
    const running = this.#process;
    if (running === undefined) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    running.once("close", () => resolve());
    running.kill("SIGTERM");
    const stuck = setTimeout(() => running.kill("SIGKILL"), STOP_MS_MAX);
    await promise;
    clearTimeout(stuck);
  }

  /** At once, and nothing is waited for. */
  kill(): void {
    this.#isStopping = true;
    clearTimeout(this.#restart);
    this.#process?.kill("SIGKILL");
  }

  #spawn(): void {
    const { entry, args, port } = this.#options;
    const file = fileURLToPath(
      new URL(`../../functions/${entry}.${IS_SOURCE ? "ts" : "js"}`, import.meta.url),
    );
    const flags = IS_SOURCE ? ["--conditions=source"] : [];
    // The channel is how a part learns that this process is gone, however it went.
    const child = spawn(process.execPath, [...flags, file, ...args, "--port", String(port)], {
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    this.#process = child;
    this.#startedAtMs = performance.now();
    child.on("message", (message) =>
      this.#options.heard?.(message, (answer) => child.connected && child.send(answer, () => {})),
    );
    child.once("error", (error) => this.#said(child, error.message));
    child.once("close", (code, signal) => this.#exited(child, code, signal));
    for (const stream of [child.stdout, child.stderr])
      createInterface({ input: stream as Readable }).on("line", (line) => this.#said(child, line));
  }

  #said(child: ChildProcess, text: string): void {
    const line = fieldsOf(text);
    // A user's machine may print anything, but not in its process's name.
    const isItsOwn = line.pid === child.pid && line.part === this.#options.entry;
    if (isItsOwn && line.event === "ready" && typeof line.url === "string")
      return this.#isReady(child, line.url);
    if (typeof line.msg === "string") this.#lastWords = line.msg;
    this.#report(child, { event: "logged", line });
  }

  #isReady(child: ChildProcess, url: string): void {
    this.#report(child, { event: this.#wasReady ? "restarted" : "started", url });
    this.#wasReady = true;
    this.#ready.resolve(url);
  }

  /** After `close`, not `exit`: its last words are read by then. */
  #exited(child: ChildProcess, code: number | null, signal: string | null): void {
    this.#process = undefined;
    if (this.#isStopping) this.#report(child, { event: "stopped" });
    else this.#report(child, { event: "died", code, signal });
    const { part } = this.#options;
    if (!this.#wasReady) {
      const why = this.#lastWords || (signal ?? `exit code ${code}`);
      this.#ready.reject(new Unavailable("unavailable", `${part} could not be started: ${why}`));
    } else if (!this.#isStopping) this.#restartSoon();
  }

  #restartSoon(): void {
    const wasStable = performance.now() - this.#startedAtMs > STABLE_MS;
    this.#failures = wasStable ? 1 : this.#failures + 1;
    this.#restart = setTimeout(() => this.#spawn(), backoffMs(this.#failures, Math.random));
  }

  #report({ pid = 0 }: ChildProcess, event: Unnamed<PartEvent>): void {
    this.#options.report({ part: this.#options.part, pid, ...event });
  }
}

type Unnamed<Event> = Event extends Named ? Omit<Event, keyof Named> : never;
