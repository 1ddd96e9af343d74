/**
 * Every wrong rule that is planted must be killed by a named check; the table of what killed it is printed.
 */
import { afterAll, describe, expect, it } from "vitest";
import { MUTANTS } from "./mutants.ts";
import { judge, type Verdict } from "./mutation.ts";

const SEEDS_MAX = 400;
/** A control must survive; that takes as long as it has seeds. */
const CONTROL_SEEDS = 100;
const TIMEOUT_MS = 120_000;

describe("mutants", { concurrent: true }, () => {
  const verdicts: Verdict[] = [];

  it.each(MUTANTS)("$name", { timeout: TIMEOUT_MS }, async (mutant) => {
    const verdict = await inTurn(() => judge(mutant, mutant.isControl ? CONTROL_SEEDS : SEEDS_MAX));
    verdicts.push(verdict);
    if (mutant.isControl) expect(verdict.check, verdict.output).toBeUndefined();
    else expect(verdict.check, `it survived ${verdict.seeds} seeds`).toBeDefined();
  });

  afterAll(() => console.log(tableOf(verdicts)));
});

/** As many children at a time as there are chains: each test waits for the one before it in its chain. */
const chains: Promise<unknown>[] = [Promise.resolve(), Promise.resolve()];
let started = 0;

function inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
  const chain = started++ % chains.length;
  const result = (chains[chain] as Promise<unknown>).then(work);
  chains[chain] = result.catch(() => undefined);
  return result;
}

function tableOf(verdicts: readonly Verdict[]): string {
  const rows = verdicts.map(({ mutant, check, seeds }) => [
    mutant.name,
    mutant.rule,
    check ?? (mutant.isControl ? "clean, as it must be" : "SURVIVED"),
    mutant.scenario === undefined ? `${seeds} seeds` : `scenario ${mutant.scenario}`,
  ]);
  return rows.map((row) => `| ${row.join(" | ")} |`).join("\n");
}
