/**
 * A reconfiguration as its driver sees it (PROTOCOL §7): propose, found, have it endorsed, hand over, complete. Until
 * the registry has answered "activated", the old configuration is the machine's, and whoever fails in between has
 * changed nothing: at worst the old ballots are ended, and the next reconfiguration, by anybody, sets the machine
 * going again.
 */
import { randomUUID } from "node:crypto";
import { Refused, Unavailable } from "../../errors.ts";
import { type Endorsement, type Override, type Reason, tooFew } from "../../protocol/endorsement.ts";
import type { QuorumSpec } from "../../protocol/quorum.ts";
import type { Location } from "../../protocol/registry.ts";
import { MACHINE_GEOMETRY } from "../../protocol/slot.ts";
import { found } from "../found.ts";
import type { Hosted } from "../hosted.ts";
import type { Ports } from "../ports.ts";
import type { RegistryClient } from "../registry/registry-client.ts";
import type { StorePool } from "../store-pool.ts";
import { type Gathering, gatherEndorsements } from "./gather-endorsements.ts";

/** Why the machine is reconfigured; the override is an operator's, for when too few endorse it. */
export interface Cause {
  readonly reason: Reason;
  readonly override?: Override;
}

export interface ReconfigureOptions {
  readonly hosted: Pick<Hosted, "machine" | "reconfigure">;
  readonly from: Location;
  readonly quorums: QuorumSpec;
  readonly cause: Cause;
  readonly gathering: Gathering;
  readonly registry: RegistryClient;
  readonly stores: StorePool;
  readonly ports: Ports;
}

/** The activated configuration. @throws Refused by the registry; Unavailable when it could not be done. */
export async function reconfigure(options: ReconfigureOptions): Promise<Location> {
  const { hosted, from, quorums, cause, registry, stores, ports } = options;
  const { machine } = hosted;
  const nonce = randomUUID();
  const { reason } = cause;
  const to = (await registry.command({ type: "propose", machine, quorums, nonce, reason })) as Location;
  // Granted against another configuration than the one that this process leads, it must not be completed by it: what
  // is chosen in between would be nowhere.
  if (to.configuration.previous !== from.configuration.number)
    throw new Unavailable(
      "not_leader",
      `${machine} is in configuration ${to.configuration.previous}: try again`,
    );
  stores.learn(to.acceptors);
  await found(ports, machine, to.configuration, MACHINE_GEOMETRY, "all");
  // Before the old configuration stops serving: endorsements are for the configuration, not for what it is handed.
  const endorsements = await endorsementsOf(options, to);
  await hosted.reconfigure(from.configuration, to.configuration);
  if (!(await complete(options, to, endorsements)))
    throw new Unavailable(
      "unavailable",
      `${machine} was reconfigured by somebody else meanwhile: look, and try again`,
    );
  return { ...to, active: true };
}

/** @throws Refused (not_endorsed) when there are too few, unless an operator overrides that. */
async function endorsementsOf(
  { hosted: { machine }, cause, gathering }: ReconfigureOptions,
  { configuration }: Location,
): Promise<readonly Endorsement[]> {
  const { valid, needed, faults } = await gatherEndorsements(gathering, machine, configuration);
  if (valid.length < needed && cause.override === undefined)
    throw new Refused("not_endorsed", tooFew(machine, configuration.number, valid.length, needed, faults));
  return valid;
}

/** Whether it was activated. What expired while much was copied, or is too little for a fleet that grew, is gathered again. */
async function complete(
  options: ReconfigureOptions,
  to: Location,
  endorsements: readonly Endorsement[],
): Promise<boolean> {
  const { hosted, cause, registry } = options;
  const { override } = cause;
  const command = {
    type: "complete",
    machine: hosted.machine,
    configuration: to.configuration.number,
    ...(override === undefined ? {} : { override }),
  } as const;
  try {
    return isActivated(await registry.command({ ...command, endorsements }));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    const again = await endorsementsOf(options, to);
    return isActivated(await registry.command({ ...command, endorsements: again }));
  }
}

function isActivated(answer: unknown): boolean {
  return (answer as { activated: boolean }).activated;
}
