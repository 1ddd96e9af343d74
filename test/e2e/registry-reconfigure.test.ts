/**
 * The registry's own tables, replaced one after another while it serves and is killed again and again, until none of the
 * first is left: machines go on, new ones are started, and whoever knows only the first tables finds the last ones.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import type { MachineId } from "../../shared/protocol/configuration.ts";
import { deploymentFile, readDeployment } from "../../shared/runtime/deployment.ts";
import { registryClient } from "../../shared/runtime/registry/registry-client.ts";
import type { DeploymentStatus, ReconfigureAnswer } from "../../shared/wire.ts";
import { NODE_FLAGS, theseus } from "../support/cli.ts";
import {
  type DeploymentOptions,
  startDeployment,
  type TestDeployment,
  until,
} from "../support/deployment.ts";
import { faultsOf, JOURNALED_BANK, readJournal } from "../support/history.ts";
import { Load } from "../support/load.ts";
import { postJson } from "../support/raw-http.ts";
import { hasTable, loseTable } from "../support/store.ts";
import { temporaryFolder } from "../support/temporary.ts";

const CLIENTS = 2;
const MINUTES_MS = 120_000;

async function deploy(options: Partial<DeploymentOptions> = {}): Promise<TestDeployment> {
  const deployment = await startDeployment({ file: JOURNALED_BANK, dir: temporaryFolder(), ...options });
  onTestFinished(async () => {
    await deployment.stop();
  });
  return deployment;
}

async function registryOf(deployment: TestDeployment): Promise<DeploymentStatus["registry"]> {
  return (await deployment.status()).registry;
}

/** Its tables are those of its configuration, all of them there, and nothing is left to be done. */
async function isSettled(deployment: TestDeployment): Promise<boolean> {
  const { acceptors, tables, outbox } = await registryOf(deployment);
  const ids = tables.map(({ id }) => id).sort();
  const areThere = await Promise.all(tables.map(({ location }) => hasTable(location)));
  const areLive = tables.every(({ state }, index) => state === "live" && areThere[index]);
  return outbox === 0 && areLive && ids.length === 3 && ids.join() === acceptors.toSorted().join();
}

async function start(deployment: TestDeployment, id: string): Promise<void> {
  const command = { type: "deposit", account: "alice", amount: 1 };
  await until(
    async () =>
      (await postJson(deployment.url, `/v1/machines/bank/${id}/commands`, { command })).status === 200,
  );
}

/** Repeated until it is answered, as an operator would; the answer is the same. */
async function replace(deployment: TestDeployment, table: string): Promise<ReconfigureAnswer> {
  let answer: { status: number; text: string } | undefined;
  await until(async () => {
    answer = await postJson(deployment.url, "/v1/registry/reconfigure", { replace: table });
    return answer.status === 200;
  });
  return JSON.parse(answer?.text ?? "");
}

async function anotherRegistry(file: string): Promise<{ url: string; child: ChildProcess }> {
  const args = [...NODE_FLAGS, "functions/registry.ts", "--deployment", file];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => {
    child.kill("SIGKILL");
  });
  const [line] = await once(createInterface(child.stdout), "line");
  return { url: JSON.parse(line).url, child };
}

test(
  "all its tables are replaced while it is killed again and again, and none of the first is left",
  async () => {
    const deployment = await deploy();
    const { dir } = deployment;
    const [stale, walking] = ["stale.json", "walking.json"].map((name) => join(dir, name)) as [
      string,
      string,
    ];
    const clients = new Load(deployment.url, CLIENTS, temporaryFolder());
    await until(() => clients.acknowledged() > 20);
    const first = (await registryOf(deployment)).tables;
    expect(first.map(({ state }) => state)).toEqual(["live", "live", "live"]);
    const machines: string[] = [];
    for (const [round, { id, location }] of first.entries()) {
      const isAsked = replace(deployment, id);
      const isStarted = start(deployment, `during-${round}`);
      const from = deployment.events.length;
      await sleep(Math.random() * 200);
      deployment.kill("registry");
      await deployment.event((event) => event.event === "restarted" && event.part === "registry", { from });
      const { acceptors } = await isAsked;
      expect(acceptors).not.toContain(id);
      expect(acceptors).toHaveLength(3);
      await isStarted;
      machines.push(`during-${round}`);
      await until(() => isSettled(deployment));
      expect(await hasTable(location)).toBe(false);
      // Of its tables only the one that is replaced last will be there in the end.
      if (round === 0) copyFileSync(deploymentFile(dir), stale);
      const [machine] = (await deployment.status()).machines.filter((each) => each.id === "main");
      const body = { replace: machine?.configuration.acceptors[round] };
      await until(
        async () =>
          (await postJson(deployment.url, "/v1/machines/bank/main/reconfigure", body)).status !== 503,
      );
    }
    const pointed = (await readDeployment(deploymentFile(dir))).registry;
    const last = await registryOf(deployment);
    expect(pointed.configuration.number).toBe(last.configuration);
    expect(pointed.acceptors.map((each) => each.id).sort()).toEqual(last.acceptors.toSorted());
    expect(pointed.first.quorums.acceptors).toEqual(first.map(({ id }) => id));
    expect(faultsOf(await clients.stop(), await readJournal(deployment.url))).toEqual([]);

    // It moves the pointer in the file that it was given.
    copyFileSync(stale, walking);
    const other = await anotherRegistry(walking);
    const registry = registryClient(other.url);
    for (const id of machines) expect(await registry.lookup(`bank/${id}` as MachineId)).toBeDefined();
    expect((await registry.status()).configuration.number).toBe(last.configuration);
    other.child.kill("SIGKILL");

    expect(await deployment.stop()).toBe(0);
    copyFileSync(stale, deploymentFile(dir));
    const again = await deploy({ dir });
    expect(again.events.filter(({ event }) => event === "tableMissing")).toEqual([]);
    for (const id of [...machines, "afterwards"]) await start(again, id);
    expect((await registryOf(again)).acceptors).toEqual(last.acceptors);
    expect(again.stderr).toBe("");
    await until(
      async () =>
        (await readDeployment(deploymentFile(dir))).registry.configuration.number === last.configuration,
    );
  },
  MINUTES_MS,
);

test(
  "a table of its own that is deleted by hand is replaced by itself, under load, and after a restart too",
  async () => {
    const deployment = await deploy();
    await start(deployment, "main");
    const before = (await registryOf(deployment)).tables;
    const [lost] = before;
    await until(() => isSettled(deployment));
    await loseTable(lost?.location as string);
    await until(async () => !(await registryOf(deployment)).acceptors.includes(lost?.id as string));
    await until(() => isSettled(deployment));
    await start(deployment, "other");
    const second = (await registryOf(deployment)).tables.find(({ id }) =>
      before.some((each) => each.id === id),
    );
    expect(await deployment.stop()).toBe(0);

    await loseTable(second?.location as string);
    const again = await deploy({ dir: deployment.dir });
    expect(again.events).toContainEqual(
      expect.objectContaining({ event: "tableMissing", acceptor: second?.id }),
    );
    await until(async () => !(await registryOf(again)).acceptors.includes(second?.id as string));
    await until(() => isSettled(again));
    await start(again, "third");
  },
  MINUTES_MS,
);

test("an operator replaces them from the command line, and is told what cannot be done", async () => {
  const deployment = await deploy();
  await start(deployment, "main");
  await until(() => isSettled(deployment));
  const run = (...words: readonly string[]) => theseus(["registry", ...words], { url: deployment.url });
  const shown = JSON.parse((await run("status", "--json")).stdout);
  expect(shown).toMatchObject({ configuration: 1, mode: "majority" });
  const [table] = shown.acceptors;
  for (let repeated = 0; repeated < 2; repeated++) {
    const { code, stdout } = await run("reconfigure", "--replace", table, "--json");
    expect([code, JSON.parse(stdout)]).toMatchObject([0, { number: 2, previous: 1, mode: "majority" }]);
  }
  const machines = (await deployment.status()).acceptors.find(({ role }) => role === "active")?.id as string;
  const refused = await run("reconfigure", "--replace", shown.acceptors[1], "--by", machines);
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringMatching(/is active/)]);
  expect((await run("reconfigure", "--replace", machines)).stderr).toMatch(/not one of the registry's/);
  expect((await run("reconfigure")).code).toBe(2);
  expect((await run("status")).stdout).toMatch(/^CONFIGURATION +APPLIED.*\n2 \(majority\)/);
});
