/**
 * `reconfigure`: one of the machine's tables is swapped every second under load from 64 callers, against the same
 * load undisturbed, interleaved (TARGETS: reconfigure).
 */
import { setTimeout as sleep } from "node:timers/promises";
import { startDeployment, type TestDeployment } from "../test/support/deployment.ts";
import { runCallers } from "./callers.ts";
import { median, spread } from "./statistics.ts";

const ROUNDS = 11;
const RUN_MS = 6_000;
const EVERY_MS = 1_000;
const CALLERS = 64;
const AT = "/v1/machines/bank/main";

export async function reconfigure(): Promise<void> {
  const deployment = await startDeployment({ file: "examples/bank.ts", spares: 2 });
  const [still, swapped] = [newSide(), newSide()];
  let swaps = 0;
  try {
    for (let round = 0; round < ROUNDS; round++) {
      add(still, await runCallers(deployment.url, CALLERS, RUN_MS));
      const swapping = new AbortController();
      const swapper = swapUntil(deployment, swapping.signal);
      add(swapped, await runCallers(deployment.url, CALLERS, RUN_MS));
      swapping.abort();
      swaps += await swapper;
    }
  } finally {
    await deployment.stop();
  }
  print(still, swapped, swaps);
}

interface Side {
  readonly perSecond: number[];
  readonly p99Ms: number[];
}

function newSide(): Side {
  return { perSecond: [], p99Ms: [] };
}

function add(side: Side, run: { readonly perSecond: number; readonly p99Ms: number }): void {
  side.perSecond.push(run.perSecond);
  side.p99Ms.push(run.p99Ms);
}

/** How often it swapped. */
async function swapUntil({ url }: TestDeployment, signal: AbortSignal): Promise<number> {
  for (let swaps = 0; ; swaps++) {
    await sleep(EVERY_MS);
    if (signal.aborted) return swaps;
    const { configuration } = (await (await fetch(url + AT)).json()) as {
      configuration: { acceptors: string[] };
    };
    const body = JSON.stringify({ replace: configuration.acceptors[swaps % configuration.acceptors.length] });
    const headers = { "content-type": "application/json" };
    const answer = await fetch(`${url}${AT}/reconfigure`, { method: "POST", headers, body });
    if (!answer.ok) throw new Error(await answer.text());
  }
}

function print(still: Side, swapped: Side, swaps: number): void {
  const ratio = median(swapped.perSecond) / median(still.perSecond);
  const tail = median(swapped.p99Ms) / median(still.p99Ms);
  console.log(
    `reconfigure: ${swaps} swaps in ${ROUNDS} runs of ${RUN_MS} ms, ${CALLERS} callers; median (lowest … highest)`,
  );
  console.table([
    { side: "undisturbed", "per second": spread(still.perSecond), "p99 ms": spread(still.p99Ms, 1) },
    { side: "a swap a second", "per second": spread(swapped.perSecond), "p99 ms": spread(swapped.p99Ms, 1) },
  ]);
  console.log(
    `throughput: ${ratio.toFixed(3)} × undisturbed (target ≥ 0.98): ${ratio >= 0.98 ? "met" : "missed"}`,
  );
  console.log(`p99: ${tail.toFixed(2)} × undisturbed (target ≤ 1.2): ${tail <= 1.2 ? "met" : "missed"}`);
}
