/**
 * `failover`: the leader is killed with SIGKILL under load, a warm standby takes over. Probes start every few
 * milliseconds and do not wait for each other; the window is from the kill to the first answer to a probe that
 * was sent after it (TARGETS: failover).
 */
import { setTimeout as sleep } from "node:timers/promises";
import { bank } from "../examples/bank.ts";
import { connect } from "../shared/client/index.ts";
import { startDeployment } from "../test/support/deployment.ts";
import { quantile, spread } from "./statistics.ts";

const TRIALS = 20;
const PROBE_EVERY_MS = 5;
/** Long enough for the standby that was started again to follow. */
const SETTLE_MS = 1_500;

interface Probe {
  readonly sentAt: number;
  readonly answeredAt: number;
}

export async function failover(): Promise<void> {
  const deployment = await startDeployment({ file: "examples/bank.ts" });
  const theseus = connect(deployment.url);
  const accounts = theseus.machine(bank, "main");
  const probes: Probe[] = [];
  const underWay = new Set<Promise<void>>();
  const probe = async () => {
    const sentAt = performance.now();
    await accounts.send({ type: "deposit", account: "probe", amount: 1 });
    probes.push({ sentAt, answeredAt: performance.now() });
  };
  await probe();
  const timer = setInterval(() => {
    const sent = probe().finally(() => underWay.delete(sent));
    underWay.add(sent);
  }, PROBE_EVERY_MS);
  const windowsMs: number[] = [];
  try {
    for (let trial = 0; trial < TRIALS; trial++) {
      await sleep(SETTLE_MS + Math.random() * 100);
      const { leader } = await accounts.status();
      const killedAt = performance.now();
      deployment.kill(leader?.id ?? "", "SIGKILL");
      await sleep(SETTLE_MS);
      const after = probes.filter(({ sentAt }) => sentAt > killedAt).map(({ answeredAt }) => answeredAt);
      windowsMs.push(Math.min(...after) - killedAt);
      probes.length = 0;
    }
  } finally {
    clearInterval(timer);
    await Promise.all(underWay);
    theseus.close();
    await deployment.stop();
  }
  const p50 = quantile(windowsMs, 0.5);
  console.log(`failover: ${TRIALS} SIGKILLs of the leader under a probe every ${PROBE_EVERY_MS} ms`);
  console.log(`window ms: median ${spread(windowsMs)}, p99 ${quantile(windowsMs, 0.99).toFixed(0)}`);
  console.log(
    `below half a second: ${Math.max(...windowsMs) < 500 ? "always" : `median ${p50 < 500}`}; target p50 ≤ 50 ms: ${p50 <= 50 ? "met" : "missed"}`,
  );
}
