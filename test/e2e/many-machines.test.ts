/** A thousand machines on two real leader processes, and leaders that die, come back, and are drained under load. */
import { globSync } from "node:fs";
import { Agent, request } from "node:http";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import type { MachineId } from "../../shared/protocol/configuration.ts";
import type { RegistryCommand } from "../../shared/protocol/registry.ts";
import { type Command, decodeBatch } from "../../shared/protocol/value.ts";
import { rank } from "../../shared/runtime/fleet/rendezvous.ts";
import type { DrainAnswer } from "../../shared/wire.ts";
import { theseus } from "../support/cli.ts";
import { startDeployment, type TestDeployment, until } from "../support/deployment.ts";
import { forEach } from "../support/for-each.ts";
import { postJson } from "../support/raw-http.ts";
import { temporaryFolder } from "../support/temporary.ts";

const MACHINES = 1_000;
const IN_USE = 50;
const AT_ONCE = 64;
const SETTLED_MS = 1_500;
const IDLE_MS = 3_000;
/** As many as fleet/leading.ts takes over at once: so far may the order in which they are led be mixed. */
const TAKEN_OVER_AT_ONCE = 16;
const LEADERS = ["leader-1", "leader-2"];

const named = (count: number) => Array.from({ length: count }, (_, index) => `bank/m${index}` as MachineId);
const belongsTo = (leader: string) => (machine: MachineId) => rank(machine, LEADERS)[0] === leader;

async function deploy() {
  const dir = temporaryFolder();
  const deployment = await startDeployment({ file: "examples/bank.ts", dir });
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
  onTestFinished(async () => {
    agent.destroy();
    await deployment.stop();
  });
  let key = 0;
  /** One deposit through the gateway. @throws Error when it is not answered with 200. */
  const use = async (machine: MachineId): Promise<void> => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const headers = { "content-type": "application/json", "idempotency-key": String(++key) };
    const sent = request(`${deployment.url}/v1/machines/${machine}/commands`, {
      agent,
      method: "POST",
      headers,
    });
    sent.on("error", reject).on("response", async (answer) => {
      const text = Buffer.concat(await answer.toArray()).toString();
      if (answer.statusCode === 200) resolve();
      else reject(new Error(`${machine}: ${answer.statusCode} ${text}`));
    });
    sent.end(JSON.stringify({ command: { type: "deposit", account: "a", amount: 1 } }));
    return promise;
  };
  return { dir, deployment, use };
}

/** Uses these over and over; what stops it rejects with the first command that failed. */
function load(machines: readonly MachineId[], use: (machine: MachineId) => Promise<void>) {
  let isOver = false;
  const workers = Promise.all(
    machines.map(async (machine) => {
      for (; !isOver; await sleep(20)) await use(machine);
    }),
  );
  workers.catch(() => {});
  return async () => {
    isOver = true;
    await workers;
  };
}

/** The machines that a leader came to lead, in order, by the log of `theseus dev`. */
function ledBy({ events }: TestDeployment, part: string, from = 0): readonly MachineId[] {
  return events.slice(from).flatMap((event) => {
    if (event.event !== "logged" || event.part !== part || event.line.event !== "leads") return [];
    return [event.line.machine as MachineId];
  });
}

async function registrySlot(deployment: TestDeployment): Promise<number> {
  const answer = await fetch(`${deployment.addressOf("registry")}/v1/registry`);
  return ((await answer.json()) as { applied: number }).applied;
}

/** What the registry was told in the slots after this one, as one of its own tables has it: one array for each slot. */
function registryCommands(dir: string, after: number): readonly (readonly RegistryCommand[])[] {
  const [table = ""] = globSync(join(dir, "tables", "r1-*.sqlite"));
  const database = new DatabaseSync(table, { readOnly: true });
  try {
    const rows = database
      .prepare("SELECT text FROM cell WHERE machine = 'registry/main' AND slot > ? ORDER BY slot")
      .all(after) as { text: string }[];
    return rows.map(({ text }) => decodeBatch(text).commands.map((each) => commandIn(each)));
  } finally {
    database.close();
  }
}

function commandIn(command: Command): RegistryCommand {
  return (command as { command: RegistryCommand }).command;
}

/** Changes with every commit of any other connection. */
function versionsOf(dir: string): () => readonly unknown[] {
  const databases = globSync(join(dir, "tables", "*.sqlite")).map(
    (path) => new DatabaseSync(path, { readOnly: true }),
  );
  onTestFinished(() => {
    for (const database of databases) database.close();
  });
  return () => databases.map((database) => database.prepare("PRAGMA data_version").get()?.data_version);
}

test("1,000 machines: idle they write nothing; their leader dies, and all serve again without the registry, those in use first", async () => {
  const { dir, deployment, use } = await deploy();
  const all = named(MACHINES);
  await forEach(all, AT_ONCE, use);
  const versions = versionsOf(dir);
  let idle = versions();
  // Archiving trails the last command.
  await until(async () => {
    await sleep(SETTLED_MS);
    const before = idle;
    idle = versions();
    return isDeepStrictEqual(idle, before);
  });
  await sleep(IDLE_MS);
  expect(versions()).toEqual(idle);

  const inUse = all.filter(belongsTo("leader-1")).slice(0, IN_USE);
  const stop = load(inUse, use);
  await sleep(SETTLED_MS);
  expect(versions()).not.toEqual(idle);
  const slot = await registrySlot(deployment);
  const from = deployment.events.length;
  deployment.kill("leader-1", "SIGKILL");
  await until(() => new Set(ledBy(deployment, "leader-2", from)).isSupersetOf(new Set(inUse)));
  const takenOver = ledBy(deployment, "leader-2", from);
  expect(inUse.filter((machine) => takenOver.indexOf(machine) > IN_USE + TAKEN_OVER_AT_ONCE)).toEqual([]);
  await forEach(all, AT_ONCE, use);
  await stop();

  // All that the registry heard is that the one that died was started again.
  await until(async () => (await registrySlot(deployment)) > slot);
  const told = registryCommands(dir, slot);
  expect(told.length).toBe((await registrySlot(deployment)) - slot);
  expect(told.flat().map(({ type }) => type)).toEqual(["registerLeader"]);
});

test("under load a leader gets its machines back, and is drained and stopped, without one failed command", async () => {
  const { deployment, use } = await deploy();
  const all = named(40);
  await forEach(all, AT_ONCE, use);
  const stop = load(all, use);
  const its = new Set(all.filter(belongsTo("leader-1")));
  let from = deployment.events.length;
  deployment.kill("leader-1", "SIGKILL");
  await deployment.event(({ event }) => event === "restarted", { from });
  await until(() => new Set(ledBy(deployment, "leader-1", from)).isSupersetOf(its));

  const { url } = deployment;
  const { code, stdout } = await theseus(["drain", "leader-1", "--json"], { url });
  const progress = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as DrainAnswer);
  expect(code).toBe(0);
  expect(progress.at(-1)).toEqual({ leader: "leader-1", state: "drained", machines: 0 });
  const left = progress.map(({ machines }) => machines);
  expect(left).toEqual(left.toSorted((one, other) => other - one));
  const { leaders } = await deployment.status();
  expect(leaders.map(({ id, state }) => [id, state])).toEqual([
    ["leader-1", "drained"],
    ["leader-2", "live"],
  ]);

  const last = await theseus(["drain", "leader-2"], { url });
  expect([last.code, last.stderr]).toEqual([1, expect.stringContaining("leader-2 is the last leader")]);
  const unknown = await postJson(url, "/v1/leaders/leader-9/drain", {});
  expect([unknown.status, unknown.text]).toEqual([
    404,
    expect.stringContaining("there are: leader-1, leader-2"),
  ]);

  from = deployment.events.length;
  deployment.kill("leader-1", "SIGTERM");
  await deployment.event(({ event }) => event === "restarted", { from });
  await sleep(SETTLED_MS);
  await stop();
});
