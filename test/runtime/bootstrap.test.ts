/** A deployment's registry is founded once, whoever tries and dies; and what its function does in one pass of maintenance. */
import { pino } from "pino";
import { beforeEach, describe, expect, test } from "vitest";
import { outstanding } from "../../shared/protocol/outbox.ts";
import type { AcceptorId } from "../../shared/protocol/quorum.ts";
import type { AcceptorServer } from "../../shared/protocol/registry.ts";
import { Directory } from "../../shared/runtime/directory.ts";
import { bootstrapRegistry } from "../../shared/runtime/registry/bootstrap.ts";
import { Maintenance } from "../../shared/runtime/registry/maintenance.ts";
import { registryParts } from "../../shared/runtime/registry/registry-parts.ts";
import type { RegistryRepairer } from "../../shared/runtime/repair/registry-repairer.ts";
import type { AcceptorStore } from "../../shared/storage/store.ts";
import { MemoryDocuments } from "../support/memory-documents.ts";
import { MemoryTables } from "../support/memory-tables.ts";

const ADDRESS = "https://registry.lambda-url.us-east-1.on.aws/";

let documents: MemoryDocuments;
let tables: MemoryTables;

beforeEach(() => {
  documents = new MemoryDocuments("us-east-1/directory");
  tables = new MemoryTables();
});

const directory = () => new Directory([documents]);
const bootstrap = async (more: Partial<Parameters<typeof bootstrapRegistry>[0]> = {}) =>
  bootstrapRegistry({
    ...{ directory: directory(), deployment: await directory().makeDeployment(), address: ADDRESS },
    ...{ tables, others: async () => [], open: tables.open, ...more },
  });
const pointed = async () => (await directory().registry()).acceptors.map(({ id }) => id).sort();

/** What a function puts together when it starts. */
async function handler(slots = 1_000, repairing?: Pick<RegistryRepairer, "check" | "isUndecided">) {
  const { first } = await directory().registry();
  const { service, ports, ...parts } = registryParts({
    first,
    open: tables.open,
    pointer: () => directory().registry(),
    movePointer: (to) => directory().move(to),
    executed: () => {},
    log: pino({ level: "silent" }),
  });
  const told: string[] = [];
  const events = {
    begun: () => told.push("begun"),
    taken: () => told.push("taken"),
    failed: (_: unknown, error: unknown) => told.push(String(error)),
  };
  const repairer = repairing ?? parts.repairer;
  return { service, told, maintenance: new Maintenance({ service, ports, repairer, slots, events }) };
}

describe("a bootstrap", () => {
  test("founds a registry, and said again finds it", async () => {
    const { deployment, address } = await bootstrap();
    expect(address).toBe(ADDRESS);
    expect(await pointed()).toEqual([...tables.stores.keys()].sort());
    const again = await bootstrap({ address: "https://other.lambda-url.us-east-1.on.aws/" });
    expect([again.deployment, tables.stores.size]).toEqual([deployment, 3]);
    expect((await directory().registry()).address).toBe("https://other.lambda-url.us-east-1.on.aws/");
    const { service } = await handler();
    expect(await service.command({ type: "configure", spares: 2 })).toMatchObject({ refused: false });
  });

  test("of two at once is one, and the loser's tables are removed", async () => {
    const [one, other] = await Promise.all([bootstrap(), bootstrap()]);
    expect(one.deployment).toBe(other.deployment);
    expect([...tables.stores.keys()].sort()).toEqual(await pointed());
  });

  test("that cannot found removes what it made", async () => {
    const broken = (server: AcceptorServer): AcceptorStore => {
      tables.stores.get(server.id)?.lose();
      return tables.open(server);
    };
    await expect(bootstrap({ open: broken })).rejects.toThrow("cannot be started");
    expect(tables.stores.size).toBe(0);
    expect(await directory().find()).toBeUndefined();
  });

  test("that does not know whether the directory took it deletes nothing", async () => {
    class Forgetful extends MemoryDocuments {
      override async write(...args: Parameters<MemoryDocuments["write"]>): Promise<boolean> {
        await super.write(...args);
        throw new Error("no answer");
      }
    }
    const forgetful = new Forgetful("us-east-1/directory");
    await expect(bootstrap({ directory: new Directory([forgetful]) })).rejects.toThrow("no answer");
    documents = forgetful;
    expect(await pointed(), "it did").toEqual([...tables.stores.keys()].sort());
  });

  test("that was killed half-way is followed by one that begins anew; what it left is found by its tag", async () => {
    const killed = {
      ...tables,
      create: tables.create.bind(tables),
      isReady: () => new Promise<never>(() => {}),
    };
    void bootstrap({ tables: killed as unknown as MemoryTables });
    await expect.poll(() => tables.stores.size).toBe(3);
    await bootstrap();
    const left = await tables.list(new Set(await pointed()));
    expect(left).toHaveLength(3);
  });
});

test("a registry is not founded beside the tables of another one, whose directory was lost", async () => {
  const stranger = { ...(await new MemoryTables().create()), ageMs: 0 };
  await expect(bootstrap({ others: async () => [stranger] })).rejects.toThrow(stranger.location);
  expect([tables.stores.size, await directory().find()]).toEqual([0, undefined]);
  await bootstrap();
  await expect(bootstrap({ others: async () => [stranger] })).resolves.toBeDefined();
});

describe("maintenance", () => {
  beforeEach(async () => {
    await bootstrap();
  });

  test("puts the registry's first tables on record, so that no sweep takes them for orphans", async () => {
    const { service, maintenance } = await handler();
    await maintenance.pass();
    const own = await service.read(({ acceptors }) => [...acceptors.values()]);
    expect(own.map(({ id, state }) => [id, state]).sort()).toEqual(
      (await pointed()).map((id) => [id, "own"]),
    );
    const [id] = (await pointed()) as [AcceptorId];
    expect(await service.command({ type: "disown", acceptor: id })).toMatchObject({
      response: { disowned: false },
    });
  });

  test("replaces a table of the registry that is gone by a spare", async () => {
    const { service, maintenance } = await handler();
    const { response } = await service.command({ type: "configure", spares: 1 });
    expect(response).toMatchObject({ settings: { spares: 1 } });
    const [order] = await service.read((state) => outstanding(state, "createAcceptor"));
    const acceptor = await tables.create();
    await service.command({ type: "provisioned", request: order?.request ?? "", acceptor });
    await maintenance.pass();
    const [lost] = (await pointed()) as [AcceptorId];
    await tables.delete({ id: lost });
    await maintenance.pass();
    expect(await pointed()).toContain(acceptor.id);
    expect(await pointed()).not.toContain(lost);
  });

  test("takes a snapshot when one is due, and only then", async () => {
    const { service, told, maintenance } = await handler(64);
    await maintenance.pass();
    expect(told).toEqual([]);
    for (let spares = 0; spares < 80; spares++) await service.command({ type: "configure", spares: 1 });
    await maintenance.pass();
    expect(told).toEqual(["begun", "taken"]);
    await maintenance.pass();
    expect(told).toHaveLength(2);
    // A process that starts from the snapshot has what there was.
    const { service: cold } = await handler();
    expect(await cold.read(({ settings }) => settings.spares)).toBe(1);
    expect(cold.hosted.host.truncatedHead?.snapshotSlot).toBeGreaterThan(60);
  });

  test("trims the log while there is nothing to repair a table with, and says so", async () => {
    const check = () => Promise.reject(new Error("there is no spare table"));
    const { service, told, maintenance } = await handler(64, { check, isUndecided: false });
    for (let count = 0; count < 80; count++) await service.command({ type: "configure", spares: 1 });
    await expect(maintenance.pass()).rejects.toThrow("no spare table");
    expect(told).toEqual(["begun", "taken"]);
  });
});
