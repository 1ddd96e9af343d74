/** Property tests that print their seed first: `SEED=… vitest run <file>` repeats a run exactly. */
import fc from "fast-check";
import { test } from "vitest";

const SEED = Number(process.env.SEED ?? Date.now() % 2 ** 31);

export function forAll<Given extends [unknown, ...unknown[]]>(
  name: string,
  arbitraries: { [Index in keyof Given]: fc.Arbitrary<Given[Index]> },
  holds: (...given: Given) => void,
  numRuns = 300,
): void {
  test(name, () => {
    console.log(`${name}: SEED=${SEED}`);
    fc.assert(
      fc.property(...arbitraries, (...given) => holds(...(given as unknown as Given))),
      { seed: SEED, numRuns },
    );
  });
}
