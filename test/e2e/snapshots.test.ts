/**
 * Snapshots on real processes and tables, taken every 64 slots or so. The verdict is that of drills.test.ts, on the
 * machine's own journal in place of the log, which is trimmed: nothing lost, nothing twice, history linearizable.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import type { LogLine, MachineStatus } from "../../shared/wire.ts";
import { theseus } from "../support/cli.ts";
import { isAlive, startDeployment, type TestDeployment, until } from "../support/deployment.ts";
import { faultsOf, JOURNALED_BANK, readJournal } from "../support/history.ts";
import { Load } from "../support/load.ts";
import { postJson, rawRequest } from "../support/raw-http.ts";
import { loseTable, STORE } from "../support/store.ts";
import { contentsOf, lockTable } from "../support/tables.ts";
import { temporaryFolder } from "../support/temporary.ts";

const AT = "/v1/machines/bank/main";
const CLIENTS = 2;
const SLOTS = 64;
const CHUNK_SLOTS = 8;
const PROGRESS = 50;
const KILLS = 6;
/** About as long as one takes here, thread and all. */
const SNAPSHOT_MS = 700;
const MINUTES_MS = 120_000;

async function deploy(options: Partial<Parameters<typeof startDeployment>[0]>): Promise<TestDeployment> {
  const deployment = await startDeployment({
    file: JOURNALED_BANK,
    dir: temporaryFolder(),
    snapshotSlots: SLOTS,
    ...options,
  });
  onTestFinished(async () => {
    await deployment.stop();
  });
  return deployment;
}

async function get(deployment: TestDeployment, path: string) {
  const { status, text } = await rawRequest(deployment.url, { path: `${AT}${path}` });
  return { status, text };
}

async function machine(deployment: TestDeployment): Promise<MachineStatus> {
  return JSON.parse((await get(deployment, "")).text);
}

/** In the machine's configuration, which does not use all tables that there are. */
async function tablesOf(deployment: TestDeployment) {
  const { acceptors: used } = (await machine(deployment)).configuration;
  const { acceptors } = await deployment.status();
  return acceptors.filter(({ id }) => used.includes(id));
}

async function progress(clients: Load): Promise<void> {
  const before = clients.acknowledged();
  await until(() => clients.acknowledged() >= before + PROGRESS);
}

/** Resolves with its line when one more snapshot was taken. */
async function snapshot(deployment: TestDeployment, event = "snapshot", of = "bank/main") {
  const from = deployment.events.length;
  const logged = await deployment.event(
    (each) => each.event === "logged" && each.line.event === event && each.line.machine === of,
    { from },
  );
  return logged.event === "logged" ? logged.line : {};
}

async function verdict(deployment: TestDeployment, clients: Load): Promise<void> {
  const operations = await clients.stop();
  expect(faultsOf(operations, await readJournal(deployment.url))).toEqual([]);
}

test(
  `the leader is killed ${KILLS} times while snapshots are taken, then everything: the tables stay small, the state whole`,
  async () => {
    const dir = temporaryFolder();
    const deployment = await deploy({ dir });
    const early = await deposit(deployment, await openSession(deployment));
    const clients = new Load(deployment.url, CLIENTS, temporaryFolder());
    for (let kill = 1; kill <= KILLS; kill++) {
      await snapshot(deployment, "snapshotBegun");
      await sleep(Math.random() * SNAPSHOT_MS);
      const { leader } = await machine(deployment);
      if (leader !== null) deployment.kill(leader.id, "SIGKILL");
      await progress(clients);
    }
    for (let more = 0; more < 3; more++) {
      await snapshot(deployment);
      for (const { location } of await tablesOf(deployment)) {
        const { covered = 0, snapshotSlot, contents } = await contentsOf(location, "bank/main");
        expect(covered).toBeGreaterThan(KILLS * SLOTS);
        expect(snapshotSlot).toBeGreaterThan(0);
        expect(contents).toBeLessThan(covered / CHUNK_SLOTS / 2);
      }
    }
    for (const pid of [deployment.pid, ...deployment.pids].filter(isAlive)) process.kill(pid, "SIGKILL");
    await deployment.ended();
    const again = await deploy({ dir, port: Number(new URL(deployment.url).port) });
    await progress(clients);
    expect((await deposit(again, early.session)).output).toEqual(early.output);
    const operations = [...(await clients.stop()), { ...early, output: "OK" }];
    expect(faultsOf(operations, await readJournal(again.url))).toEqual([]);
    await shows(again);
  },
  MINUTES_MS,
);

/** The only command of its session, before all others; said again it is answered again. */
async function deposit({ url }: TestDeployment, session: string) {
  const command = { type: "deposit", account: "early", amount: 1 };
  const call = Number(process.hrtime.bigint() / 1_000n);
  const { status, text } = await postJson(url, `${AT}/commands`, { session, sequence: 1, command });
  expect([status, text]).toEqual([200, expect.any(String)]);
  const end = Number(process.hrtime.bigint() / 1_000n);
  return { session, client: "early", call, return: end, input: command, output: JSON.parse(text), ok: true };
}

async function openSession({ url }: TestDeployment): Promise<string> {
  const { text } = await postJson(url, `${AT}/sessions`, { nonce: "early" });
  return (JSON.parse(text) as { session: string }).session;
}

/** What is left of the log, and what a caller is told of the rest. */
async function shows(deployment: TestDeployment): Promise<void> {
  // Until no snapshot is due or under way, and there is something of the log.
  await until(async () => {
    const command = { type: "deposit", account: "late", amount: 1 };
    await postJson(deployment.url, `${AT}/commands`, { command });
    const { applied, snapshot } = await machine(deployment);
    return applied - snapshot < SLOTS && applied - snapshot > CHUNK_SLOTS;
  });
  const { applied, snapshot } = await machine(deployment);
  const { text } = await get(deployment, "/log");
  const lines = text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as LogLine);
  expect(lines[0]?.slot).toBeGreaterThan(1);
  expect(lines.map(({ slot }) => slot)).toEqual(lines.map((_, index) => (lines[0]?.slot ?? 0) + index));
  const gone = await get(deployment, "/log?from=1");
  expect([gone.status, JSON.parse(gone.text)]).toMatchObject([410, { code: "trimmed", retryable: false }]);
  expect(JSON.parse(gone.text).trimmedThrough).toBeGreaterThanOrEqual((lines[0]?.slot ?? 0) - 1);
  expect((await get(deployment, "/state?at=1")).status).toBe(410);
  const [then, now] = [await get(deployment, `/state?at=${applied}`), await get(deployment, "/state")];
  expect(then).toEqual(now);
  if (snapshot > 0) expect((await get(deployment, `/state?at=${snapshot}`)).status).toBe(200);
  const printed = await theseus(["log", "bank/main"], { url: deployment.url });
  expect(printed).toMatchObject({ code: 0, stderr: expect.stringMatching(/^slots 1 to \d+ were trimmed/) });
  const refused = await theseus(["log", "bank/main", "--from", "1"], { url: deployment.url });
  expect(refused).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^theseus: slot 1 of bank\/main was trimmed/),
  });
}

// Only a file can be held back from those who write to it.
if (STORE === "sqlite")
  test(
    "a table that lags behind a snapshot, and one in the place of a lost one, get the state by the snapshot",
    async () => {
      const deployment = await deploy({ tables: 4 });
      const clients = new Load(deployment.url, CLIENTS, temporaryFolder());
      await snapshot(deployment);
      const used = await tablesOf(deployment);
      const [lagging, lost, later] = used.map(({ location }) => location) as [string, string, string];
      const unlock = lockTable(lagging);
      const { covered = 0 } = await contentsOf(lagging, "bank/main");
      // No longer than that: a table that is silent for seconds is replaced.
      const snapshotIn = async (location: string) =>
        (await contentsOf(location, "bank/main")).snapshotSlot ?? 0;
      await until(async () => (await snapshotIn(lost)) > covered);
      unlock();
      await until(async () => (await snapshotIn(lagging)) > covered);
      await loseTable(lost);
      await until(async () => !(await tablesOf(deployment)).some(({ location }) => location === lost));
      const [fresh] = (await tablesOf(deployment)).filter(({ id }) => !used.some((each) => each.id === id));
      const copied = await contentsOf(fresh?.location as string, "bank/main");
      expect(copied.snapshotSlot).toBeGreaterThan(0);
      expect(copied.contents).toBeLessThan((copied.covered ?? 0) / CHUNK_SLOTS);
      // Now it needs what was copied: two of the three tables are the one that lagged and the one that is new.
      await loseTable(later);
      const { leader } = await machine(deployment);
      deployment.kill(leader?.id as string, "SIGKILL");
      await progress(clients);
      await verdict(deployment, clients);
    },
    MINUTES_MS,
  );

test(
  "a state of 20 MB is snapshotted in parts, once, while commits go on",
  async () => {
    const deployment = await deploy({ file: "test/e2e/machines/hoard.ts" });
    const path = "/v1/machines/hoard/main/commands";
    const send = async (blocks: number) => {
      const { status, text } = await postJson(deployment.url, path, { command: { blocks } });
      expect([status, text]).toEqual([200, expect.any(String)]);
    };
    const [begun, taken] = [
      snapshot(deployment, "snapshotBegun", "hoard/main"),
      snapshot(deployment, "snapshot", "hoard/main"),
    ];
    for (let megabytes = 0; megabytes < 20; megabytes++) await send(1);
    let commits = 0;
    let isOver = false;
    const load = (async () => {
      for (; !isOver; commits++) await send(0);
    })();
    await begun;
    const before = commits;
    const { bytes, parts } = await taken;
    const during = commits - before;
    isOver = true;
    await load;
    expect(bytes).toBeGreaterThan(20 * 1024 * 1024);
    expect(parts).toBeGreaterThan(100);
    expect(during).toBeGreaterThan(0);
    // There is no log of 20 MB since then.
    const begins = deployment.events.filter(
      (each) => each.event === "logged" && each.line.event === "snapshotBegun",
    );
    expect(begins.length).toBe(1);
    const total = commits + 20;
    deployment.kill((await deployment.status()).machines[0]?.leader?.id as string, "SIGKILL");
    const { text } = await postJson(deployment.url, "/v1/machines/hoard/main/queries/commands", {});
    expect(JSON.parse(text).result).toBe(total);
  },
  MINUTES_MS,
);

test(
  "the registry's own log is truncated too, and what it knows is not",
  async () => {
    const dir = temporaryFolder();
    const deployment = await deploy({ dir });
    const taken = snapshot(deployment, "snapshot", "registry/main");
    const names = Array.from({ length: 48 }, (_, index) => `m${index}`);
    for (const name of names)
      await postJson(deployment.url, `/v1/machines/bank/${name}/commands`, {
        command: { type: "deposit", account: "a", amount: 1 },
      });
    expect((await taken).slot).toBeGreaterThanOrEqual(SLOTS);
    await deployment.stop();
    const again = await deploy({ dir });
    const { text } = await rawRequest(again.url, { path: "/v1/machines" });
    expect(JSON.parse(text).machines).toEqual(names.map((name) => `bank/${name}`).toSorted());
  },
  MINUTES_MS,
);
