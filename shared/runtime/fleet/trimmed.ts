/** The part of a machine's past that is gone: a snapshot took its place. */
import { Invalid } from "../../errors.ts";
import type { Slot } from "../../protocol/slot.ts";

export function trimmed(machine: string, asked: Slot, through: Slot): Invalid {
  return new Invalid(
    "trimmed",
    `slot ${asked} of ${machine} was trimmed: a snapshot took the place of slots 1 to ${through}, and the log begins at ${through + 1}`,
    { trimmedThrough: through },
  );
}
