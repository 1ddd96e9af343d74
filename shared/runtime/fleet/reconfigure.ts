/**
 * A reconfiguration as its driver sees it (PROTOCOL §7): propose, found, hand over, complete. Until the registry has
 * answered "activated", the old configuration is the machine's, and whoever fails in between has changed nothing:
 * at worst the old ballots are ended, and the next reconfiguration, by anybody, sets the machine going again.
 */
import { randomUUID } from "node:crypto";
import { Unavailable } from "../../errors.ts";
import type { QuorumSpec } from "../../protocol/quorum.ts";
import type { Location } from "../../protocol/registry.ts";
import { MACHINE_GEOMETRY } from "../../protocol/slot.ts";
import { found } from "../found.ts";
import type { Hosted } from "../hosted.ts";
import type { Ports } from "../ports.ts";
import type { RegistryClient } from "../registry/registry-client.ts";
import type { StorePool } from "../store-pool.ts";

export interface ReconfigureOptions {
  readonly hosted: Hosted;
  readonly from: Location;
  readonly quorums: QuorumSpec;
  readonly registry: RegistryClient;
  readonly stores: StorePool;
  readonly ports: Ports;
}

/** The activated configuration. @throws Refused by the registry; Unavailable when it could not be done. */
export async function reconfigure(options: ReconfigureOptions): Promise<Location> {
  const { hosted, from, quorums, registry, stores, ports } = options;
  const { machine } = hosted;
  const nonce = randomUUID();
  const to = (await registry.command({ type: "propose", machine, quorums, nonce })) as Location;
  // Granted against another configuration than the one that this process leads, it must not be completed by it: what
  // is chosen in between would be nowhere.
  if (to.configuration.previous !== from.configuration.number)
    throw new Unavailable(
      "not_leader",
      `${machine} is in configuration ${to.configuration.previous}: try again`,
    );
  stores.learn(to.acceptors);
  await found(ports, machine, to.configuration, MACHINE_GEOMETRY, "all");
  await hosted.reconfigure(from.configuration, to.configuration);
  const { number } = to.configuration;
  const completed = await registry.command({ type: "complete", machine, configuration: number });
  if (!(completed as { activated: boolean }).activated)
    throw new Unavailable(
      "unavailable",
      `${machine} was reconfigured by somebody else meanwhile: look, and try again`,
    );
  return { ...to, active: true };
}
