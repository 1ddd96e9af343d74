/** What a caller hears of a command or read that got no reply: the error's class names the next move. */
import { OutcomeUnknown, Unavailable } from "../errors.ts";
import type { MachineId } from "../protocol/configuration.ts";

export function notLeading(machine: MachineId): Unavailable {
  return new Unavailable("not_leader", `this process does not lead ${machine}: ask whoever does`);
}

export function overloaded(machine: MachineId): Unavailable {
  return new Unavailable("unavailable", `too much waits for ${machine}: try again later`);
}

export function unknownOutcome(machine: MachineId): OutcomeUnknown {
  return new OutcomeUnknown(
    "outcome_unknown",
    `the leader of ${machine} was deposed while the command was under way: ask again with the same session and sequence, or the same key`,
  );
}
