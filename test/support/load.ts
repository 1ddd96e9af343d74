/** Client processes that load a deployment's bank during a drill, and what they saw. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, fstatSync, openSync, readSync } from "node:fs";
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
  readonly #counts: readonly Count[];

  /** `folder`: where the processes write what they see. */
  constructor(url: string, processes: number, folder: string) {
    const names = Array.from({ length: processes }, (_, index) => `client-${index + 1}`);
    this.#files = names.map((name) => join(folder, `${name}.jsonl`));
    this.#counts = this.#files.map((file) => new Count(file));
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
    return this.#counts.reduce((sum, count) => sum + count.acknowledged, 0);
  }
}

/** Of one file's operations, as it grows: each line is looked at once, since a drill asks many times a second. */
class Count {
  readonly #file: string;
  #read = 0;
  #rest = "";
  #acknowledged = 0;

  constructor(file: string) {
    this.#file = file;
  }

  get acknowledged(): number {
    const lines = (this.#rest + this.#more()).split("\n");
    this.#rest = lines.pop() as string;
    this.#acknowledged += lines.filter((line) => (JSON.parse(line) as Operation).ok).length;
    return this.#acknowledged;
  }

  #more(): string {
    if (!existsSync(this.#file)) return "";
    const file = openSync(this.#file, "r");
    const buffer = Buffer.alloc(fstatSync(file).size - this.#read);
    this.#read += readSync(file, buffer, 0, buffer.length, this.#read);
    closeSync(file);
    return buffer.toString();
  }
}
