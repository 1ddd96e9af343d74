/**
 * A process that founds a configuration: carries out the effects of the product's `Founding`.
 */

import { backoffMs } from "../../shared/backoff.ts";
import type { Configuration } from "../../shared/protocol/configuration.ts";
import { Founding, type FoundingEffect, type FoundingInput } from "../../shared/protocol/founding.ts";
import type { AcceptorId } from "../../shared/protocol/quorum.ts";
import type { Geometry } from "../../shared/protocol/slot.ts";
import type { Ports } from "../../shared/runtime/ports.ts";
import { MACHINE } from "./process.ts";

/** Waits so long for every acceptor before quorums are enough; `founded` is told once, on which it is. */
export function found(
  configuration: Configuration,
  geometry: Geometry,
  ports: Ports,
  patienceMs: number,
  founded: (on: readonly AcceptorId[]) => void,
): void {
  const founding = new Founding(configuration, geometry);
  let attempts = 0;
  const step = (input: FoundingInput): void => founding.step(input).forEach(carryOut);
  const carryOut = (effect: FoundingEffect): void => {
    if (effect.effect === "ask") {
      const { request } = effect;
      ports.ask(effect.of, MACHINE, effect.verbs, (outcomes) =>
        step({ input: "outcome", request, outcomes }),
      );
    } else if (effect.effect === "retry") {
      const { request } = effect;
      ports.after(backoffMs(++attempts, ports.random), () => step({ input: "resend", request }));
    } else if (effect.effect === "founded") founded(effect.on);
  };
  if (Number.isFinite(patienceMs)) ports.after(patienceMs, () => step({ input: "hurry" }));
  step({ input: "found" });
}
