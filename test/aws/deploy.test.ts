/**
 * The very same app that `cdk deploy` puts into an account, deployed to MiniStack by one command, and what is to hold of
 * it there: under load a table, a leader process and a version go, and nothing that was acknowledged does.
 */
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { deploy } from "../../cli/aws/cdk.ts";
import { AwsDrill } from "../support/aws-drill.ts";
import { type AwsLocal, startAwsLocal } from "../support/aws-local.ts";
import { faultsOf, JOURNALED_BANK, readJournal } from "../support/history.ts";
import { Load } from "../support/load.ts";
import { temporaryFolder } from "../support/temporary.ts";

const NAME = "drill";
const STACK = `theseus-${NAME}`;
const MINUTES_MS = 600_000;
const CLIENTS = 1;
const COMMITS = 200;

let deployment: AwsLocal;
let drill: AwsDrill;

beforeAll(async () => {
  deployment = await startAwsLocal(JOURNALED_BANK, NAME);
  const { emulator, url, region } = deployment.ready;
  for (const name of ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB"]) vi.stubEnv(name, emulator);
  drill = new AwsDrill({ url, stack: STACK, where: { place: { endpoint: emulator }, region } });
}, MINUTES_MS);

afterAll(async () => {
  await deployment?.stop();
}, MINUTES_MS);

test("the bank answers through the gateway's function, and the command line by the stack's name", () =>
  drill.answers());

test(
  "under load a table is deleted, a leader process is killed, and a version is deployed: nothing is lost",
  async () => {
    const { url, emulator } = deployment.ready;
    const load = new Load(url, CLIENTS, temporaryFolder());
    await drill.progress(load);
    await drill.losesTable(load);
    await drill.losesLeader(load, async ({ pid }) => {
      process.kill(pid as number, "SIGKILL");
    });
    await drill.deploysVersion(load, JOURNALED_BANK, (entry) =>
      deploy({ name: NAME, entry, sandbox: "true" }, { emulator, home: temporaryFolder(), said: () => {} }),
    );
    const operations = await load.stop();
    expect(faultsOf(operations, await readJournal(url))).toEqual([]);
    expect(operations.filter(({ ok }) => ok).length).toBeGreaterThan(COMMITS);
  },
  MINUTES_MS,
);

test(
  "a sandbox that is destroyed leaves no table, and everything that was started ends",
  async () => {
    await drill.isDestroyed();
    expect(await deployment.stop()).toBe(0);
  },
  MINUTES_MS,
);
