/**
 * Starting a machine (the talk's initial configuration): the registry makes configuration 1, its cells are
 * founded, and then it is activated. Friends who start the same machine at once get the same answer, and
 * one that dies half-way is finished by the next.
 */
import type { MachineId } from "../../protocol/configuration.ts";
import type { Location } from "../../protocol/registry.ts";
import { MACHINE_GEOMETRY } from "../../protocol/slot.ts";
import { found } from "../found.ts";
import type { Ports } from "../ports.ts";
import type { StorePool } from "../store-pool.ts";
import type { RegistryClient } from "./registry-client.ts";

/** @throws Unavailable when the registry or too many acceptors do not answer. */
export async function startMachine(
  machine: MachineId,
  registry: RegistryClient,
  stores: StorePool,
  ports: Ports,
): Promise<Location> {
  const registered = await registry.command({ type: "registerMachine", machine });
  const location = registered as Location;
  stores.learn(location.acceptors);
  if (location.active) return location;
  const { configuration } = location;
  await found(ports, machine, configuration, MACHINE_GEOMETRY);
  await registry.command({ type: "complete", machine, configuration: configuration.number });
  return { ...location, active: true };
}
