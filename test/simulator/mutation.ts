/**
 * Runs the simulator against one mutant in a child process, and says what killed it.
 */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Mutant } from "./mutants.ts";
import { CHECKS, type Check } from "./violation.ts";

export interface Verdict {
  readonly mutant: Mutant;
  /** Absent: it survived all seeds. */
  readonly check?: Check;
  /** Runs, the killing one included. */
  readonly seeds: number;
  readonly output: string;
}

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

export async function judge(mutant: Mutant, seedsMax: number): Promise<Verdict> {
  const { status, output } = await simulate(mutant, seedsMax);
  if (status === 0) return { mutant, seeds: seedsMax, output };
  const [, run, check] = /^(?:seed|scenario) (\w+): ([A-Z_]+): /m.exec(output) ?? [];
  if (run === undefined || check === undefined || !(check in CHECKS))
    throw new Error(`mutant ${mutant.name} ended without a verdict:\n${output}`);
  return { mutant, check: check as Check, seeds: mutant.scenario === undefined ? Number(run) : 1, output };
}

function simulate(mutant: Mutant, seedsMax: number): Promise<{ status: number | null; output: string }> {
  const plant = ["--conditions=source", "--import", "./test/simulator/plant.ts", "test/simulator/main.ts"];
  const random = ["--from", "1", "--seeds", String(seedsMax), ...(mutant.flags ?? [])];
  const flags = mutant.scenario === undefined ? random : ["--scenario", mutant.scenario];
  const child = spawn(process.execPath, [...plant, ...flags], {
    cwd: ROOT,
    env: { ...process.env, MUTANT: mutant.name },
  });
  let output = "";
  child.stdout.on("data", (data) => {
    output += data;
  });
  child.stderr.on("data", (data) => {
    output += data;
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (status) => resolve({ status, output }));
  });
}
