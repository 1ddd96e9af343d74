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
/** What little can be packed, and what is usual: accounts with long names, 400 of them. */
const RANDOM = "random";
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
  const accounts = Array.from({ length: ACCOUNTS }, () => `customers/${randomUUID()}/accounts/current/EUR`);
  for (const tables of [3, 2])
    for (const [commands, of] of [
      [RANDOM, () => deposit(randomText(COMMAND_BYTES))],
      [REAL, () => transfer(accounts)],
    ] as const) {
      const machine = await startMachine(deployment, `${commands}-${tables}`, tables);
      const send = () => post(machine, "commands", newCommands(of));
      rows.push(await row(machine, meter, tables, `${commands}, ${ONE_REQUEST}`, send));
      if (commands === REAL) rows.push(await withSessions(deployment, meter, tables, accounts));
    }
  await settled(meter);
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
  machine: Machine,
  meter: CapacityMeter,
  tables: number,
  commands: string,
  send: () => Promise<void>,
): Promise<Row> {
  await settled(meter);
  const before = (await status(machine)).applied;
  for (let round = 0; round < ROUNDS; round++) await send();
  const slots = ((await status(machine)).applied - before) / ROUNDS;
  await sleep(SETTLE_MS);
  const ours = meter.writes.filter(({ key }) => key.startsWith(`bank/${machine.id}#`));
  const isVote = ({ key }: Consumed) => key.startsWith(`bank/${machine.id}#C#`);
  const votes = unitsOf(ours.filter(isVote)) / ROUNDS;
  const archive = unitsOf(ours) / ROUNDS - votes;
  const refused = ours.filter(({ isRefused }) => isRefused).length;
  return { tables, commands, slots, votes, archive, perCommand: (votes + archive) / COMMANDS, refused };
}

/** Nothing is being written any more: what trails a command, or a move to another leader, is done. */
async function settled(meter: CapacityMeter): Promise<void> {
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
  const machine = await startMachine(deployment, `sessions-${tables}`, tables);
  const theseus = connect(deployment.url);
  const bank = theseus.machine("bank", machine.id);
  const sendAll = async () => {
    await Promise.all(Array.from({ length: COMMANDS }, () => bank.send(transfer(accounts))));
  };
  // The first time they open their sessions.
  await sendAll();
  try {
    return await row(machine, meter, tables, `${REAL}, 1,000 sessions`, sendAll);
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

function newCommands(of: () => object): readonly object[] {
  return Array.from({ length: COMMANDS }, () => ({ command: of() }));
}

interface Machine {
  readonly id: string;
  /** Its own. */
  readonly url: string;
}

/** One for each row: a vote in the place of a larger one costs as much as that one. */
async function startMachine(deployment: TestDeployment, id: string, tables: number): Promise<Machine> {
  const machine = { id, url: `${deployment.url}/v1/machines/bank/${id}` };
  await post(machine, "commands", [{ command: deposit("x") }]);
  const acceptors = (await status(machine)).configuration.acceptors.slice(0, tables);
  if (tables === 2) await post(machine, "reconfigure", { mode: "primaryBackup", acceptors });
  return machine;
}

async function post({ url }: Machine, path: string, body: unknown): Promise<void> {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(`${url}/${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  const text = await answer.text();
  if (!answer.ok) throw new Error(text);
}

async function status({ url }: Machine): Promise<MachineStatus> {
  return (await (await fetch(url)).json()) as MachineStatus;
}

function unitsOf(consumed: readonly Consumed[]): number {
  return consumed.reduce((sum, { units }) => sum + units, 0);
}

function verdict(what: string, units: number, target: number): string {
  return `${what} (target ≤ ${target}): ${units <= target ? "met" : "missed"}`;
}
