/** The driver of `Founding`: makes a configuration's cells and Heads, before anybody activates it. */

import { Unavailable } from "../errors.ts";
import type { Configuration, MachineId } from "../protocol/configuration.ts";
import { Founding, type FoundingEffect, type FoundingInput } from "../protocol/founding.ts";
import type { Geometry } from "../protocol/slot.ts";
import { carryOut } from "./carry-out.ts";
import type { Ports } from "./ports.ts";

/** A table that has not answered by then is left behind, if the others are quorums of both kinds. */
const HURRY_AFTER_MS = 2_000;
const GIVE_UP_AFTER_MS = 10_000;

/**
 * `needs`: a machine's first configuration may begin on quorums of both kinds; a later one needs all its acceptors,
 * since a missing one would be a loss that it is to survive (PROTOCOL §7 step 4).
 * @throws Unavailable when too few acceptors can be reached; doing it again is harmless.
 */
export function found(
  ports: Ports,
  machine: MachineId,
  configuration: Configuration,
  geometry: Geometry,
  needs: "all" | "quorums" = "quorums",
): Promise<void> {
  return new Promise((resolve, reject) => {
    const founding = new Founding(configuration, geometry);
    let isGivenUp = false;
    const step = (input: FoundingInput): void => {
      if (isGivenUp) return;
      for (const effect of founding.step(input)) conclude(effect);
    };
    const hurry = (): void => {
      if (needs === "quorums") step({ input: "hurry" });
    };
    const cancelHurry = ports.after(HURRY_AFTER_MS, hurry);
    const cancelGivingUp = ports.after(GIVE_UP_AFTER_MS, () => {
      isGivenUp = true;
      reject(new Unavailable("unavailable", `${machine} cannot be started: too few of its acceptors answer`));
    });
    const conclude = (effect: FoundingEffect): void => {
      switch (effect.effect) {
        case "ask":
        case "retry":
          carryOut(ports, machine, effect, step);
          break;
        case "founded":
          cancelHurry();
          cancelGivingUp();
          if (needs === "all" && effect.on.length < configuration.quorums.acceptors.length)
            reject(
              new Unavailable(
                "unavailable",
                `${machine} needs all acceptors of a new configuration to answer`,
              ),
            );
          else resolve();
          break;
        case "cannotFound":
          cancelHurry();
          cancelGivingUp();
          reject(
            new Unavailable(
              "unavailable",
              `${machine} cannot be started: ${effect.lost.join(", ")} of its acceptors are lost`,
            ),
          );
          break;
      }
    };
    step({ input: "found" });
  });
}
