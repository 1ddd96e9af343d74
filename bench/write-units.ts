/**
 * `write-units`: what 1,000 commands of 200 B cost in DynamoDB's write units, votes and archive apart, on three tables
 * and on two, as DynamoDB Local counts them for a whole deployment; and what a deployment costs that nobody uses
 * (TARGETS: write-units).
 */
import { randomBytes, randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { freePorts } from "../cli/dev/free-port.ts";
import { connect } from "../shared/client/index.ts";
import type { MachineStatus } from "../shared/wire.ts";
import { startDynamodbLocal } from "../test/aws/dynamodb-local.ts";
import { startDeployment, type TestDeployment, until } from "../test/support/deployment.ts";
import { CapacityMeter, type Consumed } from "./capacity-meter.ts";

const COMMANDS = 1_000;
const COMMAND_BYTES = 200;
/** As many as a chunk has slots, so that whole chunks are archived, whatever a round takes. */
const ROUNDS = 8;
const ACCOUNTS = 400;
const SETTLE_MS = 4_000;
const IDLE_MS = 60_000;
const FILE = "examples/bank.ts";
const AT = "/v1/machines/bank/main";
/** What little can be packed, and what is usual: accounts with long names, 400 of them. */
const RANDOM = "random text";
const REAL = "transfers";
const ONE_REQUEST = "one request";
/** Of votes, by the number of tables: a little more than the commands' own KB; half of that when they can be packed. */
const TARGETS: Readonly<Record<number, number>> = { 3: 640, 2: 430 };
const PACKED_SHARE = 0.5;

export async function writeUnits(): Promise<void> {
  const [port = 0] = await freePorts(1);
  const emulator = await startDynamodbLocal(port);
  const meter = new CapacityMeter(port);
  process.env.AWS_ENDPOINT_URL_DYNAMODB = await meter.listen();
  try {
    const deployment = await startDeployment({ file: FILE, store: "dynamodb" });
    try {
      await measure(deployment, meter);
    } finally {
      await deployment.stop();
    }
  } finally {
    await meter.close();
    await emulator.stop();
  }
}

async function measure(deployment: TestDeployment, meter: CapacityMeter): Promise<void> {
  const rows: Row[] = [];
  // Whoever comes first starts the machine.
  await post(deployment, [deposit("x")]);
  const accounts = Array.from({ length: ACCOUNTS }, () => `customers/${randomUUID()}/accounts/current/EUR`);
  for (const tables of [3, 2]) {
    if (tables === 2) await useTwoTables(deployment);
    for (const [commands, of] of [
      [RANDOM, () => deposit(randomText(COMMAND_BYTES))],
      [REAL, () => transfer(accounts)],
    ] as const) {
      const made = Array.from({ length: COMMANDS }, of);
      rows.push(
        await row(deployment, meter, tables, `${commands}, ${ONE_REQUEST}`, () => post(deployment, made)),
      );
    }
    rows.push(await withSessions(deployment, meter, tables, accounts));
  }
  await settled(deployment, meter);
  await sleep(IDLE_MS);
  const idle = unitsOf(meter.writes);
  console.log(
    `write-units: ${COMMANDS} commands of ${COMMAND_BYTES} B, ${ROUNDS} times; DynamoDB Local's consumed capacity`,
  );
  console.table(rows);
  for (const { tables, commands, votes } of rows) {
    if (!commands.endsWith(ONE_REQUEST)) continue;
    const target = (TARGETS[tables] ?? 0) * (commands.startsWith(REAL) ? PACKED_SHARE : 1);
    console.log(verdict(`${tables} tables, ${commands}: ${votes} units of votes`, votes, target));
  }
  console.log(verdict(`idle for ${IDLE_MS / 1_000} s: ${idle} units`, idle, 0));
}

interface Row {
  readonly tables: number;
  readonly commands: string;
  readonly slots: number;
  readonly votes: number;
  readonly archive: number;
  readonly perCommand: number;
  readonly refused: number;
}

async function row(
  deployment: TestDeployment,
  meter: CapacityMeter,
  tables: number,
  commands: string,
  send: () => Promise<void>,
): Promise<Row> {
  await settled(deployment, meter);
  const before = await applied(deployment);
  for (let round = 0; round < ROUNDS; round++) await send();
  const slots = ((await applied(deployment)) - before) / ROUNDS;
  await sleep(SETTLE_MS);
  const ours = meter.writes.filter(({ key }) => key.startsWith("bank/main#"));
  const isVote = ({ key }: Consumed) => key.startsWith("bank/main#C#");
  const votes = unitsOf(ours.filter(isVote)) / ROUNDS;
  const archive = unitsOf(ours) / ROUNDS - votes;
  const refused = ours.filter(({ isRefused }) => isRefused).length;
  return { tables, commands, slots, votes, archive, perCommand: (votes + archive) / COMMANDS, refused };
}

/** Nothing is being written any more: what trails a command, or a move to another leader, is done. */
async function settled(deployment: TestDeployment, meter: CapacityMeter): Promise<void> {
  await applied(deployment);
  await until(async () => {
    meter.reset();
    await sleep(SETTLE_MS);
    return meter.writes.length === 0;
  });
}

/** The client's own way: each command in a session, as many at once as there are. */
async function withSessions(
  deployment: TestDeployment,
  meter: CapacityMeter,
  tables: number,
  accounts: readonly string[],
): Promise<Row> {
  const theseus = connect(deployment.url);
  const bank = theseus.machine("bank", "main");
  const sendAll = async () => {
    await Promise.all(Array.from({ length: COMMANDS }, () => bank.send(transfer(accounts))));
  };
  // The first time they open their sessions.
  await sendAll();
  try {
    return await row(deployment, meter, tables, `${REAL}, 1,000 sessions`, sendAll);
  } finally {
    theseus.close();
  }
}

function deposit(account: string): object {
  return padded({ type: "deposit", account, amount: 1 }, "account");
}

function transfer(accounts: readonly string[]): object {
  const [from, to] = [0, 1].map(() => accounts[Math.floor(Math.random() * ACCOUNTS)] as string);
  return padded(
    { type: "transfer", from: from ?? "", to: to ?? "", amount: 1 + Math.floor(Math.random() * 1e6) },
    "to",
  );
}

function randomText(length: number): string {
  return randomBytes(length).toString("base64").slice(0, length);
}

/** To exactly so many bytes of JSON. */
function padded(command: Readonly<Record<string, string | number>>, field: string): object {
  const missing = COMMAND_BYTES - JSON.stringify(command).length;
  const text = String(command[field]);
  return {
    ...command,
    [field]: missing < 0 ? text.slice(0, missing) : text.padEnd(text.length + missing, "/"),
  };
}

async function post({ url }: TestDeployment, commands: readonly object[]): Promise<void> {
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify(commands.map((command) => ({ command })));
  const answer = await fetch(`${url}${AT}/commands`, { method: "POST", headers, body });
  if (!answer.ok) throw new Error(await answer.text());
  await answer.text();
}

async function useTwoTables(deployment: TestDeployment): Promise<void> {
  const { acceptors } = (await status(deployment)).configuration;
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify({ mode: "primaryBackup", acceptors: acceptors.slice(0, 2) });
  const answer = await fetch(`${deployment.url}${AT}/reconfigure`, { method: "POST", headers, body });
  if (!answer.ok) throw new Error(await answer.text());
}

async function applied(deployment: TestDeployment): Promise<number> {
  return (await status(deployment)).applied;
}

async function status({ url }: TestDeployment): Promise<MachineStatus> {
  return (await (await fetch(url + AT)).json()) as MachineStatus;
}

function unitsOf(consumed: readonly Consumed[]): number {
  return consumed.reduce((sum, { units }) => sum + units, 0);
}

function verdict(what: string, units: number, target: number): string {
  return `${what} (target ≤ ${target}): ${units <= target ? "met" : "missed"}`;
}
