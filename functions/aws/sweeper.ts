/**
 * What nobody else does in the end, once a minute: the sweep, and whatever the registry's function does only when it is
 * asked. Neither waits for the other to succeed.
 */

import { sweep } from "../../shared/runtime/provisioner/sweeper.ts";
import { maintainRegistry } from "../../shared/runtime/registry/registry-client.ts";
import { functionLog, once } from "./log.ts";
import { openProvisioning } from "./provisioning.ts";

/** A bootstrap or a provisioner that made it has ended by then: no function lives for longer than 15 minutes. */
const ORPHAN_AGE_MS = 60 * 60_000;

const log = functionLog("sweeper");
const events = {
  orphan: (table: string) => log.info({ event: "orphan", table }, `${table} was nobody's, and is deleted`),
  lostSpare: (acceptor: string) =>
    log.warn({ event: "lostSpare", acceptor }, `the spare ${acceptor} is gone`),
  endedLeader: (leader: string) => log.warn({ event: "endedLeader", leader }, `${leader} has ended`),
};
const provisioning = once(openProvisioning);

/** @throws AggregateError with what could not be done: the next one does it. */
export async function handler(): Promise<void> {
  const { directory, fetch, ...ports } = await provisioning();
  const { acceptors, address } = await directory.registry();
  // They may not be on record yet, and are nobody's orphans.
  const keep = new Set(acceptors.map(({ id }) => id));
  const done = await Promise.allSettled([
    maintainRegistry(address, fetch),
    sweep({ ...ports, keep, orphanAgeMs: ORPHAN_AGE_MS, events }),
  ]);
  const troubles = done.flatMap((each) => (each.status === "rejected" ? [each.reason] : []));
  for (const err of troubles)
    log.warn({ event: "failed", err }, "swept in part: the next sweep does the rest");
  if (troubles.length > 0) throw new AggregateError(troubles, troubles.map(String).join("; "));
}
