/** A task's main container as a process of this machine, which ends when whoever started it does. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import type { PartEvent } from "../dev/child.ts";
import { fieldsOf } from "../dev/log-line.ts";
import type { TaskProcess } from "./task-runner.ts";

/** As long as a container may take between SIGTERM and SIGKILL by default. */
const STOP_MS_MAX = 30_000;

export interface TaskProcessOptions {
  readonly part: string;
  readonly command: readonly [string, ...string[]];
  readonly env: NodeJS.ProcessEnv;
  readonly report: (event: PartEvent) => void;
}

export function startTaskProcess({ part, command, env, report }: TaskProcessOptions): TaskProcess {
  const [file, ...args] = command;
  const child = spawn(file, args, { env, stdio: ["ignore", "pipe", "pipe", "ipc"] });
  const { pid = 0 } = child;
  const ready = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<string>();
  let isStopping = false;
  const said = (text: string) => {
    const line = fieldsOf(text);
    if (line.pid !== pid || line.event !== "ready" || typeof line.url !== "string")
      return report({ event: "logged", part, pid, line });
    report({ event: "started", part, pid, url: line.url });
    ready.resolve();
  };
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream as Readable }).on("line", said);
  child.once("error", (error) => said(error.message));
  child.once("close", (code, signal) => {
    report(isStopping ? { event: "stopped", part, pid } : { event: "died", part, pid, code, signal });
    ended.resolve(`its process died (${signal ?? `exit code ${code}`})`);
  });
  return {
    ready: ready.promise,
    ended: ended.promise,
    async stop() {
      isStopping = true;
      child.kill("SIGTERM");
      const stuck = setTimeout(() => child.kill("SIGKILL"), STOP_MS_MAX);
      await ended.promise;
      clearTimeout(stuck);
    },
  };
}
