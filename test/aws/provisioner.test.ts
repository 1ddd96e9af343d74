/** Provisioner and sweeper against the registry's own rules, on DynamoDB and SQS as MiniStack has them, and what goes wrong there. */
import { randomBytes } from "node:crypto";
import { expect, inject, onTestFinished, test } from "vitest";
import type { ConfigurationNumber, ProcessId } from "../../shared/protocol/ballot.ts";
import type { MachineId } from "../../shared/protocol/configuration.ts";
import { type AcceptorId, majority } from "../../shared/protocol/quorum.ts";
import type { RegistryCommand } from "../../shared/protocol/registry.ts";
import type { Launcher } from "../../shared/provision/launcher.ts";
import type { Queue } from "../../shared/provision/queue.ts";
import { DynamodbTables, type DynamodbTablesOptions } from "../../shared/provision/tables-dynamodb.ts";
import { serveQueue } from "../../shared/runtime/provisioner/loops.ts";
import { send } from "../../shared/runtime/provisioner/outbox-relay.ts";
import { Provisioner } from "../../shared/runtime/provisioner/provisioner.ts";
import { sweep } from "../../shared/runtime/provisioner/sweeper.ts";
import type { RegistryClient } from "../../shared/runtime/registry/registry-client.ts";
import { until } from "../support/deployment.ts";
import { answering, errorAnswer, type Fault, FaultyDynamodb, faults } from "../support/faulty-dynamodb.ts";
import { RegistryInMemory } from "../support/registry-in-memory.ts";
import { newQueues, openQueue } from "./queues.ts";
import { newService } from "./services.ts";
import { REGION } from "./tables.ts";

const REGIONS = ["eu-central-1", "eu-west-1", "eu-north-1"] as const;
const OVERRIDE = { operator: "ada", reason: "no leaders here" };
/** Clocks are not the same everywhere. */
const ANY_AGE_MS = -5_000;
const launcher: Launcher = { start: fail, stop: fail, list: async () => [] };

function fail(): never {
  throw new Error("killed");
}

/** A deployment's registry and queue, and DynamoDB behind faults. */
async function deploy({ regions = REGIONS as readonly string[], isProtected = true } = {}) {
  const registry = new RegistryInMemory();
  const proxy = await FaultyDynamodb.before(inject("ministack")).listen();
  onTestFinished(() => proxy.close());
  const warned: string[] = [];
  const options: DynamodbTablesOptions = {
    deployment: `t${randomBytes(6).toString("hex")}`,
    regions,
    isProtected,
    place: { endpoint: proxy.url },
    warn: (sentence) => warned.push(sentence),
  };
  const { url, deadLetters } = await newQueues({ visibilityMs: 1_000, receivesMax: 5 });
  const queue = openQueue(url);
  const tables = new DynamodbTables(options);
  onTestFinished(() => tables.close());
  const reported: string[] = [];
  const provisioner = (client: Pick<RegistryClient, "command" | "provisioning"> = registry) =>
    new Provisioner({ registry: client as RegistryClient, tables, launcher, queue, carriedOut: () => {} });
  return {
    ...{ registry, proxy, tables, queue, warned, reported, deadLetters, provisioner },
    /** As many processes as are wanted, all fed by the one queue, until the test is over. */
    serve(by = provisioner()) {
      const stopping = new AbortController();
      const report = (error: unknown) => reported.push((error as Error).message);
      const handle = (body: string) => by.handle(body);
      const serving = serveQueue(queue, handle, report, stopping.signal);
      const stop = async () => {
        stopping.abort();
        await serving;
      };
      onTestFinished(stop);
      return stop;
    },
    relay: () => send({ queue, drainMs: 0 }, registry.state.outbox.values()),
    async sweep() {
      const swept: string[] = [];
      const ports = { registry, tables, queue: nowhere, launcher, drainMs: 0, orphanAgeMs: ANY_AGE_MS };
      const orphan = (id: string) => void swept.push(id);
      await sweep({ ...ports, events: { orphan, lostSpare: () => {}, endedLeader: () => {} } });
      return swept;
    },
    existing: async () => (await tables.list(new Set())).map(({ id }) => id).sort(),
    recorded: () => [...registry.state.acceptors.keys()].sort(),
  };
}

/** For a sweep that is to send nothing. */
const nowhere: Queue = {
  send: async () => {},
  receive: async () => [],
  delete: async () => {},
  close: async () => {},
};

/** The emulator's tables are there at once, and AWS's are not. */
const creating: Fault = async ({ execute }) => {
  const { status, body } = await execute();
  const answer = JSON.parse(body);
  return {
    status,
    body: JSON.stringify({ ...answer, Table: { ...answer.Table, TableStatus: "CREATING" } }),
  };
};

test("the first tables and the spare are made, spread over the Regions, however often they are asked for", async () => {
  const { registry, relay, serve, existing, recorded, proxy, reported } = await deploy();
  await registry.command({ type: "configure", acceptors: 3, spares: 1 });
  proxy.fault("DescribeTable", creating, creating, creating);
  for (let copy = 0; copy < 2; copy++) await relay();
  for (let process = 0; process < 2; process++) serve();
  await until(() => registry.state.outbox.size === 0);
  await until(async () => (await existing()).length === 4);
  expect(await existing()).toEqual(recorded());
  // On a slow machine a message is received again before it is deleted, and its older receipt deletes nothing.
  expect(reported.filter((each) => !each.startsWith("a message cannot be deleted"))).toEqual([]);
  const places = [...registry.state.acceptors.values()].map(({ location }) => location.split("/")[0]);
  expect(new Set(places)).toEqual(new Set(REGIONS));
});

test("two provisioners race for one table: the registry has one, and the other one goes", async () => {
  const { registry, provisioner, existing, recorded } = await deploy();
  const message = JSON.stringify({ format: 1, request: "o1" });
  await registry.command({ type: "configure", spares: 1 });
  await Promise.all([provisioner(), provisioner()].map((each) => each.handle(message)));
  expect(recorded()).toHaveLength(1);
  expect(await existing()).toEqual(recorded());
});

test("a provisioner that dies between making a table and reporting it leaves one that is swept away", async () => {
  const { registry, relay, serve, provisioner, sweep, existing, recorded, reported } = await deploy();
  let isDead = false;
  const dying = {
    provisioning: () => registry.provisioning(),
    command: (command: RegistryCommand) => {
      isDead ||= command.type === "provisioned";
      return isDead ? fail() : registry.command(command);
    },
  };
  await registry.command({ type: "configure", spares: 1 });
  await relay();
  const stop = serve(provisioner(dying));
  await until(() => isDead);
  await stop();
  const [orphan] = await existing();
  // Another one receives the message, when it is nobody's any more.
  serve();
  await until(() => registry.state.outbox.size === 0);
  expect((await existing()).length).toBe(1 + reported.length);
  expect(recorded()).not.toContain(orphan);
  expect(await sweep()).toContain(orphan);
  expect(await existing()).toEqual(recorded());
});

test("a table that was made though nobody heard so is swept away", async () => {
  const { registry, provisioner, sweep, existing, recorded, proxy } = await deploy({ regions: [REGION] });
  await registry.command({ type: "configure", spares: 1 });
  const message = JSON.stringify({ format: 1, request: "o1" });
  proxy.fault("CreateTable", faults.loseReply);
  await expect(provisioner().handle(message)).rejects.toThrow("DynamoDB does not answer there");
  await provisioner().handle(message);
  expect((await existing()).length).toBe(2);
  expect((await sweep()).length).toBe(1);
  expect(await existing()).toEqual(recorded());
});

test("a retired table is deleted, though it is protected and busy, and no other one", async () => {
  const { registry, relay, serve, existing, recorded, proxy } = await deploy();
  await registry.command({ type: "configure", acceptors: 3, spares: 1 });
  await relay();
  serve();
  await until(() => registry.state.outbox.size === 0);
  const machine = "bank/main" as MachineId;
  await registry.command({ type: "registerMachine", machine, acceptors: 3 });
  const complete = (number: number) =>
    registry.command({
      type: "complete",
      machine,
      configuration: number as ConfigurationNumber,
      override: OVERRIDE,
    });
  await complete(1);
  const all = recorded();
  const { configuration } = await registry.lookup(machine);
  const [gone, ...kept] = configuration.quorums.acceptors as [AcceptorId, ...AcceptorId[]];
  const spare = all.find((id) => !configuration.quorums.acceptors.includes(id)) as AcceptorId;
  const quorums = majority([...kept, spare]);
  await registry.command({ type: "propose", machine, quorums, nonce: "n", reason: OVERRIDE });
  await complete(2);
  const busy = answering(errorAnswer("ResourceInUseException"));
  proxy.fault("DeleteTable", busy, busy);
  await relay();
  await until(() => registry.state.outbox.size === 0);
  expect(await existing()).toEqual(recorded());
  expect([recorded().length, recorded().includes(gone)]).toEqual([4, false]);
});

const TROUBLES: readonly (readonly [string, Fault, RegExp])[] = [
  [
    "a quota that is used up",
    answering(errorAnswer("LimitExceededException")),
    /^a table cannot be made: a quota of the account is used up in eu-central-1: remove what nobody needs, or have it raised in Service Quotas \(DynamoDB in eu-central-1: LimitExceededException/,
  ],
  [
    "a right that is missing",
    answering(errorAnswer("AccessDeniedException")),
    /^a table cannot be made: the role may not do dynamodb:CreateTable there: put it into the role's policy \(DynamoDB in eu-central-1: AccessDenied/,
  ],
  [
    "a Region that does not answer",
    faults.hang,
    /^a table cannot be made: DynamoDB does not answer there: .*see the health of eu-central-1.*\(DynamoDB in eu-central-1: TimeoutError/,
  ],
  [
    "a Region in trouble",
    answering(errorAnswer("InternalServerError", 500)),
    /^a table cannot be made: DynamoDB does not answer there: it is tried again/,
  ],
];

test.each(TROUBLES)(
  "%s is said in a sentence, and the request stays until it is carried out",
  async (...row) => {
    const [, fault, sentence] = row;
    const { registry, relay, serve, existing, recorded, proxy, reported, deadLetters } = await deploy({
      regions: [REGION],
    });
    await registry.command({ type: "configure", spares: 1 });
    proxy.fault("CreateTable", fault, fault);
    await relay();
    serve();
    await until(() => registry.state.outbox.size === 0);
    expect(reported).toEqual([expect.stringMatching(sentence), expect.stringMatching(sentence)]);
    expect(await deadLetters()).toEqual([]);
    await until(async () => JSON.stringify(await existing()) === JSON.stringify(recorded()));
  },
);

test.each(TROUBLES)("with another Region %s holds nothing up, and is said", async (_, fault, sentence) => {
  const { registry, provisioner, existing, recorded, proxy, warned } = await deploy();
  await registry.command({ type: "configure", spares: 1 });
  proxy.fault("CreateTable", fault);
  await provisioner().handle(JSON.stringify({ format: 1, request: "o1" }));
  expect([...registry.state.acceptors.values()].map(({ location }) => location.split("/")[0])).toEqual([
    "eu-west-1",
  ]);
  expect(await existing()).toEqual(recorded());
  expect(warned).toEqual([expect.stringMatching(sentence)]);
  expect(warned[0]).toMatch(/; a table was made in eu-west-1 instead$/);
});

test("leaders of a service: one more is counted, one that is retired is stopped, one that ended is found", async () => {
  const { registry, tables, queue } = await deploy();
  const { launcher, desired } = await newService(2);
  const provisioner = new Provisioner({ registry, tables, launcher, queue, carriedOut: () => {} });
  const handleAll = async () => {
    for (const request of registry.state.outbox.keys())
      await provisioner.handle(JSON.stringify({ format: 1, request }));
  };
  /** As each task does when it starts. */
  const registerAll = async () => {
    for (const task of await launcher.list()) {
      const { leader: id } = (await registry.command({ type: "claimLeader", task })) as { leader: string };
      const process = "a".repeat(32) as ProcessId;
      const leader = { id, process, address: "http://x", publicKey: id, task };
      if (!registry.state.leaders.has(id)) await registry.command({ type: "registerLeader", leader });
    }
  };
  const live = () =>
    [...registry.state.leaders.values()].flatMap(({ id, state }) => (state === "live" ? [id] : []));
  await registry.command({ type: "configure", spares: 0 });
  await registerAll();
  await registry.command({ type: "startLeader", nonce: "one more" });
  await handleAll();
  expect(await desired()).toBe(3);
  await registerAll();
  expect([live(), registry.state.outbox.size]).toEqual([["leader-1", "leader-2", "leader-3"], 0]);

  await registry.command({ type: "retireLeader", leader: "leader-1" });
  await handleAll();
  expect([(await launcher.list()).length, registry.state.outbox.size]).toEqual([2, 0]);
  const ended: string[] = [];
  const events = { orphan: fail, lostSpare: fail, endedLeader: (id: string) => void ended.push(id) };
  const sweepNow = () =>
    sweep({ registry, tables, queue, launcher, drainMs: 0, orphanAgeMs: ANY_AGE_MS, events });
  await sweepNow();
  expect(ended).toEqual([]);
  // Behind everybody's back.
  const task = registry.state.leaders.get("leader-2")?.task as string;
  await launcher.stop({ id: "leader-2", task });
  await sweepNow();
  expect([ended, live()]).toEqual([["leader-2"], ["leader-3"]]);
});

test("what can never be carried out is a dead letter, and the sweeper asks again", async () => {
  const { registry, relay, serve, proxy, deadLetters, queue, tables, reported } = await deploy({
    regions: [REGION],
  });
  await registry.command({ type: "configure", spares: 1 });
  const denied = answering(errorAnswer("AccessDeniedException"));
  proxy.fault("CreateTable", denied, denied, denied, denied, denied);
  await relay();
  serve();
  await until(async () => (await deadLetters()).length === 1);
  expect([registry.state.outbox.size, reported.length]).toEqual([1, 5]);
  const events = { orphan: () => {}, lostSpare: () => {}, endedLeader: () => {} };
  await sweep({ registry, tables, queue, launcher, drainMs: 0, orphanAgeMs: 60_000, events });
  await until(() => registry.state.outbox.size === 0);
});
