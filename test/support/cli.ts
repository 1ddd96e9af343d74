/** The command `theseus` as a user runs it: a process with arguments, an exit code, and two outputs. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";

export const CLI = fileURLToPath(new URL("../../cli/main.ts", import.meta.url));
export const NODE_FLAGS = ["--conditions=source"];

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface CliOptions {
  /** Of the deployment, given by environment as a user would. */
  readonly url?: string;
  /** Beside that of this process, or in its place. */
  readonly environment?: NodeJS.ProcessEnv;
}

export async function theseus(
  args: readonly string[],
  { url = "", environment = {} }: CliOptions = {},
): Promise<CliResult> {
  const child = spawn(process.execPath, [...NODE_FLAGS, CLI, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...environment, ...(url === "" ? {} : { THESEUS_URL: url }) },
  });
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "close"),
  ]);
  return { code, stdout, stderr };
}
