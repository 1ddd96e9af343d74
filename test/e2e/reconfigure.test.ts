/**
 * Vertical reconfiguration on real processes and files, under load from four client processes: nothing lost,
 * nothing twice, history linearizable (the verdict of drills.test.ts).
 */
import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import type { MachineStatus, ReconfigureAnswer } from "../../shared/wire.ts";
import { startDeployment, type TestDeployment, until } from "../support/deployment.ts";
import { faultsOf, JOURNALED_BANK, readJournal } from "../support/history.ts";
import { Load } from "../support/load.ts";
import { postJson, rawRequest } from "../support/raw-http.ts";
import { loseTable } from "../support/store.ts";
import { temporaryFolder } from "../support/temporary.ts";

const CLIENTS = 4;
const PROGRESS = 50;
const AT = "/v1/machines/bank/main";
const MINUTES_MS = 100_000;

async function deploy(tables: number, spares = 0): Promise<TestDeployment> {
  const dir = temporaryFolder();
  const deployment = await startDeployment({ file: JOURNALED_BANK, dir, tables, spares });
  onTestFinished(async () => {
    await deployment.stop();
  });
  return deployment;
}

async function machine(deployment: TestDeployment): Promise<MachineStatus> {
  return JSON.parse((await rawRequest(deployment.url, { path: AT })).text);
}

async function reconfigure(deployment: TestDeployment, request: object) {
  const { status, text } = await postJson(deployment.url, `${AT}/reconfigure`, request);
  return { status, body: JSON.parse(text) as ReconfigureAnswer };
}

async function progress(clients: Load): Promise<void> {
  const before = clients.acknowledged();
  await until(() => clients.acknowledged() >= before + PROGRESS);
}

async function verdict(deployment: TestDeployment, clients: Load): Promise<void> {
  const operations = await clients.stop();
  expect(faultsOf(operations, await readJournal(deployment.url))).toEqual([]);
}

test(
  "every table is replaced, one after another, until the machine has none of its first; then those are deleted",
  async () => {
    const deployment = await deploy(6);
    const clients = new Load(deployment.url, CLIENTS, temporaryFolder());
    await progress(clients);
    const first = (await machine(deployment)).configuration.acceptors;
    const { acceptors } = await deployment.status();
    const fresh = acceptors.map(({ id }) => id).filter((id) => !first.includes(id));
    for (const [index, replace] of first.entries()) {
      const { status, body } = await reconfigure(deployment, { replace, by: fresh[index] });
      expect(status).toBe(200);
      expect(body).toMatchObject({ number: index + 2, previous: index + 1, mode: "majority" });
      expect(body.acceptors).not.toContain(replace);
      await progress(clients);
    }
    for (const { id, location } of acceptors) if (first.includes(id)) await loseTable(location);
    deployment.kill((await machine(deployment)).leader?.id as string, "SIGKILL");
    await progress(clients);
    await verdict(deployment, clients);
  },
  MINUTES_MS,
);

test(
  "two copies, then a witness, then a majority again, then weights, then sets, while the machine serves",
  async () => {
    const deployment = await deploy(6);
    const clients = new Load(deployment.url, CLIENTS, temporaryFolder());
    await progress(clients);
    const first = (await machine(deployment)).configuration.acceptors;
    const [a] = first as [string];
    const { acceptors } = await deployment.status();
    // What a machine has left is being deleted: only the first stays, for a while.
    const fresh = acceptors.map(({ id }) => id).filter((id) => !first.includes(id));
    for (const [mode, of] of [
      ["primaryBackup", [a, fresh[0]]],
      ["witness", [a, fresh[0], fresh[1]]],
      ["majority", fresh],
    ] as const) {
      const { status, body } = await reconfigure(deployment, { mode, acceptors: of });
      expect([status, body.mode, body.acceptors]).toEqual([200, mode, of]);
      await progress(clients);
    }
    const [one, two, three] = fresh as [string, string, string];
    for (const families of [
      { read: { atLeast: 2, weights: { [one]: 2 } }, write: { atLeast: 3, weights: { [one]: 2 } } },
      { read: { sets: [[one, two]] }, write: { sets: [[one], [two, three]] } },
    ]) {
      const quorums = { acceptors: [one, two, three], witnesses: [], ...families };
      const { status, body } = await reconfigure(deployment, { quorums });
      expect([status, body.mode]).toEqual([200, "quorums"]);
      await progress(clients);
    }
    await verdict(deployment, clients);
  },
  MINUTES_MS,
);

test(
  "whoever reconfigures is killed at any moment of it, again and again: the machine serves",
  async () => {
    const deployment = await deploy(3, 1);
    const clients = new Load(deployment.url, CLIENTS, temporaryFolder());
    await progress(clients);
    for (let round = 0; round < 8; round++) {
      const { leader, configuration } = await machine(deployment);
      const from = deployment.events.length;
      const answer = reconfigure(deployment, { replace: configuration.acceptors[0] }).catch(() => {});
      await sleep(Math.random() * 60);
      deployment.kill(leader?.id as string, "SIGKILL");
      await deployment.event(
        ({ event, ...more }) => event === "restarted" && "part" in more && more.part === leader?.id,
        {
          from,
        },
      );
      await progress(clients);
      await answer;
    }
    await verdict(deployment, clients);
  },
  2 * MINUTES_MS,
);

test(
  "one reconfiguration right after another: whoever reconfigures leads again each time, and stumbles over none of them",
  async () => {
    const deployment = await deploy(3);
    const clients = new Load(deployment.url, CLIENTS, temporaryFolder());
    await progress(clients);
    const { acceptors } = (await machine(deployment)).configuration;
    const from = deployment.events.length;
    for (let turn = 0; turn < 30; turn++) {
      expect((await reconfigure(deployment, { mode: "majority", acceptors })).status).toBe(200);
      await progress(clients);
    }
    const failures = deployment.events.slice(from).map((event) => JSON.stringify(event));
    expect(failures.filter((failure) => failure.includes("too few acceptors"))).toEqual([]);
    await verdict(deployment, clients);
  },
  MINUTES_MS,
);

test("what cannot be is refused, and the machine stays as it is", async () => {
  const deployment = await deploy(3);
  await postJson(deployment.url, `${AT}/commands`, { command: { type: "deposit", account: "a", amount: 1 } });
  const { acceptors } = (await machine(deployment)).configuration;
  for (const [request, status, detail] of [
    [{}, 400, /must be/],
    [{ replace: "a9" }, 400, /is not one of bank\/main's acceptors/],
    [{ replace: acceptors[0] }, 503, /no table that bank\/main does not use/],
    [{ replace: acceptors[0], by: "a9" }, 400, /there is no acceptor a9/],
    [{ mode: "dictatorship", acceptors }, 400, /there is no mode/],
    [{ mode: "majority", acceptors: [acceptors[0], acceptors[0]] }, 400, /named twice/],
    [{ mode: "majority", acceptors: [] }, 400, /at least one acceptor/],
    [{ quorums: { acceptors, read: { atLeast: 1 } } }, 400, /write must be an object/],
    [{ quorums: { acceptors, read: { atLeast: 0 }, write: { atLeast: 3 } } }, 400, /read must be/],
    [{ quorums: { acceptors, read: { sets: [[1]] }, write: { atLeast: 3 } } }, 400, /read.sets\[0\] must be/],
    [
      { quorums: { acceptors, read: { sets: [acceptors.slice(0, 1)] }, write: { atLeast: 2 } } },
      400,
      /read quorum \{\S+\} misses write quorum \{\S+, \S+\}/,
    ],
  ] as const) {
    const answer = await postJson(deployment.url, `${AT}/reconfigure`, request);
    expect([request, answer.status, JSON.parse(answer.text).detail]).toEqual([
      request,
      status,
      expect.stringMatching(detail),
    ]);
  }
  expect((await machine(deployment)).configuration).toMatchObject({ number: 1, acceptors });
});
