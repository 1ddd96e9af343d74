/** The driver of `Founding`: makes a configuration's cells and Heads, before anybody activates it. */

import { backoffMs } from "../backoff.ts";
import { Unavailable } from "../errors.ts";
import type { Configuration, MachineId } from "../protocol/configuration.ts";
import { Founding, type FoundingEffect, type FoundingInput } from "../protocol/founding.ts";
import type { Geometry } from "../protocol/slot.ts";
import type { Ports } from "./ports.ts";

/** A table that has not answered by then is left behind, if the others are quorums of both kinds. */
const HURRY_AFTER_MS = 2_000;
const GIVE_UP_AFTER_MS = 10_000;

/** @throws Unavailable when too few acceptors can be reached; doing it again is harmless. */
export function found(
  ports: Ports,
  machine: MachineId,
  configuration: Configuration,
  geometry: Geometry,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const founding = new Founding(configuration, geometry);
    let attempts = 0;
    const step = (input: FoundingInput): void => {
      for (const effect of founding.step(input)) carryOut(effect);
    };
    const cancelHurry = ports.after(HURRY_AFTER_MS, () => step({ input: "hurry" }));
    const cancelGivingUp = ports.after(GIVE_UP_AFTER_MS, () =>
      reject(new Unavailable("unavailable", `${machine} cannot be started: too few of its acceptors answer`)),
    );
    const carryOut = (effect: FoundingEffect): void => {
      switch (effect.effect) {
        case "ask": {
          const { request } = effect;
          ports.ask(effect.of, machine, effect.verbs, (outcomes) =>
            step({ input: "outcome", request, outcomes }),
          );
          break;
        }
        case "retry": {
          const { request } = effect;
          ports.after(backoffMs(++attempts, ports.random), () => step({ input: "resend", request }));
          break;
        }
        case "founded":
          cancelHurry();
          cancelGivingUp();
          resolve();
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
