/**
 * `repair`: a table of a machine with a large state is destroyed at about half load, which nobody is told: how long
 * until the machine has all its copies again, and how fast they were made (TARGETS: catch-up ≥ 50 MB/s).
 */
import { rmSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import type { MachineStatus } from "../shared/wire.ts";
import { startDeployment, type TestDeployment, until } from "../test/support/deployment.ts";
import { runCallers } from "./callers.ts";
import { median, spread } from "./statistics.ts";

const MB = 1024 * 1024;
const STATE_MB = 64;
const ACCOUNT_CHARACTERS = 16_000;
const COMMANDS_AT_ONCE = 64;
const ROUNDS = 5;
const RUN_MS = 8_000;
/** Half as many as `reconfigure` has. */
const CALLERS = 32;
const TARGET_MB_PER_SECOND = 50;
const AT = "/v1/machines/bank/main";

export async function repair(): Promise<void> {
  const deployment = await startDeployment({ file: "examples/bank.ts", tables: 4 });
  const [seconds, speeds]: [number[], number[]] = [[], []];
  try {
    await fill(deployment);
    for (let round = 0; round < ROUNDS; round++) {
      const load = runCallers(deployment.url, CALLERS, RUN_MS);
      await sleep(1_000);
      const { elapsedMs, bytes } = await destroyAndReplace(deployment);
      seconds.push(elapsedMs / 1_000);
      speeds.push((1_000 * bytes) / MB / elapsedMs);
      await load;
    }
  } finally {
    await deployment.stop();
  }
  console.log(
    `repair: a state of ${STATE_MB} MB, ${CALLERS} callers, ${ROUNDS} rounds; median (lowest … highest)`,
  );
  console.table([{ "until all copies are there, s": spread(seconds, 2), "MB/s": spread(speeds, 1) }]);
  const speed = median(speeds);
  console.log(
    `catch-up: ${speed.toFixed(1)} MB/s (target ≥ ${TARGET_MB_PER_SECOND}): ${speed >= TARGET_MB_PER_SECOND ? "met" : "missed"}`,
  );
}

/** Accounts with long names, until a snapshot has them all. */
async function fill(deployment: TestDeployment): Promise<void> {
  const accounts = Math.ceil((STATE_MB * MB) / ACCOUNT_CHARACTERS);
  for (let from = 0; from < accounts; from += COMMANDS_AT_ONCE) {
    const commands = Array.from({ length: COMMANDS_AT_ONCE }, (_, index) => {
      const account = String(from + index).padStart(ACCOUNT_CHARACTERS, "-");
      return { command: { type: "deposit", account, amount: 1 } };
    });
    await post(deployment, "commands", commands);
  }
  await until(async () => (await status(deployment)).snapshot > 0);
}

async function destroyAndReplace(deployment: TestDeployment) {
  const { acceptors: used } = (await status(deployment)).configuration;
  const lost = (await deployment.status()).acceptors.find(({ id }) => id === used[0]);
  if (lost === undefined) throw new Error("the machine's table is not registered");
  const began = performance.now();
  rmSync(lost.location);
  await until(async () => !(await status(deployment)).configuration.acceptors.includes(lost.id));
  const elapsedMs = performance.now() - began;
  const { acceptors: now } = (await status(deployment)).configuration;
  const fresh = (await deployment.status()).acceptors.find(
    ({ id }) => now.includes(id) && !used.includes(id),
  );
  return { elapsedMs, bytes: bytesIn(fresh?.location ?? "") };
}

async function status({ url }: TestDeployment): Promise<MachineStatus> {
  return (await (await fetch(url + AT)).json()) as MachineStatus;
}

async function post({ url }: TestDeployment, path: string, body: unknown): Promise<void> {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(`${url}${AT}/${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  const text = await answer.text();
  if (!answer.ok) throw new Error(text);
}

function bytesIn(location: string): number {
  const database = new DatabaseSync(location, { readOnly: true });
  const { bytes } = database.prepare("SELECT sum(length(text)) AS bytes FROM content").get() as {
    bytes: number;
  };
  database.close();
  return bytes;
}
