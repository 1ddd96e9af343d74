/**
 * A table is deleted and the leader killed, under load, in each mode: the machine is back at full copies by
 * itself, nobody is asked, and nothing acknowledged is lost.
 */
import { expect, onTestFinished, test } from "vitest";
import { MACHINE_GEOMETRY } from "../../shared/protocol/slot.ts";
import type { MachineStatus } from "../../shared/wire.ts";
import { startDeployment, type TestDeployment, until } from "../support/deployment.ts";
import { faultsOf, JOURNALED_BANK, readJournal } from "../support/history.ts";
import { Load } from "../support/load.ts";
import { postJson, rawRequest } from "../support/raw-http.ts";
import { loseTable as lose } from "../support/store.ts";
import { contentsOf } from "../support/tables.ts";
import { temporaryFolder } from "../support/temporary.ts";

const CLIENTS = 4;
const PROGRESS = 50;
const AT = "/v1/machines/bank/main";
const MINUTES_MS = 120_000;

async function deploy(): Promise<TestDeployment> {
  const deployment = await startDeployment({ file: JOURNALED_BANK, dir: temporaryFolder(), spares: 1 });
  onTestFinished(async () => {
    await deployment.stop();
  });
  return deployment;
}

async function machine(deployment: TestDeployment): Promise<MachineStatus | undefined> {
  const { status, text } = await rawRequest(deployment.url, { path: AT });
  return status === 200 ? (JSON.parse(text) as MachineStatus) : undefined;
}

async function progress(clients: Load): Promise<void> {
  const before = clients.acknowledged();
  await until(() => clients.acknowledged() >= before + PROGRESS);
}

/** What an operator would do once, before the drill. A witness is a table that was never anything else. */
async function setMode(deployment: TestDeployment, mode: string): Promise<void> {
  const [one, two, three] = (await machine(deployment))?.configuration.acceptors ?? [];
  const third = { majority: [three], primaryBackup: [], witness: [await spareOf(deployment)] }[mode];
  const acceptors = [one, two, ...(third ?? [])];
  expect((await postJson(deployment.url, `${AT}/reconfigure`, { mode, acceptors })).status).toBe(200);
}

/** Once there is one. */
async function spareOf(deployment: TestDeployment): Promise<string> {
  let spare: string | undefined;
  await until(async () => {
    spare = (await deployment.status()).acceptors.find(({ role }) => role === "spare")?.id;
    return spare !== undefined;
  });
  return spare as string;
}

async function loseTable(deployment: TestDeployment, acceptor: string): Promise<void> {
  const { acceptors } = await deployment.status();
  const location = acceptors.find(({ id }) => id === acceptor)?.location as string;
  await lose(location);
}

/** Back at full copies: the configuration no longer names the lost one, and has as many acceptors as before. */
async function repaired(deployment: TestDeployment, lost: string): Promise<MachineStatus> {
  let status: MachineStatus | undefined;
  await until(async () => {
    status = await machine(deployment);
    return status !== undefined && !status.configuration.acceptors.includes(lost);
  });
  return status as MachineStatus;
}

async function verdict(deployment: TestDeployment, clients: Load): Promise<void> {
  const operations = await clients.stop();
  expect(faultsOf(operations, await readJournal(deployment.url))).toEqual([]);
}

for (const mode of ["majority", "primaryBackup", "witness"])
  test(
    `${mode}: each table in turn is deleted, and the leader killed with it`,
    async () => {
      const deployment = await deploy();
      const clients = new Load(deployment.url, CLIENTS, temporaryFolder());
      await progress(clients);
      await setMode(deployment, mode);
      const before = (await machine(deployment)) as MachineStatus;
      for (const lost of before.configuration.acceptors) {
        await spareOf(deployment);
        await loseTable(deployment, lost);
        const leader = (await machine(deployment))?.leader?.id;
        if (leader !== undefined) deployment.kill(leader, "SIGKILL");
        const after = await repaired(deployment, lost);
        expect(after.configuration).toMatchObject({ mode });
        expect(after.configuration.acceptors.length).toBe(before.configuration.acceptors.length);
        await progress(clients);
      }
      await verdict(deployment, clients);
    },
    MINUTES_MS,
  );

test(
  "with a witness commits go on while the lost copy is replaced, and the witness keeps no state",
  async () => {
    const deployment = await deploy();
    const clients = new Load(deployment.url, CLIENTS, temporaryFolder());
    await progress(clients);
    await setMode(deployment, "witness");
    await spareOf(deployment);
    await progress(clients);
    const { configuration } = (await machine(deployment)) as MachineStatus;
    const [lost, , witness] = configuration.acceptors as [string, string, string];
    const lostAt = monotonicMicroseconds();
    await loseTable(deployment, lost);
    await repaired(deployment, lost);
    const repairedAt = monotonicMicroseconds();
    await progress(clients);
    const operations = clients.operations();
    const between = operations.filter(({ ok, call, return: end }) => ok && call > lostAt && end < repairedAt);
    expect(between.length).toBeGreaterThan(0);
    await expectOnlyCells(await locationOf(deployment, witness));
    await verdict(deployment, clients);
  },
  MINUTES_MS,
);

async function locationOf(deployment: TestDeployment, acceptor: string): Promise<string> {
  const { acceptors } = await deployment.status();
  return acceptors.find(({ id }) => id === acceptor)?.location as string;
}

/** No Head, no chunk, no part, and of each configuration at most K values: what a witness is (PROTOCOL §10). */
async function expectOnlyCells(location: string): Promise<void> {
  const { covered, contents, votes } = await contentsOf(location, "bank/main");
  expect([covered, contents]).toEqual([undefined, 0]);
  const values = Map.groupBy(votes, (key) => key.split("#")[1]);
  expect(values.size).toBeGreaterThan(0);
  for (const each of values.values()) expect(each.length).toBeLessThanOrEqual(MACHINE_GEOMETRY.lanes);
}

function monotonicMicroseconds(): number {
  return Number(process.hrtime.bigint() / 1_000n);
}
