/** An emulator as a child process, and what it takes to fetch one. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { Unavailable } from "../../shared/errors.ts";

export interface Emulator {
  readonly port: number;
  /** Resolves with what it said last, when it ends by itself or is stopped. */
  readonly ended: Promise<string>;
  stop(): Promise<void>;
}

export interface Start {
  readonly name: string;
  readonly port: number;
  readonly command: readonly [string, ...string[]];
  readonly env: NodeJS.ProcessEnv;
}

/** A package registry may fail for a moment. */
const FETCH_ATTEMPTS_MAX = 3;
const READY_MS_MAX = 60_000;
/** It is killed after ten seconds by its guard. */
const STOP_MS_MAX = 15_000;
const POLL_MS = 50;
const SAID_MAX = 4_000;

/**
 * The child ends when its standard input does: even a SIGKILL of whoever started it leaves nothing behind. What it
 * started in its turn, and did not end, ends with it: all are of one process group, which is of nobody else.
 */
const GUARDED = `
  exec 3<&0; "$@" & child=$!
  (
    cat <&3 >/dev/null; kill $child 2>/dev/null
    for second in 1 2 3 4 5 6 7 8 9 10; do kill -0 $child 2>/dev/null || break; sleep 1; done
    kill -9 0
  ) >/dev/null 2>&1 &
  wait $child`;

const run = promisify(execFile);

/** Fills the folder by `fetch`, unless an earlier run has. What was half fetched is fetched again. */
export async function cached(folder: string, fetch: (folder: string) => Promise<void>): Promise<void> {
  const mark = `${folder}/complete`;
  if (existsSync(mark)) return;
  for (let attempt = 1; ; attempt++) {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    try {
      await fetch(folder);
      mkdirSync(mark);
      return;
    } catch (error) {
      if (attempt === FETCH_ATTEMPTS_MAX) throw error;
    }
  }
}

/** Runs a program to its end. @throws Unavailable with what it said; `needs` says what to do when it is not there. */
export async function program(needs: string, [file, ...args]: readonly [string, ...string[]]): Promise<void> {
  try {
    await run(file, args);
  } catch (error) {
    const { code, stdout = "", stderr = "" } = error as { code?: unknown; stdout?: string; stderr?: string };
    const what = code === "ENOENT" ? `there is no ${file}` : `${file} ${args.join(" ")} failed`;
    throw new Unavailable("unavailable", `${what}. ${needs}\n${stdout}${stderr}`.trim());
  }
}

/** Resolves when it answers HTTP requests. @throws Unavailable with what it said, when it ends before that. */
export async function startEmulator({ name, port, command, env }: Start): Promise<Emulator> {
  const child = spawn("sh", ["-c", GUARDED, "sh", ...command], {
    env,
    stdio: ["pipe", "pipe", "pipe"],
    detached: true,
  });
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => {
      said = (said + text).slice(-SAID_MAX);
    });
  const ended = once(child, "exit").then(() => said);
  const emulator = { port, ended, stop: () => stop(child) };
  const deadline = performance.now() + READY_MS_MAX;
  while (!(await answers(port))) {
    if (isRunning(child) && performance.now() < deadline) {
      await sleep(POLL_MS);
      continue;
    }
    await emulator.stop();
    throw new Unavailable("unavailable", `${name} did not start:\n${said}`);
  }
  return emulator;
}

async function stop(child: ChildProcess): Promise<void> {
  if (!isRunning(child)) return;
  const exit = once(child, "exit");
  child.stdin?.end();
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS_MAX);
  await exit;
  clearTimeout(timer);
}

function isRunning({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode === null && signalCode === null;
}

async function answers(port: number): Promise<boolean> {
  try {
    await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(1_000) });
    return true;
  } catch {
    return false;
  }
}
