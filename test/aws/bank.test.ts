/** The bank on three tables of DynamoDB Local, led in this process: commands, a deleted table, a second leader. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { beforeAll, expect, inject, onTestFinished, test, vi } from "vitest";
import { bank } from "../../examples/bank.ts";
import { TheseusError } from "../../shared/errors.ts";
import { machineCode } from "../../shared/machine.ts";
import { HEAD, type Head } from "../../shared/protocol/acceptor.ts";
import type { ConfigurationNumber, ProcessId } from "../../shared/protocol/ballot.ts";
import type { Configuration, MachineId } from "../../shared/protocol/configuration.ts";
import { type AcceptorId, majority } from "../../shared/protocol/quorum.ts";
import type { AcceptorServer } from "../../shared/protocol/registry.ts";
import { MACHINE_GEOMETRY } from "../../shared/protocol/slot.ts";
import { found } from "../../shared/runtime/found.ts";
import { Hosted } from "../../shared/runtime/hosted.ts";
import { productionPorts } from "../../shared/runtime/ports-production.ts";
import { StorePool } from "../../shared/runtime/store-pool.ts";
import { openStore } from "../../shared/storage/open.ts";
import { deleteTable, newTable, type Table } from "./tables.ts";

const MACHINE = "bank/main" as MachineId;
const LEAD_MS_MAX = 30_000;
const DEPOSITS = 60;
const CALLERS = 6;

let tables: readonly Table[];
let servers: readonly AcceptorServer[];
let configuration: Configuration;

beforeAll(async () => {
  vi.stubEnv("AWS_ENDPOINT_URL_DYNAMODB", inject("dynamodbLocal"));
  tables = await Promise.all(Array.from({ length: 3 }, () => newTable(inject("dynamodbLocal"))));
  servers = tables.map(({ location, incarnation }, index) => {
    return { id: `a${index + 1}` as AcceptorId, kind: "dynamodb", location, incarnation };
  });
  const quorums = majority(servers.map(({ id }) => id));
  configuration = { number: 1 as ConfigurationNumber, previous: 0, quorums };
});

/** A process of its own, as far as tables can tell: its stores, its replica, its process id. */
function newProcess() {
  const stores = new StorePool(openStore);
  stores.learn(servers);
  onTestFinished(() => stores.close());
  const ports = productionPorts((acceptor) => stores.get(acceptor));
  const process = randomBytes(16).toString("hex") as ProcessId;
  const options = { machine: MACHINE, geometry: MACHINE_GEOMETRY, code: machineCode(bank), process, ports };
  return { stores, ports, hosted: new Hosted(options) };
}

/** A try that is beaten has learnt by what, and the next one is above that. */
async function lead(hosted: Hosted): Promise<void> {
  await hosted.lead(configuration, LEAD_MS_MAX).catch(() => hosted.lead(configuration, LEAD_MS_MAX));
}

/** Deposits of one cent under keys of their own, so that saying one again is harmless. */
async function deposit(hosted: Hosted, account: string, from: number, count: number): Promise<void> {
  for (let number = from; number < from + count; number++) {
    const command = { type: "deposit", account, amount: 1 };
    const [reply] = await hosted.send([{ key: `${account}-${number}`, command }]);
    expect(reply).toMatchObject({ reply: "response", response: '"OK"' });
  }
}

const balance = (hosted: Hosted, account: string) =>
  bank.queries.balance(hosted.host.replica.state as never, account);

test("commits, goes on without a deleted table, and is taken over by another process", async () => {
  const [first, second] = [newProcess(), newProcess()];
  await found(first.ports, MACHINE, configuration, MACHINE_GEOMETRY);
  await lead(first.hosted);
  const callers = Array.from({ length: CALLERS }, (_, index) => `caller-${index}`);
  const depositAll = (hosted: Hosted, from: number) =>
    Promise.all(callers.map((caller) => deposit(hosted, caller, from, DEPOSITS / CALLERS)));
  await depositAll(first.hosted, 0);

  const lost = once(first.hosted, "lost");
  const deposits = depositAll(first.hosted, DEPOSITS);
  await deleteTable(tables[0]!);
  await deposits;
  expect(await lost).toEqual(["a1"]);
  await first.hosted.read();

  const abdicated = once(first.hosted, "abdicated");
  await lead(second.hosted);
  const [late] = await first.hosted.send([{ command: { type: "deposit", account: "late", amount: 1 } }]);
  expect(late).toBeInstanceOf(TheseusError);
  await abdicated;
  await depositAll(second.hosted, DEPOSITS);
  await depositAll(second.hosted, 2 * DEPOSITS);
  await second.hosted.read();
  for (const caller of callers) expect(balance(second.hosted, caller)).toBe((3 * DEPOSITS) / CALLERS);
  expect(balance(second.hosted, "late")).toBe(0);

  const archived = await second.stores
    .get("a2" as AcceptorId)!
    .execute(MACHINE, [{ verb: "read", key: HEAD }]);
  const { covered } = (archived[0] as { item: Head }).item;
  expect(covered, "most of the log is archived").toBeGreaterThan(second.hosted.host.replica.applied - 48);
});
