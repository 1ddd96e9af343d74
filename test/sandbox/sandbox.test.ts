/**
 * `npm run test:sandbox`: a deployment in a real account, and whether it is there what emulators say it is: rights,
 * times, alarms, and what is paid for. With THESEUS_SANDBOX=emulator the same steps run without what an emulator cannot
 * show, which is named in the report. What the tests made is destroyed, whatever comes of them.
 */
import { randomBytes } from "node:crypto";
import { get } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeStack } from "../../cli/aws/stack.ts";
import { unitsOfSlot } from "../../cli/cost/units.ts";
import { DynamodbTables } from "../../shared/provision/tables-dynamodb.ts";
import { AwsDrill, bankIn, type Leader } from "../support/aws-drill.ts";
import { theseus } from "../support/cli.ts";
import { faultsOf, readJournal } from "../support/history.ts";
import { Load } from "../support/load.ts";
import { temporaryFolder } from "../support/temporary.ts";
import { Account } from "./account.ts";
import { askedBy } from "./asked.ts";
import { deployTo, type Sandbox } from "./places.ts";
import { Report } from "./report.ts";
import { EXPECTED } from "./rights.ts";

const ENTRY = "test/sandbox/machines/crashing.ts";
const NAME = `sandbox-${randomBytes(3).toString("hex")}`;
const CLIENTS = 1;
const COMMITS = 200;
const MINUTE_MS = 60_000;
/** Of steady load, so that the minutes of CloudWatch at its ends weigh little. */
const MEASURED_MS = 5 * MINUTE_MS;
/** Between the clients' commands, which have a session each, and one a slot. */
const VALUE_BYTES = 300;
const READY_POLL_MS = 100;
/** Of five functions, and of the leaders. */
const LOGS = 6;

const asked = askedBy(process.env);
const report = new Report();
let sandbox: Sandbox;
let drill: AwsDrill;
let account: Account;
let isDestroyed = false;

beforeAll(async () => {
  const started = performance.now();
  sandbox = await deployTo(asked, NAME, ENTRY);
  report.ms("cdk deploy, until the bank can be reached", performance.now() - started);
  const { url, stack, where } = sandbox;
  drill = new AwsDrill({ url, stack: stack.name, where });
  account = new Account(stack, where);
});

afterAll(async () => {
  const { stack } = sandbox ?? {};
  if (!isDestroyed && asked.kind === "real") {
    const name = stack?.name ?? `theseus-${NAME}`;
    const { stderr } = await theseus(["aws", "destroy", "--stack", name, "--delete-state", NAME, "--yes"]);
    report.figure("destroyed after a failure", stderr.trim());
  }
  await sandbox?.stop();
  report.print(
    asked.kind === "real"
      ? `account ${asked.account}, ${asked.where.region}: ${NAME}`
      : "an emulator on this machine",
  );
});

/** What an emulator cannot show is no test there, but a line of the report. */
function testInAccount(what: string, run: () => Promise<void>): void {
  if (asked.kind === "real") test(what, run);
  else report.notShown(what);
}

test("the bank answers through the gateway's function, and operators get past it by their tokens", () =>
  drill.answers());

test("a call that is not signed is refused by both functions", async () => {
  for (const url of [sandbox.stack.gateway, sandbox.stack.registry])
    expect(await unsigned(new URL("/v1/status", url))).toBe(403);
});

testInAccount("each role may do what its job is, and nothing of the others'", async () => {
  const { acceptors } = await drill.status();
  const [, table = ""] = acceptors[0]?.location.split("/") ?? [];
  const arns = {
    acceptor: account.arnOf(table),
    directory: account.arnOf(`theseus-${NAME}-directory`),
  };
  const wrong: unknown[] = [];
  for (const { table: kind, allowed, ...right } of EXPECTED)
    if ((await account.isAllowed({ ...right, table: arns[kind] })) !== allowed)
      wrong.push({ ...right, kind, allowed });
  expect(wrong).toEqual([]);
  report.figure("rights that IAM was asked about", String(EXPECTED.length));
});

testInAccount("who may only send can send, and not operate", async () => {
  const environment = await account.as(/^Sender[0-9A-F]{8}$/);
  const stack = ["--stack", sandbox.stack.name, "--yes"];
  const deposit = JSON.stringify({ type: "deposit", account: "sender", amount: 1 });
  const sent = await theseus(["send", "bank/sender", deposit, ...stack], { environment });
  expect(sent, sent.stderr).toMatchObject({ code: 0, stdout: "OK\n" });
  const drained = await theseus(["drain", "leader-1", ...stack], { environment });
  expect(drained.code).not.toBe(0);
  expect(drained.stderr).toContain("lambda:InvokeFunctionUrl");
});

test("a table can be used soon after it was made", async () => {
  const { where } = sandbox;
  const tables = new DynamodbTables({
    ...{ deployment: NAME, regions: [where.region], isProtected: false, place: where.place },
    warn: () => {},
  });
  const started = performance.now();
  const table = await tables.create([]);
  while (!(await tables.isReady(table))) await sleep(READY_POLL_MS);
  report.ms("CreateTable, until the table is active", performance.now() - started);
  await tables.delete(table);
  await tables.close();
});

test("under load a table is deleted, a leader crashes, and a version is deployed: nothing is lost", async () => {
  const load = new Load(sandbox.url, CLIENTS, temporaryFolder());
  await drill.progress(load);
  const table = await drill.losesTable(load);
  report.ms("a table is deleted: a spare has its place after", table.repaired);
  report.ms("  and the next spare is there after", table.replaced);
  const leader = await drill.losesLeader(load, crash);
  report.ms("a leader crashes: the longest time without an answer", leader.failover);
  report.ms("  and another leader lives after", leader.replaced);
  const started = performance.now();
  await drill.deploysVersion(load, ENTRY, (entry) => sandbox.deploy(entry));
  report.ms("a version is deployed, until only new leaders live", performance.now() - started);
  const operations = await load.stop();
  expect(faultsOf(operations, await readJournal(sandbox.url))).toEqual([]);
  const committed = operations.filter(({ ok }) => ok).length;
  expect(committed).toBeGreaterThan(COMMITS);
  report.figure("operations meanwhile, all in one linearizable history", String(committed));
});

testInAccount("write units are those of theseus cost", async () => {
  const before = bankIn(await drill.status());
  const from = new Date();
  const load = new Load(sandbox.url, CLIENTS, temporaryFolder());
  await sleep(MEASURED_MS);
  await load.stop();
  const to = new Date(Date.now() + MINUTE_MS);
  const after = await drill.status();
  const slots = (bankIn(after)?.applied ?? 0) - (before?.applied ?? 0);
  const used = new Set(bankIn(after)?.configuration.acceptors);
  const tables = after.acceptors
    .filter(({ id }) => used.has(id))
    .map(({ location }) => String(location.split("/")[1]));
  const units = await account.writeUnits(tables, from, to);
  const { vote, archive, truncation } = unitsOfSlot(VALUE_BYTES);
  const measured = units.reduce((sum, each) => sum + each, 0) / units.length / slots;
  const computed = vote + archive + truncation;
  report.figure("slots of the bank, one after the other", String(slots));
  report.figure("write units a slot and table, as CloudWatch has it", measured.toFixed(2));
  report.figure("  as theseus cost has it, without snapshots", computed.toFixed(2));
  expect(measured / computed).toBeGreaterThan(0.5);
  expect(measured / computed).toBeLessThan(2);
});

testInAccount("functions say how long they take to start", async () => {
  for (const job of ["Registry", "Gateway", "Bootstrap", "ProvisioningProvisioner", "ProvisioningSweeper"]) {
    const starts = (await account.coldStarts(job)).toSorted((one, other) => one - other);
    expect(starts.length, job).toBeGreaterThan(0);
    report.ms(`cold start of ${job}, median of ${starts.length}`, starts[starts.length >> 1] as number);
  }
});

test("alarms are there, for each of what may go wrong", async () => {
  const names = ["no-leader", "unavailable", "quorum-at-risk", "dead-letters", "replacement-loop"];
  names.push("divergence", "sweeper-fails");
  // It is a query over all tables, which an emulator does not know.
  if (asked.kind === "real") names.push("throttling");
  expect([...(await account.alarms()).keys()].toSorted()).toEqual(names.toSorted());
});

testInAccount("the alarm for no leader fires and clears", async () => {
  await account.wantLeaders(0);
  report.ms("no leader any more: the alarm after", await account.untilAlarm("no-leader", "ALARM"));
  await account.wantLeaders(2);
  report.ms("leaders again: it is off after", await account.untilAlarm("no-leader", "OK"));
});

test("logs are there", async () => {
  expect(await account.logGroups()).toHaveLength(LOGS);
});

test("what is destroyed leaves nothing", async () => {
  const started = performance.now();
  await drill.isDestroyed();
  isDestroyed = true;
  report.ms("theseus aws destroy", performance.now() - started);
  expect(await describeStack(sandbox.stack.name, sandbox.where)).toBeUndefined();
});

test("no alarm and no log is left", async () => {
  expect([...(await account.alarms())]).toEqual([]);
  expect(await account.logGroups()).toEqual([]);
});

/** The status; an emulator is told by the Host header which function is meant. */
async function unsigned(url: URL): Promise<number | undefined> {
  const { place } = sandbox.where;
  if ("aws" in place) return (await fetch(url)).status;
  const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
  get(new URL(url.pathname, place.endpoint), { headers: { host: url.host } }, (answer) => {
    answer.resume();
    resolve(answer.statusCode);
  }).on("error", reject);
  return promise;
}

/** Whoever asks hears nothing, or is answered by another one. */
async function crash({ address, pid }: Leader): Promise<void> {
  const { hostname } = new URL(address);
  const answer = await fetch(`${sandbox.url}/v1/machines/bank/main/queries/crash`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ args: { host: hostname, pid } }),
  }).catch(() => undefined);
  await answer?.text();
}
