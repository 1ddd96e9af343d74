/** A client process of a benchmark, run to its end. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const CALLER = fileURLToPath(new URL("./caller.ts", import.meta.url));

export async function runCallers(url: string, callers: number, runMs: number) {
  const args = ["--conditions=source", CALLER, url, String(callers), String(runMs)];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  const { commits, elapsedMs, p50Ms, p99Ms } = JSON.parse(stdout) as Record<string, number>;
  return { perSecond: (1_000 * (commits ?? 0)) / (elapsedMs ?? 1), p50Ms: p50Ms ?? 0, p99Ms: p99Ms ?? 0 };
}
