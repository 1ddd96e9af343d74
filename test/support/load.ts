/** Client processes that load a deployment's bank during a drill, and what they saw. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import { NODE_FLAGS } from "./cli.ts";
import { readOperations } from "./history.ts";
import type { Operation } from "./linearizable.ts";

const CLIENT = fileURLToPath(new URL("./load-client.ts", import.meta.url));
const CALLERS = 4;
/** Amounts of different processes never meet. */
const AMOUNTS_EACH = 1_000_000;

export class Load {
  readonly #processes: readonly ChildProcess[];
  readonly #files: readonly string[];

  /** `folder`: where the processes write what they see. */
  constructor(url: string, processes: number, folder: string) {
    const names = Array.from({ length: processes }, (_, index) => `client-${index + 1}`);
    this.#files = names.map((name) => join(folder, `${name}.jsonl`));
    this.#processes = names.map((name, index) =>
      spawn(
        process.execPath,
        [
          ...NODE_FLAGS,
          CLIENT,
          url,
          name,
          String((index + 1) * AMOUNTS_EACH),
          String(CALLERS),
          this.#files[index] as string,
        ],
        { stdio: ["ignore", "inherit", "inherit"] },
      ),
    );
    onTestFinished(() => {
      for (const child of this.#processes) child.kill("SIGKILL");
    });
  }

  /** What is under way is finished first. */
  async stop(): Promise<readonly Operation[]> {
    await Promise.all(
      this.#processes.map(async (child) => {
        if (child.exitCode !== null) throw new Error(`a client ended by itself, with code ${child.exitCode}`);
        child.kill("SIGTERM");
        await once(child, "exit");
      }),
    );
    return this.operations();
  }

  /** So far. */
  operations(): readonly Operation[] {
    return this.#files.filter(existsSync).flatMap(readOperations);
  }

  acknowledged(): number {
    return this.operations().filter(({ ok }) => ok).length;
  }
}
