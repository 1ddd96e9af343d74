/** Provisioning on real processes and tables: what the registry orders is done by itself, whoever is killed meanwhile. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import type { AcceptorId } from "../../shared/protocol/quorum.ts";
import { LOCAL_QUEUE } from "../../shared/provision/local.ts";
import { LocalQueue } from "../../shared/provision/queue-local.ts";
import { registryClient } from "../../shared/runtime/registry/registry-client.ts";
import type { DeploymentStatus, MachineStatus } from "../../shared/wire.ts";
import {
  type DeploymentOptions,
  startDeployment,
  type TestDeployment,
  until,
} from "../support/deployment.ts";
import { postJson, rawRequest } from "../support/raw-http.ts";
import { loseTable, tablesOf } from "../support/store.ts";
import { temporaryFolder } from "../support/temporary.ts";

const AT = "/v1/machines/bank/main";

async function deploy(options: Partial<DeploymentOptions> = {}): Promise<TestDeployment> {
  const deployment = await startDeployment({ file: "examples/bank.ts", dir: temporaryFolder(), ...options });
  onTestFinished(async () => {
    await deployment.stop();
  });
  return deployment;
}

async function deposit({ url }: TestDeployment): Promise<void> {
  const command = { type: "deposit", account: "alice", amount: 1 };
  const { status } = await postJson(url, `${AT}/commands`, { command });
  expect(status).toBe(200);
}

async function machine({ url }: TestDeployment): Promise<MachineStatus> {
  return JSON.parse((await rawRequest(url, { path: AT })).text);
}

async function replaceFirst(deployment: TestDeployment): Promise<string> {
  const [replace] = (await machine(deployment)).configuration.acceptors as [string];
  await until(async () => (await postJson(deployment.url, `${AT}/reconfigure`, { replace })).status === 200);
  return replace;
}

/** Those of machines that there are. */
async function tablesIn(deployment: TestDeployment): Promise<readonly string[]> {
  const { registry } = await deployment.status();
  const registrys = registry.tables.map(({ id }) => id as string);
  return (await tablesOf(deployment.dir)).filter((id) => !registrys.includes(id));
}

function spares({ acceptors }: DeploymentStatus): readonly DeploymentStatus["acceptors"][number][] {
  return acceptors.filter(({ role }) => role === "spare");
}

/** Nothing is left to do: the tables are those on record, so many of them spares, and every one answers. */
async function isSettled(deployment: TestDeployment, spareCount: number): Promise<boolean> {
  const status = await deployment.status();
  const recorded = status.acceptors.map(({ id }) => id).sort();
  return (
    status.registry.outbox === 0 &&
    spares(status).length === spareCount &&
    status.acceptors.every(({ state }) => state === "live") &&
    JSON.stringify(recorded) === JSON.stringify(await tablesIn(deployment))
  );
}

test("a table that is replaced goes by itself, and another spare comes; a restart changes nothing of it", async () => {
  const deployment = await deploy();
  await deposit(deployment);
  await until(() => isSettled(deployment, 1));
  const [spare] = spares(await deployment.status());
  const replaced = await replaceFirst(deployment);
  expect((await machine(deployment)).configuration.acceptors).toContain(spare?.id);
  await until(() => isSettled(deployment, 1));
  expect(await tablesIn(deployment)).not.toContain(replaced);
  // Of those that the folder began with; the last is retired while nobody is there to delete it.
  for (let more = 0; more < 2; more++) {
    deployment.kill("provisioner", "SIGSTOP");
    const last = await replaceFirst(deployment);
    expect(await tablesIn(deployment)).toContain(last);
    deployment.kill("provisioner", "SIGCONT");
    if (more === 0) await until(() => isSettled(deployment, 1));
  }
  const { configuration } = await machine(deployment);
  expect(await deployment.stop()).toBe(0);

  const { dir } = deployment;
  const again = await deploy({ dir });
  expect(again.events.filter(({ event }) => event === "tableMissing")).toEqual([]);
  await deposit(again);
  expect((await machine(again)).configuration).toEqual(configuration);
  await until(() => isSettled(again, 1));
  expect(again.stderr).toBe("");
});

test("the provisioner and the registry are killed again and again: every order is carried out once", async () => {
  const deployment = await deploy({ spares: 2 });
  await deposit(deployment);
  await until(() => isSettled(deployment, 2));
  for (let round = 0; round < 6; round++) {
    const replacing = replaceFirst(deployment);
    const from = deployment.events.length;
    await sleep(Math.random() * 150);
    const part = round % 3 === 2 ? "registry" : "provisioner";
    deployment.kill(part);
    await deployment.event((event) => event.event === "restarted" && event.part === part, { from });
    await replacing;
  }
  await deposit(deployment);
  await until(() => isSettled(deployment, 2));
  expect(new Set((await machine(deployment)).configuration.acceptors).size).toBe(3);
});

test("messages that come twice, late, or from nowhere do nothing; a spare that is deleted is found lost", async () => {
  const deployment = await deploy();
  await deposit(deployment);
  await replaceFirst(deployment);
  await until(() => isSettled(deployment, 1));
  const before = await tablesIn(deployment);
  const queue = new LocalQueue(join(deployment.dir, "queue.sqlite"), LOCAL_QUEUE);
  onTestFinished(() => queue.close());
  const failures = () =>
    deployment.events.filter((event) => event.event === "logged" && event.line.event === "failed").length;
  const failed = failures();
  for (const request of ["o1", "o2", "o3", "o99"])
    for (let copy = 0; copy < 2; copy++) await queue.send(JSON.stringify({ format: 1, request }));
  await queue.send("poison");
  await until(() => failures() > failed);
  // What comes after the poison is carried out.
  await replaceFirst(deployment);
  await until(() => isSettled(deployment, 1));
  expect(await tablesIn(deployment)).toHaveLength(before.length);

  const [lost] = spares(await deployment.status());
  await loseTable(lost?.location as string);
  await until(async () => {
    const [next] = spares(await deployment.status());
    return next !== undefined && next.id !== lost?.id && (await isSettled(deployment, 1));
  });
  await replaceFirst(deployment);
  expect((await machine(deployment)).configuration.acceptors).not.toContain(lost?.id);
});

test("a table that is reported gone is replaced by one spare for all, and is no new machine's", async () => {
  const deployment = await deploy({ tables: 4 });
  await deposit(deployment);
  await until(() => isSettled(deployment, 1));
  const [spare] = spares(await deployment.status());
  const [gone] = (await machine(deployment)).configuration.acceptors as [AcceptorId];
  const registry = registryClient(deployment.addressOf("registry"));
  const suspicion = { type: "suspectAcceptor", acceptor: gone, by: "test", why: "gone" } as const;
  for (let repeated = 0; repeated < 2; repeated++)
    expect(await registry.command(suspicion)).toEqual({ suspected: true, replacement: spare?.id });
  expect((await deployment.status()).acceptors.find(({ id }) => id === gone)).toMatchObject({
    role: "suspected",
    replacement: spare?.id,
  });
  await postJson(deployment.url, "/v1/machines/bank/other/commands", {
    command: { type: "deposit", account: "a", amount: 1 },
  });
  const other = JSON.parse((await rawRequest(deployment.url, { path: "/v1/machines/bank/other" })).text);
  expect(other.configuration.acceptors).not.toContain(gone);
  expect(await replaceFirst(deployment)).toBe(gone);
  expect((await machine(deployment)).configuration.acceptors).toContain(spare?.id);
  await until(async () => !(await tablesIn(deployment)).includes(gone));
});

test("leaders are started and retired by order, and an id is never used again", async () => {
  const deployment = await deploy();
  await deposit(deployment);
  const ids = async () =>
    (await deployment.status()).leaders.filter(({ state }) => state === "live").map(({ id }) => id);
  const start = (nonce: string) => postJson(deployment.url, "/v1/leaders", { nonce });
  const [answer, repeated] = [await start("one"), await start("one")];
  expect(repeated).toMatchObject({ status: 200, text: answer.text });
  expect(JSON.parse(answer.text)).toMatchObject({ leader: "leader-3" });
  await until(async () => (await ids()).join() === "leader-1,leader-2,leader-3");

  // Three run and two are wanted: the first retirement leaves enough, the second one does not.
  for (const [leader, left] of [
    ["leader-1", "leader-2,leader-3"],
    ["leader-2", "leader-3,leader-4"],
  ] as const) {
    expect((await postJson(deployment.url, `/v1/leaders/${leader}/retire`, {})).status).toBe(200);
    await until(async () => (await ids()).join() === left);
  }
  await deposit(deployment);
  expect(await deployment.stop()).toBe(0);

  const again = await deploy({ dir: deployment.dir });
  const started = again.events.flatMap((event) => (event.event === "started" ? [event.part] : []));
  expect(started.filter((part) => part.startsWith("leader")).sort()).toEqual(["leader-3", "leader-4"]);
  await deposit(again);
  expect((await postJson(again.url, "/v1/leaders/leader-1/retire", {})).status).toBe(200);
  expect((await postJson(again.url, "/v1/leaders/leader-9/retire", {})).status).toBe(400);
  expect(existsSync(join(again.dir, "theseus.json"))).toBe(true);
});
