/** The driver of `Truncation`: gives a machine's tables a snapshot in place of the chunks that it stands for. */

import type { Configuration, MachineId } from "../protocol/configuration.ts";
import type { Geometry } from "../protocol/slot.ts";
import type { Snapshot } from "../protocol/snapshot.ts";
import {
  type Truncated,
  Truncation,
  type TruncationEffect,
  type TruncationInput,
} from "../protocol/truncation.ts";
import { carryOut } from "./carry-out.ts";
import type { Ports } from "./ports.ts";

/**
 * `snapshot`: of a replica that executed only what was chosen (`snapshotOf(slot, replica.freeze(), digest)`), at a
 * chunk's end. `done` when no table is busy any more; those that are left may be tried again with the same snapshot.
 */
export function truncate(
  ports: Ports,
  machine: MachineId,
  configuration: Configuration,
  geometry: Geometry,
  snapshot: Snapshot,
  done: (truncated: Truncated) => void,
): void {
  const truncation = new Truncation({ configuration, geometry, digest: ports.digest, snapshot });
  const step = (input: TruncationInput): void => {
    for (const effect of truncation.step(input)) carry(effect);
  };
  const carry = (effect: TruncationEffect): void => {
    if (effect.effect === "truncated") done(effect);
    else carryOut(ports, machine, effect, step);
  };
  step({ input: "truncate" });
}
