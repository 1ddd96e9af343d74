/**
 * The simulator in every test run: a fixed range of seeds without a violation, and every kind of fault among
 * them. A failure prints the seed and the command that replays it.
 */
import { describe, expect, it } from "vitest";
import { Coverage } from "./faults.ts";
import { run } from "./run.ts";
import { SCENARIOS } from "./scenarios.ts";

const FIRST_SEED = 1;
const BLOCKS = 8;
const SEEDS_PER_BLOCK = 250;
const FAULTS_MIN = 20;

describe("the simulator", () => {
  const coverage = new Coverage();
  const blocks = Array.from({ length: BLOCKS }, (_, block) => FIRST_SEED + block * SEEDS_PER_BLOCK);

  it.each(blocks)(`runs ${SEEDS_PER_BLOCK} seeds from %i without a violation`, (first) => {
    for (let seed = first; seed < first + SEEDS_PER_BLOCK; seed++) {
      const outcome = run(seed, {});
      const replay = `node --conditions=source test/simulator/main.ts --seed ${seed} --trace`;
      expect(outcome.violation, `seed ${seed}; replay: ${replay}`).toBeUndefined();
      expect(outcome.coverage.total, `faults of seed ${seed}`).toBeGreaterThanOrEqual(FAULTS_MIN);
      coverage.add(outcome.coverage);
    }
  });

  it("has caused every kind of fault", () => {
    expect(coverage.missing()).toEqual([]);
  });

  it("goes through the same events when a seed is run again", () => {
    const [once, again] = [trace(FIRST_SEED), trace(FIRST_SEED)];
    expect(again).toEqual(once);
  });
});

describe("scripted runs", () => {
  it.each(Object.entries(SCENARIOS))("%s is clean", (_, scenario) => {
    expect(() => scenario()).not.toThrow();
  });
});

function trace(seed: number): readonly string[] {
  const lines: string[] = [];
  run(seed, {}, (line) => lines.push(line));
  return lines;
}
