/**
 * Takes one machine's snapshot from its tables alone: executes what is chosen since the last one, through the last
 * chunk that any table covers, freezes what came of it, and gives it to the tables of the configuration in place of
 * their chunks. Whoever leads the machine notices nothing of it but the tables' load.
 */
import { Unavailable } from "../../errors.ts";
import type { ProcessId } from "../../protocol/ballot.ts";
import type { Configuration } from "../../protocol/configuration.ts";
import type { Slot } from "../../protocol/slot.ts";
import { snapshotOf } from "../../protocol/snapshot.ts";
import type { Truncated } from "../../protocol/truncation.ts";
import type { HostOptions } from "../host-options.ts";
import { Hosted } from "../hosted.ts";
import { truncate } from "../truncate.ts";

export interface Taken extends Truncated {
  readonly slot: Slot;
  /** What the tables' Heads call it. */
  readonly snapshot: string;
  readonly parts: number;
  readonly bytes: number;
}

/** It never leads. */
const NOBODY = "0".repeat(32) as ProcessId;

/**
 * A configuration that is the machine's no more does no harm: what its tables are given is true, and those that are
 * gone are left.
 * @throws Unavailable when no table can be read, what was chosen cannot be executed, or no table took the snapshot.
 */
export async function takeSnapshot(
  options: Omit<HostOptions, "process" | "events">,
  configuration: Configuration,
): Promise<Taken> {
  const { machine, ports, geometry } = options;
  const hosted = new Hosted({ ...options, process: NOBODY });
  const isCaughtUp = await hosted.catchUp(configuration);
  const { replica, broken } = hosted.host;
  const slot = replica.applied;
  if (!isCaughtUp || slot === 0) throw notTaken(machine, broken ?? "no table of it can be read");
  const frozen = replica.freeze();
  const snapshot = snapshotOf(slot, frozen, ports.digest);
  const { truncated, left } = await new Promise<Truncated>((resolve) =>
    truncate(ports, machine, configuration, geometry, snapshot, resolve),
  );
  if (truncated.length === 0)
    throw notTaken(machine, left.map(({ acceptor, why }) => `${acceptor}: ${why}`).join("; "));
  const { name, parts } = snapshot;
  return { slot, snapshot: name, parts: parts.length, bytes: frozen.length, truncated, left };
}

function notTaken(machine: string, why: string): Unavailable {
  return new Unavailable("unavailable", `no snapshot of ${machine} was taken: ${why}`);
}
