/**
 * Drills on real processes and real tables, under load from four client processes. After each: every acknowledged
 * command is in the log exactly once, unknown ones at most once, and the history is linearizable.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import type { DeploymentOptions, TestDeployment } from "../support/deployment.ts";
import { isAlive, startDeployment, until } from "../support/deployment.ts";
import { faultsOf, JOURNALED_BANK, readJournal } from "../support/history.ts";
import { Load } from "../support/load.ts";
import { loseTable, STORE } from "../support/store.ts";
import { temporaryFolder } from "../support/temporary.ts";

const CLIENTS = 4;
/** In DynamoDB fewer: an emulator is slow, and each of them takes seconds. */
const KILLS = STORE === "sqlite" ? 20 : 6;
/** A stopped registry answers nobody, and is not started again: it stays away for several failovers. */
const REGISTRY_AWAY = STORE === "sqlite" ? { from: 8, to: 12 } : { from: 3, to: 5 };
/** Commits that must go on while something is broken, before the drill goes on. */
const PROGRESS = 50;
const MINUTES_MS = 300_000;

async function deploy(options: Partial<DeploymentOptions> = {}): Promise<TestDeployment> {
  const deployment = await startDeployment({ file: JOURNALED_BANK, dir: temporaryFolder(), ...options });
  onTestFinished(async () => {
    await deployment.stop();
  });
  return deployment;
}

function load(deployment: TestDeployment): Load {
  return new Load(deployment.url, CLIENTS, temporaryFolder());
}

async function leaderOf(deployment: TestDeployment): Promise<string> {
  let leader: string | undefined;
  await until(async () => {
    const { machines } = await deployment.status().catch(() => ({ machines: [] }));
    leader = machines.find(({ machine }) => machine === "bank")?.leader?.id;
    return leader !== undefined;
  });
  return leader as string;
}

async function progress(clients: Load): Promise<void> {
  const before = clients.acknowledged();
  await until(() => clients.acknowledged() >= before + PROGRESS);
}

async function verdict(deployment: TestDeployment, clients: Load): Promise<void> {
  const operations = await clients.stop();
  const log = await readJournal(deployment.url);
  expect(faultsOf(operations, log)).toEqual([]);
  expect(operations.filter(({ ok }) => ok).length).toBeGreaterThan(PROGRESS);
}

async function restarted(deployment: TestDeployment, part: string, from: number): Promise<void> {
  await deployment.event((event) => event.event === "restarted" && event.part === part, { from });
}

test(
  `the leader is killed ${KILLS} times, the registry for a while, then everything at once`,
  async () => {
    const dir = temporaryFolder();
    const deployment = await deploy({ dir });
    const clients = load(deployment);
    await progress(clients);
    for (let kill = 1; kill <= KILLS; kill++) {
      if (kill === REGISTRY_AWAY.from) deployment.kill("registry", "SIGSTOP");
      if (kill === REGISTRY_AWAY.to) deployment.kill("registry", "SIGKILL");
      const leader = await leaderOf(deployment);
      await sleep(Math.random() * 300);
      const from = deployment.events.length;
      deployment.kill(leader, "SIGKILL");
      await Promise.all([restarted(deployment, leader, from), progress(clients)]);
    }
    for (const pid of [deployment.pid, ...deployment.pids].filter(isAlive)) process.kill(pid, "SIGKILL");
    await deployment.ended();
    const again = await deploy({ dir, port: Number(new URL(deployment.url).port) });
    await progress(clients);
    await verdict(again, clients);
  },
  2 * MINUTES_MS,
);

test(
  "the leader sleeps, is deposed meanwhile, wakes up, and says so",
  async () => {
    const deployment = await deploy();
    const clients = load(deployment);
    await progress(clients);
    let leader: string;
    let from: number;
    let isDeposed = false;
    do {
      leader = await leaderOf(deployment);
      from = deployment.events.length;
      deployment.kill(leader, "SIGSTOP");
      // Stopped within a transaction it holds its tables' locks, and nobody else can write there before it goes on.
      const served = progress(clients).then(() => true);
      isDeposed = await Promise.race([served, sleep(5_000, false)]);
      if (isDeposed) await sleep(1_000);
      deployment.kill(leader, "SIGCONT");
      await served;
    } while (!isDeposed);
    const said = await deployment.event(
      (event) => event.event === "logged" && event.part === leader && event.line.event === "abdicated",
      { from },
    );
    expect(said).toMatchObject({ line: { why: "fenced", machine: "bank/main" } });
    expect(await leaderOf(deployment)).not.toBe(leader);
    await progress(clients);
    await verdict(deployment, clients);
  },
  MINUTES_MS,
);

test(
  "any one of three tables is deleted while running",
  async () => {
    for (const which of [0, 1, 2]) {
      const deployment = await deploy();
      const clients = load(deployment);
      await progress(clients);
      const { acceptors } = await deployment.status();
      const lost = acceptors[which];
      await loseTable(lost?.location as string);
      await progress(clients);
      const leader = await leaderOf(deployment);
      deployment.kill(leader, "SIGKILL");
      await progress(clients);
      const after = await deployment.status();
      // Lost, or replaced and gone by now.
      expect(after.acceptors.find(({ id }) => id === lost?.id)?.state ?? "lost").toBe("lost");
      await verdict(deployment, clients);
      await deployment.stop();
    }
  },
  MINUTES_MS,
);
