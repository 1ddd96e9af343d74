/**
 * The very same app that `cdk deploy` puts into an account, deployed to MiniStack by one command, and what is to hold of
 * it there: under load a table, a leader process and a version go, and nothing that was acknowledged does.
 */
import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { DeleteTableCommand, ListTablesCommand } from "@aws-sdk/client-dynamodb";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { deploy } from "../../cli/aws/cdk.ts";
import { dynamodbClient } from "../../shared/storage/dynamodb.ts";
import type { DeploymentStatus } from "../../shared/wire.ts";
import { type AwsLocal, startAwsLocal } from "../support/aws-local.ts";
import { theseus } from "../support/cli.ts";
import { until } from "../support/deployment.ts";
import { faultsOf, JOURNALED_BANK, readJournal } from "../support/history.ts";
import { Load } from "../support/load.ts";
import { temporaryFolder } from "../support/temporary.ts";

const NAME = "drill";
const STACK = `theseus-${NAME}`;
const MINUTES_MS = 600_000;
const CLIENTS = 1;
/** Commits that must go on after something was broken, before the drill goes on. */
const PROGRESS = 50;
/** Each look asks the registry, too. */
const POLL_MS = 1_000;

let deployment: AwsLocal;

beforeAll(async () => {
  deployment = await startAwsLocal(JOURNALED_BANK, NAME);
  for (const name of ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB"])
    vi.stubEnv(name, deployment.ready.emulator);
}, MINUTES_MS);

afterAll(async () => {
  await deployment?.stop();
}, MINUTES_MS);

async function tables(): Promise<readonly string[]> {
  const client = dynamodbClient("us-east-1", { endpoint: deployment.ready.emulator });
  try {
    const { TableNames = [] } = await client.send(new ListTablesCommand());
    return TableNames.filter((name) => name.startsWith("theseus-"));
  } finally {
    client.destroy();
  }
}

async function deleteTable(location: string): Promise<void> {
  const client = dynamodbClient("us-east-1", { endpoint: deployment.ready.emulator });
  try {
    await client.send(new DeleteTableCommand({ TableName: location.split("/")[1] }));
  } finally {
    client.destroy();
  }
}

async function progress(load: Load): Promise<void> {
  const before = load.acknowledged();
  await until(() => load.acknowledged() >= before + PROGRESS);
}

const bankIn = ({ machines }: DeploymentStatus) =>
  machines.find(({ machine, id }) => machine === "bank" && id === "main");
const liveIn = ({ leaders }: DeploymentStatus) =>
  leaders.filter(({ state }) => state === "live").map(({ id }) => id);

/** While something is being replaced there may be no answer. */
async function statusThat(holds: (status: DeploymentStatus) => boolean): Promise<DeploymentStatus> {
  for (;;) {
    const status = await deployment.status().catch(() => undefined);
    if (status !== undefined && holds(status)) return status;
    await sleep(POLL_MS);
  }
}

test("the bank answers through the gateway's function, and the command line by the stack's name", async () => {
  const deposit = JSON.stringify({ type: "deposit", account: "treasury", amount: 1 });
  const stack = ["--stack", STACK];
  const sent = await theseus(["send", "bank/first", deposit, ...stack]);
  expect(sent).toMatchObject({ code: 0, stdout: "OK\n" });
  const asked = await theseus(["query", "bank/first", "balance", "treasury", ...stack]);
  expect(asked).toMatchObject({ code: 0, stdout: "1\n" });
  const drained = await theseus(["drain", "leader-99", ...stack]);
  expect(drained.stderr, "an operator's call gets past the gateway by its token").toContain("leader-99");
  const { stdout } = await theseus(["status", "--json", ...stack]);
  expect(liveIn(JSON.parse(stdout))).toHaveLength(2);
  const missing = await theseus(["status", "--stack", "theseus-other"]);
  expect(missing).toMatchObject({ code: 1 });
  expect(missing.stderr).toContain("there is no stack theseus-other in us-east-1");
});

test(
  "under load a table is deleted, a leader process is killed, and a version is deployed: nothing is lost",
  async () => {
    const load = new Load(deployment.ready.url, CLIENTS, temporaryFolder());
    await progress(load);

    const before = await statusThat((status) => bankIn(status)?.leader !== undefined);
    const lost = bankIn(before)?.configuration.acceptors[0] as string;
    const record = before.acceptors.find(({ id }) => id === lost);
    await deleteTable(record?.location as string);
    const known = new Set(before.acceptors.map(({ id }) => id));
    // The spare has its place; the next spare was made by the provisioner's function, and the lost one is let go.
    await statusThat((status) => {
      const acceptors = bankIn(status)?.configuration.acceptors ?? [];
      const isRepaired = acceptors.length === 3 && !acceptors.includes(lost);
      return isRepaired && status.acceptors.some(({ id, role }) => !known.has(id) && role === "spare");
    });
    await progress(load);

    const leading = await statusThat((status) => typeof bankIn(status)?.leader?.id === "string");
    const killed = leading.leaders.find(({ id }) => id === bankIn(leading)?.leader?.id);
    process.kill(killed?.pid as number, "SIGKILL");
    await progress(load);
    const replaced = await statusThat((status) => {
      const live = liveIn(status);
      return live.length === 2 && !live.includes(killed?.id as string);
    });

    const entry = join(temporaryFolder(), "next.ts");
    writeFileSync(
      entry,
      `export { bank } from ${JSON.stringify(resolve(JOURNALED_BANK))};\nexport const next = 2;\n`,
    );
    const { emulator } = deployment.ready;
    const said: string[] = [];
    const home = temporaryFolder();
    await deploy({ name: NAME, entry, sandbox: "true" }, { emulator, home, said: (line) => said.push(line) });
    const old = liveIn(replaced);
    await statusThat((status) => {
      const live = liveIn(status);
      return live.length === 2 && !live.some((id) => old.includes(id));
    });
    await progress(load);

    const operations = await load.stop();
    expect(faultsOf(operations, await readJournal(deployment.ready.url))).toEqual([]);
    expect(operations.filter(({ ok }) => ok).length).toBeGreaterThan(4 * PROGRESS);
  },
  MINUTES_MS,
);

test(
  "a sandbox that is destroyed leaves no table, and everything that was started ends",
  async () => {
    expect((await tables()).length).toBeGreaterThan(4);
    const destroyed = await theseus(["aws", "destroy", "--stack", STACK, "--json"]);
    expect(destroyed, destroyed.stderr).toMatchObject({ code: 0 });
    expect(JSON.parse(destroyed.stdout)).toMatchObject({ kept: [] });
    expect(await tables()).toEqual([]);
    expect(await deployment.stop()).toBe(0);
  },
  MINUTES_MS,
);
