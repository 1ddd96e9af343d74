/**
 * One client process of a benchmark: `node caller.ts URL CALLERS MS` sends deposits from so many callers for so
 * long, and prints {commits, elapsedMs, p50Ms, p99Ms} as one line.
 */
import { bank } from "../examples/bank.ts";
import { connect } from "../shared/client/index.ts";
import { quantile } from "./statistics.ts";

const [url = "", callers = "1", ms = "1000"] = process.argv.slice(2);
const theseus = connect(url);
const accounts = theseus.machine(bank, "main");
const latenciesMs: number[] = [];

async function call(account: string, until: number): Promise<void> {
  while (performance.now() < until) {
    const from = performance.now();
    await accounts.send({ type: "deposit", account, amount: 1 });
    latenciesMs.push(performance.now() - from);
  }
}

async function run(runMs: number): Promise<void> {
  const until = performance.now() + runMs;
  await Promise.all(Array.from({ length: Number(callers) }, (_, index) => call(`account-${index}`, until)));
}

const WARM_UP_MS = 500;
await run(WARM_UP_MS);
latenciesMs.length = 0;
const from = performance.now();
await run(Number(ms));
const elapsedMs = performance.now() - from;
console.log(
  JSON.stringify({
    commits: latenciesMs.length,
    elapsedMs,
    p50Ms: quantile(latenciesMs, 0.5),
    p99Ms: quantile(latenciesMs, 0.99),
  }),
);
theseus.close();
