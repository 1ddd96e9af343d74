/** The registry replaces its own tables (PROTOCOL §8), on tables in memory. */
import { beforeEach, expect, test } from "vitest";
import type { ConfigurationNumber, ProcessId } from "../../shared/protocol/ballot.ts";
import type { Configuration } from "../../shared/protocol/configuration.ts";
import { type AcceptorId, majority, withWitness } from "../../shared/protocol/quorum.ts";
import type { AcceptorServer } from "../../shared/protocol/registry.ts";
import { REGISTRY_GEOMETRY } from "../../shared/protocol/slot.ts";
import { found } from "../../shared/runtime/found.ts";
import { productionPorts } from "../../shared/runtime/ports-production.ts";
import { type Pointer, REGISTRY, RegistryService } from "../../shared/runtime/registry/registry-service.ts";
import { StorePool } from "../../shared/runtime/store-pool.ts";
import { type MemoryStore, memoryStore } from "../../shared/storage/memory.ts";
import { keyOf } from "../support/endorsing.ts";

const tables = new Map<AcceptorId, MemoryStore>();
let pointer: Pointer;
let first: Configuration;

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
    movePointer: (to) => {
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

function replace(service: RegistryService, ...names: readonly string[]): Promise<Configuration> {
  return service.reconfigure(majority(names as AcceptorId[]), names.map(server));
}

test("all tables are replaced one after another, and the first are deleted, while it serves", async () => {
  const service = handler(1);
  const stale = pointer;
  const steps = [
    ["r4", "r2", "r3"],
    ["r4", "r5", "r3"],
    ["r4", "r5", "r6"],
  ];
  const answered: string[] = [];
  let isOver = false;
  const load = (async () => {
    for (let number = 1; !isOver; number++) {
      await service.command(leaderNamed(`l${number}`));
      answered.push(`l${number}`);
    }
  })();
  for (const names of steps) {
    const { number } = await replace(service, ...names);
    expect(pointer.configuration.number).toBe(number);
    expect(pointer.acceptors.map(({ id }) => id).sort()).toEqual([...names].sort());
    for (const gone of ["r1", "r2", "r3"].filter((each) => !names.includes(each)))
      tables.get(gone as AcceptorId)?.lose();
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
  await replace(handler(1), "r4", "r5", "r6");
  await handler(2).command(leaderNamed("l1"));
  const walker = handler(3, () => stale);
  expect(await leadersOf(walker)).toEqual(["l1"]);
  expect(walker.hosted.host.configuration?.number).toBe(2);
});

test("a reconfiguration that is said again changes nothing more", async () => {
  const service = handler(1);
  const once = await replace(service, "r4", "r2", "r3");
  expect(await replace(service, "r4", "r2", "r3")).toEqual(once);
  expect(await replace(handler(2), "r4", "r2", "r3")).toEqual(once);
});

test("it refuses witnesses, and tables that serve machines, and says why", async () => {
  const service = handler(1);
  const servers = ["r4", "r2", "r3"].map(server);
  const quorums = withWitness(servers.map(({ id }) => id));
  await expect(service.reconfigure(quorums, servers)).rejects.toThrow("no witnesses");
  await service.command({ type: "registerAcceptor", acceptor: server("r5") });
  await expect(replace(service, "r5", "r2", "r3")).rejects.toThrow("r5 is active");
  expect(pointer.configuration.number).toBe(1);
});
