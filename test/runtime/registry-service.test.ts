/** The registry replaces its own tables (PROTOCOL §8), on tables in memory. */
import { setImmediate } from "node:timers/promises";
import { beforeEach, expect, test } from "vitest";
import type { ConfigurationNumber, ProcessId } from "../../shared/protocol/ballot.ts";
import type { Configuration } from "../../shared/protocol/configuration.ts";
import { outstanding } from "../../shared/protocol/outbox.ts";
import type { Suspicion } from "../../shared/protocol/pool.ts";
import { type AcceptorId, majority } from "../../shared/protocol/quorum.ts";
import type { AcceptorServer, RegistryState } from "../../shared/protocol/registry.ts";
import { REGISTRY_GEOMETRY } from "../../shared/protocol/slot.ts";
import { found } from "../../shared/runtime/found.ts";
import { productionPorts } from "../../shared/runtime/ports-production.ts";
import { type Pointer, REGISTRY, RegistryService } from "../../shared/runtime/registry/registry-service.ts";
import { RegistryRepairer } from "../../shared/runtime/repair/registry-repairer.ts";
import { StorePool } from "../../shared/runtime/store-pool.ts";
import { type MemoryStore, memoryStore } from "../../shared/storage/memory.ts";
import type { NewQuorums } from "../../shared/wire.ts";
import { keyOf } from "../support/endorsing.ts";

const tables = new Map<AcceptorId, MemoryStore>();
let pointer: Pointer;
let first: Configuration;
let isPointerStuck = false;

function server(name: string): AcceptorServer {
  return { id: name as AcceptorId, kind: "memory", location: name, incarnation: name };
}

/** The handler in another process: it knows no table but those that it was told of. */
function handler(number: number, seen: () => Pointer = () => pointer): RegistryService {
  const stores = new StorePool(({ id }) => tables.get(id) as MemoryStore);
  return new RegistryService({
    first,
    process: String(number).padStart(32, "0") as ProcessId,
    ports: productionPorts((id) => stores.get(id)),
    pointer: async () => seen(),
    movePointer: async (to) => {
      if (isPointerStuck) throw new Error("disk full");
      if (to.configuration.number > pointer.configuration.number) pointer = to;
    },
    learn: (servers) => stores.learn(servers),
  });
}

function leaderNamed(id: string) {
  const process = "9".repeat(32) as ProcessId;
  return {
    type: "registerLeader",
    leader: { id, process, address: `http://${id}`, publicKey: keyOf(id) },
  } as const;
}

async function leadersOf(service: RegistryService): Promise<readonly string[]> {
  return service.read(({ leaders }) => [...leaders.keys()]);
}

beforeEach(async () => {
  isPointerStuck = false;
  tables.clear();
  for (const name of ["r1", "r2", "r3", "r4", "r5", "r6"]) tables.set(name as AcceptorId, memoryStore());
  const servers = ["r1", "r2", "r3"].map(server);
  const quorums = majority(servers.map(({ id }) => id));
  first = { number: 1 as ConfigurationNumber, previous: 0, quorums };
  pointer = { configuration: first, acceptors: servers };
  await found(
    productionPorts((id) => tables.get(id)),
    REGISTRY,
    first,
    REGISTRY_GEOMETRY,
  );
});

/** Tables of these names are made for the orders that there are. */
async function makeSpares(service: RegistryService, ...names: readonly string[]): Promise<void> {
  for (const name of names) {
    const spares = await service.read((state) => ordered(state).length + spare(state).length);
    await service.command({ type: "configure", spares: spares + 1 });
    const [order] = await service.read(ordered);
    const command = {
      type: "provisioned",
      request: order?.request as string,
      acceptor: server(name),
    } as const;
    expect(await service.command(command)).toMatchObject({ response: { recorded: true } });
  }
}

function ordered(state: RegistryState) {
  return outstanding(state, "createAcceptor");
}

function spare({ acceptors }: RegistryState) {
  return [...acceptors.values()].filter(({ state }) => state === "spare");
}

function replace(service: RegistryService, ...acceptors: readonly string[]): Promise<Configuration> {
  return service.tables.reconfigure({ mode: "majority", acceptors });
}

/** What the outbox orders to be deleted. */
async function deletions(service: RegistryService): Promise<readonly string[]> {
  return service.read((state) => outstanding(state, "deleteAcceptor").map(({ acceptor }) => acceptor.id));
}

test("all tables are replaced one after another, and the first are deleted, while it serves", async () => {
  const service = handler(1);
  const stale = pointer;
  const answered: string[] = [];
  let isOver = false;
  const load = (async () => {
    for (let number = 1; !isOver; number++) {
      await service.command(leaderNamed(`l${number}`));
      answered.push(`l${number}`);
      // Tables in memory answer at once: timers would never have their turn.
      await setImmediate();
    }
  })();
  for (const [old, by] of [
    ["r1", "r4"],
    ["r2", "r5"],
    ["r3", "r6"],
  ] as const) {
    await makeSpares(service, by);
    const { number, quorums } = await service.tables.reconfigure({ replace: old });
    expect(quorums.acceptors).toContain(by);
    expect(pointer.configuration.number).toBe(number);
    expect(pointer.acceptors.map(({ id }) => id).sort()).toEqual(quorums.acceptors.toSorted());
    expect(await deletions(service)).toContain(old);
    tables.get(old as AcceptorId)?.lose();
  }
  isOver = true;
  await load;
  expect(answered.length).toBeGreaterThan(0);
  expect(await leadersOf(handler(2))).toEqual(answered);
  // It begins with tables that are gone, and finds the pointer moved.
  let asked = 0;
  expect(await leadersOf(handler(3, () => (asked++ === 0 ? stale : pointer)))).toEqual(answered);
});

test("a handler that knows only an older configuration walks on from it, while that is there", async () => {
  const stale = pointer;
  await makeSpares(handler(1), "r4", "r5", "r6");
  await replace(handler(1), "r4", "r5", "r6");
  await handler(2).command(leaderNamed("l1"));
  const walker = handler(3, () => stale);
  expect(await leadersOf(walker)).toEqual(["l1"]);
  expect(walker.hosted.host.configuration?.number).toBe(2);
});

test("one table of an older configuration is enough to find the others", async () => {
  const stale = pointer;
  const service = handler(1);
  await makeSpares(service, "r4", "r5");
  await replace(service, "r4", "r2", "r3");
  await replace(service, "r4", "r5", "r3");
  await service.command(leaderNamed("l1"));
  for (const gone of ["r1", "r2"]) tables.get(gone as AcceptorId)?.lose();
  expect(await handler(2, () => stale).newest()).toMatchObject({ configuration: { number: 3 } });
  expect(await leadersOf(handler(3, () => stale))).toEqual(["l1"]);
});

test("a reconfiguration that is said again changes nothing more", async () => {
  const service = handler(1);
  await makeSpares(service, "r4", "r5");
  const once = await service.tables.reconfigure({ replace: "r1" });
  expect(await service.tables.reconfigure({ replace: "r1" })).toEqual(once);
  expect(await handler(2).tables.reconfigure({ replace: "r1", by: "r4" })).toEqual(once);
  expect(await replace(handler(3), ...once.quorums.acceptors)).toEqual(once);
  const both = await Promise.all([1, 2].map(() => service.tables.reconfigure({ replace: "r2" })));
  expect(both[0]).toEqual(both[1]);
  expect(both[0]?.number).toBe(3);
});

test("what is left behind is deleted only after the pointer was moved", async () => {
  const service = handler(1);
  await makeSpares(service, "r4");
  isPointerStuck = true;
  await expect(service.tables.reconfigure({ replace: "r1" })).rejects.toThrow("disk full");
  expect(await deletions(service)).toEqual([]);
  isPointerStuck = false;
  expect(await service.tables.settle()).toBe(true);
  expect(await service.tables.settle()).toBe(false);
  expect(pointer.configuration.number).toBe(2);
  expect(await deletions(service)).toEqual(["r1"]);
});

test("what a leader began that died, the next one finishes: no spare is wasted, no table left", async () => {
  const dead = handler(1);
  await makeSpares(dead, "r4", "r5");
  const adopt = { type: "adoptAcceptor", acceptor: server("r4"), configuration: 2 } as const;
  await dead.command(adopt);
  const next = handler(2);
  const { quorums } = await next.tables.reconfigure({ replace: "r1" });
  expect(quorums.acceptors).toEqual(["r4", "r2", "r3"]);
  expect(await next.read((state) => spare(state).map(({ id }) => id))).toEqual(["r5"]);
});

test("a table that is lost is suspected once, and replaced", async () => {
  const service = handler(1);
  await makeSpares(service, "r4");
  tables.get("r1" as AcceptorId)?.lose();
  expect(await service.tables.suspect("r1" as AcceptorId, "gone")).toEqual({ suspected: true });
  expect(service.tables.suspected).toEqual(["r1"]);
  expect(await service.tables.suspect("r2" as AcceptorId, "silent")).toMatchObject({ suspected: false });
  const { quorums } = await service.tables.reconfigure({ replace: "r1" });
  expect(quorums.acceptors).toEqual(["r4", "r2", "r3"]);
  expect(service.tables.suspected).toEqual([]);
});

test("it refuses what it cannot be, and says why", async () => {
  const service = handler(1);
  await makeSpares(service, "r4");
  await service.command({ type: "registerAcceptor", acceptor: server("r5") });
  const refusals: readonly [NewQuorums, string][] = [
    [{ mode: "witness", acceptors: ["r4", "r2", "r3"] }, "no witnesses"],
    [{ mode: "dictatorship", acceptors: ["r4"] }, "there is no mode"],
    [{ mode: "majority", acceptors: [] }, "at least one acceptor"],
    [{ mode: "majority", acceptors: ["r5", "r2", "r3"] }, "r5 is active"],
    [{ mode: "majority", acceptors: ["r9", "r2", "r3"] }, "there is no acceptor r9"],
    [{ replace: "r9" }, "r9 is not one of the registry's acceptors: r1, r2, r3"],
    [{ replace: "r1", by: "r2" }, "named twice"],
  ];
  for (const [request, reason] of refusals)
    await expect(service.tables.reconfigure(request)).rejects.toThrow(reason);
  await service.command({ type: "configure", spares: 0 });
  tables.get("r4" as AcceptorId)?.lose();
  await expect(service.tables.reconfigure({ replace: "r1" })).rejects.toThrow("there is no spare table");
  expect(pointer.configuration.number).toBe(1);
});

/** The repairer of a handler's tables, whose checks are made by hand. */
function repairerOf(service: RegistryService, complaints: Map<AcceptorId, Suspicion>) {
  const said: string[] = [];
  let check = (): void => {};
  const ports = {
    ...productionPorts(() => undefined),
    after(_: number, call: () => void) {
      check = call;
      return () => {};
    },
  };
  const repairer = new RegistryRepairer({
    service,
    health: { complaints: () => complaints },
    ports,
    executed: () => {},
    events: {
      suspected: (acceptor, why) => said.push(`${acceptor} ${why}`),
      notSuspected: (acceptor, why) => said.push(`${acceptor} ${why} stays`),
      failed: (error) => said.push(String(error)),
    },
  });
  repairer.start();
  return {
    said,
    async check(): Promise<void> {
      const made = check;
      made();
      while (check === made) await setImmediate();
    },
  };
}

test("whoever leads the registry replaces a table of its own that is gone, and one that stays silent", async () => {
  const service = handler(1);
  await makeSpares(service, "r4", "r5");
  const complaints = new Map<AcceptorId, Suspicion>([["r1" as AcceptorId, "gone"]]);
  const idle = repairerOf(handler(2), complaints);
  await idle.check();
  expect(idle.said).toEqual([]);
  const { said, check } = repairerOf(service, complaints);
  tables.get("r1" as AcceptorId)?.lose();
  await check();
  expect([said, pointer.configuration.quorums.acceptors]).toEqual([["r1 gone"], ["r4", "r2", "r3"]]);
  complaints.set("r2" as AcceptorId, "silent");
  await check();
  await check();
  complaints.delete("r2" as AcceptorId);
  await check();
  expect(said).toEqual(["r1 gone"]);
  complaints.set("r2" as AcceptorId, "silent").set("r3" as AcceptorId, "slow");
  for (let more = 0; more < 3; more++) await check();
  expect(said).toEqual(["r1 gone", "r2 silent", "r3 slow stays"]);
  expect(pointer.configuration.quorums.acceptors).toEqual(["r4", "r5", "r3"]);
});

test("what another leader left half done is finished by the next one that looks", async () => {
  const dead = handler(1);
  await makeSpares(dead, "r4");
  isPointerStuck = true;
  await expect(dead.tables.reconfigure({ replace: "r1" })).rejects.toThrow("disk full");
  isPointerStuck = false;
  const next = handler(2);
  await next.command(leaderNamed("l1"));
  await repairerOf(next, new Map()).check();
  expect(pointer.configuration.number).toBe(2);
  expect(await deletions(next)).toEqual(["r1"]);
});
