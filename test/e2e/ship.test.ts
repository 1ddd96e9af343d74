/**
 * The Ship of Theseus: under continuous load every table, every leader process and every table of the registry is
 * replaced, one after another, until no original part remains. Then what is left of the original tables is deleted, and
 * everything is started again: it is still the same machine.
 */
import { expect, onTestFailed, onTestFinished, test } from "vitest";
import type { DeploymentStatus, MachineStatus } from "../../shared/wire.ts";
import { startDeployment, type TestDeployment, until } from "../support/deployment.ts";
import { faultsOf, JOURNALED_BANK, readJournal } from "../support/history.ts";
import { Load } from "../support/load.ts";
import { postJson, rawRequest } from "../support/raw-http.ts";
import { hasTable, loseTable } from "../support/store.ts";
import { temporaryFolder } from "../support/temporary.ts";

const CLIENTS = 4;
const PROGRESS = 50;
const AT = "/v1/machines/bank/main";
const MINUTES_MS = 240_000;
const MICROSECONDS = 1_000;

async function deploy(dir: string, port = 0): Promise<TestDeployment> {
  const deployment = await startDeployment({ file: JOURNALED_BANK, dir, port, spares: 1 });
  onTestFailed(() => console.log(deployment.warnings.join("\n")));
  onTestFinished(async () => {
    await deployment.stop();
  });
  return deployment;
}

async function machine(deployment: TestDeployment): Promise<MachineStatus> {
  return JSON.parse((await rawRequest(deployment.url, { path: AT })).text);
}

async function progress(clients: Load): Promise<void> {
  const before = clients.acknowledged();
  await until(() => clients.acknowledged() >= before + PROGRESS);
}

/** An operator says it until it is done: a spare, or the last repair, may not be ready yet. */
async function untilDone(url: string, path: string, body: object): Promise<unknown> {
  let text = "";
  await until(async () => {
    const answer = await postJson(url, path, body);
    text = answer.text;
    if (answer.status === 400) throw new Error(`${path} ${JSON.stringify(body)}: ${text}`);
    return answer.status === 200;
  });
  return JSON.parse(text);
}

async function replaceTables(deployment: TestDeployment, clients: Load): Promise<void> {
  for (const replace of (await machine(deployment)).configuration.acceptors) {
    await untilDone(deployment.url, `${AT}/reconfigure`, { replace });
    await progress(clients);
  }
}

async function replaceLeaders(deployment: TestDeployment, clients: Load): Promise<void> {
  const { leaders } = await deployment.status();
  for (const { id } of leaders) {
    const started = await untilDone(deployment.url, "/v1/leaders", { nonce: `instead-of-${id}` });
    const { leader } = started as { readonly leader: string };
    await until(async () => (await liveLeaders(deployment)).includes(leader));
    await until(async () => {
      const answer = await untilDone(deployment.url, `/v1/leaders/${id}/drain`, {});
      return (answer as { readonly state: string }).state === "drained";
    });
    await untilDone(deployment.url, `/v1/leaders/${id}/retire`, {});
    await until(async () => !(await deployment.status()).leaders.some((each) => each.id === id));
    await progress(clients);
  }
}

async function liveLeaders(deployment: TestDeployment): Promise<readonly string[]> {
  const { leaders } = await deployment.status();
  return leaders.filter(({ state }) => state === "live").map(({ id }) => id);
}

async function replaceRegistry(deployment: TestDeployment, clients: Load): Promise<void> {
  for (const replace of (await deployment.status()).registry.acceptors) {
    await untilDone(deployment.url, "/v1/registry/reconfigure", { replace });
    await progress(clients);
  }
}

function partsOf({ acceptors, leaders, registry }: DeploymentStatus, { configuration }: MachineStatus) {
  return {
    machine: configuration.acceptors,
    leaders: leaders.map(({ id, pid }) => `${id} ${pid}`),
    registry: registry.acceptors,
    tables: [...acceptors, ...registry.tables].map(({ location }) => location),
  };
}

test(
  "every part is replaced while it serves, and it is still itself",
  async () => {
    const dir = temporaryFolder();
    const deployment = await deploy(dir);
    const clients = new Load(deployment.url, CLIENTS, temporaryFolder());
    await progress(clients);
    const first = partsOf(await deployment.status(), await machine(deployment));
    await replaceTables(deployment, clients);
    await replaceLeaders(deployment, clients);
    await replaceRegistry(deployment, clients);
    const last = partsOf(await deployment.status(), await machine(deployment));
    for (const part of ["machine", "leaders", "registry"] as const) {
      expect(last[part].length).toBe(first[part].length);
      expect(last[part].filter((each) => first[part].includes(each))).toEqual([]);
    }
    const left = first.tables.filter((table) => !last.tables.includes(table));
    for (const table of left) await loseTable(table);
    await progress(clients);
    const operations = await clients.stop();
    const journal = await readJournal(deployment.url);
    expect(faultsOf(operations, journal)).toEqual([]);
    report(operations);
    await deployment.stop();
    for (const table of left) expect(await hasTable(table)).toBe(false);
    expect(await readJournal((await deploy(dir)).url)).toEqual(journal);
  },
  MINUTES_MS,
);

/** For whoever reads the run; these machines are too noisy to hold a figure against a limit. */
function report(operations: readonly { readonly ok: boolean; readonly return: number }[]): void {
  const times = operations.filter(({ ok }) => ok).map((operation) => operation.return);
  times.sort((one, other) => one - other);
  const longest = Math.max(...times.slice(1).map((time, index) => time - (times[index] as number)));
  const seconds = ((times.at(-1) as number) - (times[0] as number)) / MICROSECONDS / MICROSECONDS;
  console.log(
    `${times.length} operations in ${seconds.toFixed(1)} s, ${(times.length / seconds).toFixed(0)} a second; longest gap ${(longest / MICROSECONDS).toFixed(0)} ms`,
  );
}
