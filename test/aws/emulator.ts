/** An emulator as a child process, and what it takes to fetch one. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

export interface Emulator {
  readonly port: number;
  stop(): Promise<void>;
}

export interface Start {
  readonly name: string;
  readonly port: number;
  readonly command: readonly [string, ...string[]];
  readonly env: NodeJS.ProcessEnv;
}

/** Not part of the project, and gone with node_modules. */
const CACHE = "node_modules/.cache/theseus";
/** A registry may fail for a moment. */
const FETCH_ATTEMPTS_MAX = 3;
const READY_MS_MAX = 60_000;
const TERM_MS_MAX = 5_000;
const POLL_MS = 50;

/** The child ends when its standard input does: even a SIGKILL of the tests leaves nothing behind. */
const GUARDED = 'exec 3<&0; "$@" & child=$!; (cat <&3 >/dev/null; kill $child 2>/dev/null) & wait $child';

const run = promisify(execFile);

/** The folder that `fetch` fills, unless an earlier run has. What was half fetched is fetched again. */
export async function cached(name: string, fetch: (folder: string) => Promise<void>): Promise<string> {
  const folder = join(CACHE, name);
  const mark = join(folder, "complete");
  if (existsSync(mark)) return folder;
  for (let attempt = 1; ; attempt++) {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    try {
      await fetch(folder);
      mkdirSync(mark);
      return folder;
    } catch (error) {
      if (attempt === FETCH_ATTEMPTS_MAX) throw error;
    }
  }
}

/** Runs a program to its end. @throws Error with what it said; `needs` says what to do when it is not there. */
export async function program(needs: string, [file, ...args]: readonly [string, ...string[]]): Promise<void> {
  try {
    await run(file, args);
  } catch (error) {
    const { code, stdout = "", stderr = "" } = error as { code?: unknown; stdout?: string; stderr?: string };
    const what = code === "ENOENT" ? `there is no ${file}` : `${file} ${args.join(" ")} failed`;
    throw new Error(`${what}. ${needs}\n${stdout}${stderr}`.trim());
  }
}

/** Resolves when it answers HTTP requests. @throws Error with what it said, when it ends before that. */
export async function startEmulator({ name, port, command, env }: Start): Promise<Emulator> {
  const child = spawn("sh", ["-c", GUARDED, "sh", ...command], { env, stdio: ["pipe", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => {
      said = (said + text).slice(-4_000);
    });
  const emulator = { port, stop: () => stop(child) };
  const deadline = performance.now() + READY_MS_MAX;
  while (!(await answers(port))) {
    if (child.exitCode === null && child.signalCode === null && performance.now() < deadline) {
      await sleep(POLL_MS);
      continue;
    }
    await emulator.stop();
    throw new Error(`${name} did not start:\n${said}`);
  }
  return emulator;
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.stdin?.end();
  const timer = setTimeout(() => child.kill("SIGKILL"), TERM_MS_MAX);
  await exit;
  clearTimeout(timer);
}

async function answers(port: number): Promise<boolean> {
  try {
    await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(1_000) });
    return true;
  } catch {
    return false;
  }
}
