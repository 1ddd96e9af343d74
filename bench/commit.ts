/**
 * `commit`: commits per second and their latency at 1, 64 and 256 callers in a client process of their own, over
 * raw conditional writes on one table of the same store (TARGETS: commit-latency, commit-throughput).
 */
import { startDeployment } from "../test/support/deployment.ts";
import { runCallers } from "./callers.ts";
import { RawTable } from "./raw.ts";
import { median, spread } from "./statistics.ts";

const CALLERS = [1, 64, 256];
const ROUNDS = 7;
const RUN_MS = 2_000;

interface Side {
  readonly perSecond: number[];
  readonly p50Ms: number[];
  readonly p99Ms: number[];
}

export async function commit(): Promise<void> {
  const deployment = await startDeployment({ file: "examples/bank.ts" });
  const raw = await RawTable.create();
  const rawSide = emptySide();
  const sides = new Map(CALLERS.map((callers) => [callers, emptySide()]));
  try {
    for (let round = 0; round < ROUNDS; round++) {
      add(rawSide, await raw.run(RUN_MS));
      for (const [callers, side] of sides) add(side, await runCallers(deployment.url, callers, RUN_MS));
    }
  } finally {
    await raw.close();
    await deployment.stop();
  }
  print(rawSide, sides);
}

function emptySide(): Side {
  return { perSecond: [], p50Ms: [], p99Ms: [] };
}

function add(side: Side, run: { perSecond: number; p50Ms: number; p99Ms: number }): void {
  side.perSecond.push(run.perSecond);
  side.p50Ms.push(run.p50Ms);
  side.p99Ms.push(run.p99Ms);
}

function print(raw: Side, sides: ReadonlyMap<number, Side>): void {
  console.log(`commit: medians of ${ROUNDS} interleaved runs of ${RUN_MS} ms (lowest … highest)`);
  const row = (name: string, side: Side) => ({
    side: name,
    "per second": spread(side.perSecond),
    "÷ raw": (median(side.perSecond) / median(raw.perSecond)).toFixed(2),
    "p50 ms": spread(side.p50Ms, 2),
    "p50 ÷ raw": (median(side.p50Ms) / median(raw.p50Ms)).toFixed(2),
    "p99 ms": spread(side.p99Ms, 2),
  });
  console.table([
    row("raw writes, one table", raw),
    ...[...sides].map(([n, side]) => row(`${n} callers`, side)),
  ]);
  const latency = median(sides.get(1)?.p50Ms ?? []) / median(raw.p50Ms);
  const throughput = median(sides.get(256)?.perSecond ?? []) / median(raw.perSecond);
  console.log(
    `latency, 1 caller: ${latency.toFixed(2)} × raw (target ≤ 5): ${latency <= 5 ? "met" : "missed"}`,
  );
  console.log(
    `throughput, 256 callers: ${throughput.toFixed(2)} × raw (target ≥ 6): ${throughput >= 6 ? "met" : "missed"}`,
  );
}
