/** What every part of the core asks of its driver: say verbs to an acceptor, and wait before saying them again. */

import { backoffMs } from "../backoff.ts";
import type { MachineId } from "../protocol/configuration.ts";
import type { Ask, RequestInput, Retry } from "../protocol/requests.ts";
import type { Ports } from "./ports.ts";

/** `step` hears what became of it. */
export function carryOut(
  ports: Ports,
  machine: MachineId,
  effect: Ask | Retry,
  step: (input: RequestInput) => void,
): void {
  const { request } = effect;
  if (effect.effect === "ask")
    ports.ask(effect.of, machine, effect.verbs, (outcomes) => step({ input: "outcome", request, outcomes }));
  else ports.after(backoffMs(effect.attempt, ports.random), () => step({ input: "resend", request }));
}
