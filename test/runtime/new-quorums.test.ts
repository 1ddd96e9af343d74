/** Quorums without lost tables, asked for again and again while there is no spare. */
import { expect, test } from "vitest";
import type { MachineId } from "../../shared/protocol/configuration.ts";
import { type AcceptorId, majority } from "../../shared/protocol/quorum.ts";
import { withoutLost } from "../../shared/runtime/fleet/new-quorums.ts";
import type { RegistryClient } from "../../shared/runtime/registry/registry-client.ts";
import { StorePool } from "../../shared/runtime/store-pool.ts";
import { memoryStore } from "../../shared/storage/memory.ts";
import { RegistryInMemory } from "../support/registry-in-memory.ts";

test("the registry is told once that a table is gone", async () => {
  const machine = "tally/main" as MachineId;
  const registry = new RegistryInMemory();
  const said: string[] = [];
  const counting = {
    servers: () => registry.servers(),
    command: (command: Parameters<RegistryClient["command"]>[0]) => {
      said.push(command.type);
      return registry.command(command);
    },
  } as unknown as RegistryClient;
  const stores = new StorePool(() => {
    const store = memoryStore();
    store.lose();
    return store;
  });
  const ids = ["a", "b", "c"] as AcceptorId[];
  for (const id of ids) {
    const acceptor = { id, kind: "memory", location: id, incarnation: id };
    await registry.command({ type: "registerAcceptor", acceptor });
  }
  await registry.command({ type: "registerMachine", machine, acceptors: 3 });
  stores.learn((await registry.servers()).acceptors.filter(({ id }) => id === "a"));
  const lost = { by: "leader-1", registry: counting, stores, replacements: new Map() };
  for (let day = 0; day < 3; day++)
    await expect(withoutLost(machine, majority(ids), lost)).rejects.toThrow("there is no spare table yet");
  expect(said).toEqual(["suspectAcceptor"]);
  const [request = ""] = registry.state.outbox.keys();
  const acceptor = { id: "s" as AcceptorId, kind: "memory", location: "s", incarnation: "s" };
  await registry.command({ type: "provisioned", request, acceptor });
  expect((await withoutLost(machine, majority(ids), lost)).acceptors).toEqual(["s", "b", "c"]);
});
