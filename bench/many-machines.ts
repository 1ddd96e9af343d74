/**
 * `many-machines`: 1 to 1,000 machines on two leaders, all used once. What they cost while they are idle, how long it
 * takes to take those over that a killed leader led, and what the registry hears of that (TARGETS: many-machines).
 */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "../shared/client/index.ts";
import { startDeployment, type TestDeployment, until } from "../test/support/deployment.ts";
import { forEach } from "../test/support/for-each.ts";

const COUNTS = [1, 10, 100, 1_000];
const AT_ONCE = 64;
const SETTLE_MS = 3_000;
/** So often is looked: memory at rest is the least that was seen. */
const LOOKS = 5;

interface Row {
  readonly machines: number;
  readonly "start all, ms": string;
  readonly "a leader's MB": string;
  readonly "registry slots while idle": number;
  readonly "taken over": number;
  readonly "first ms": string;
  readonly "last ms": string;
  readonly "registry slots": number;
}

export async function manyMachines(): Promise<void> {
  const rows: Row[] = [];
  const memory: number[] = [];
  for (const count of COUNTS) {
    const deployment = await startDeployment({ file: "examples/bank.ts" });
    try {
      rows.push(await measure(deployment, count, memory));
    } finally {
      await deployment.stop();
    }
  }
  console.log(
    "many-machines: two leaders, each machine led by one and followed by the other; SIGKILL of one leader",
  );
  console.table(rows);
  const [few = 0, many = 0] = [memory[0], memory.at(-1)];
  const perMachine = ((many - few) * 1_024) / (COUNTS.at(-1) ?? 1);
  console.log(`memory: ${perMachine.toFixed(0)} KB of a leader's for each machine that it leads or follows`);
  const isSilent = rows.every((row) => row["registry slots while idle"] === 0);
  // One: the killed leader makes itself known when it is started again.
  const isAlone = rows.every((row) => row["registry slots"] <= 1);
  console.log(`registry: ${isSilent ? "silent" : "not silent"} while idle (target: no traffic)`);
  console.log(`taking over: ${isAlone ? "no" : "some"} registry commands (target: none)`);
}

async function measure(deployment: TestDeployment, count: number, memory: number[]): Promise<Row> {
  const theseus = connect(deployment.url);
  const ids = Array.from({ length: count }, (_, index) => `m${index}`);
  const use = (id: string) => theseus.machine("bank", id).send({ type: "deposit", account: "a", amount: 1 });
  try {
    const startedAt = performance.now();
    await forEach(ids, AT_ONCE, use);
    const startMs = performance.now() - startedAt;
    await sleep(SETTLE_MS);
    const idle = await registrySlot(deployment);
    memory.push(await restingMemory(deployment));
    const slot = await registrySlot(deployment);
    const took = await takeOver(deployment);
    await forEach(ids, AT_ONCE, use);
    return {
      machines: count,
      "start all, ms": startMs.toFixed(0),
      "a leader's MB": memory.at(-1)?.toFixed(0) ?? "",
      "registry slots while idle": slot - idle,
      "taken over": took.length,
      "first ms": took[0]?.toFixed(0) ?? "",
      "last ms": took.at(-1)?.toFixed(0) ?? "",
      "registry slots": (await registrySlot(deployment)) - slot,
    };
  } finally {
    theseus.close();
  }
}

/** When the other leader led each of the machines of the one that was killed, in ms since the kill. */
async function takeOver(deployment: TestDeployment): Promise<readonly number[]> {
  const led = (part: string) => new Set(leads(deployment, part).map(({ machine }) => machine));
  const [killed, other] = led("leader-1").size > 0 ? ["leader-1", "leader-2"] : ["leader-2", "leader-1"];
  const lost = led(killed);
  const at = Date.now();
  deployment.kill(killed, "SIGKILL");
  const isDone = () => led(other).isSupersetOf(lost);
  await until(isDone);
  return leads(deployment, other)
    .filter(({ machine, time }) => lost.has(machine) && time >= at)
    .map(({ time }) => time - at);
}

function leads({ events }: TestDeployment, part: string) {
  return events.flatMap((event) =>
    event.event === "logged" && event.part === part && event.line.event === "leads"
      ? [{ machine: event.line.machine, time: Date.parse(String(event.line.time)) }]
      : [],
  );
}

async function restingMemory(deployment: TestDeployment): Promise<number> {
  const looks: number[] = [];
  for (let look = 0; look < LOOKS; look++) {
    looks.push(residentMegabytes(deployment.pidOf("leader-2")));
    await sleep(SETTLE_MS / LOOKS);
  }
  return Math.min(...looks);
}

function residentMegabytes(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kilobytes) / 1_024;
}

async function registrySlot(deployment: TestDeployment): Promise<number> {
  const answer = await fetch(`${deployment.addressOf("registry")}/v1/registry`);
  return ((await answer.json()) as { applied: number }).applied;
}
