/**
 * What the checkers check, by name. A run ends with the first violation.
 */
export const CHECKS = {
  AGREEMENT: "at most one value is chosen per slot",
  ONE_VALUE_PER_BALLOT: "one ballot votes one value per slot",
  MONOTONE: "promises, slots and Heads never decrease, and no vote is above its cell's promise",
  HEAD_CLAIM: "a table alone rebuilds exactly the chosen log through the slot that its Head covers",
  RECOVERABLE: "every chosen slot is recoverable from each surviving read quorum",
  CHUNKS_CHOSEN: "chunks hold only chosen values",
  WINDOW: "slot j is voted only when Heads >= j-K meet every read quorum, and no leader raises an alarm",
  EXECUTED_IS_CHOSEN: "every replica executes exactly the chosen values, in slot order",
  AT_MOST_ONCE: "each command executes at most once, and each reply is the one that the chosen log gives",
  LINEARIZABLE: "some order of all operations explains every answer and respects real time",
  REPLICAS_AGREE: "replicas have the same state after the same slot",
  SUCCESSION: "each activated configuration replaces the one that was active",
  ENDORSED: "a reconfiguration is activated if and only if enough endorsed it, or an operator answers for it",
  UNACTIVATED:
    "nothing is promised, executed, answered or archived from a configuration that is not activated",
  EPOCHS:
    "each slot is chosen, executed and archived in the configuration that it belongs to; what others choose is void",
  ALPHA: "slot j is voted only once slot j - α is applied",
  INSTALLED: "a configuration is said to be installed only when its tables hold what it inherits",
  PROVISIONING: "no table that is in use, or on record for use, is deleted by whoever provisions",
  LOST_IS_LOST: "only an acceptor that refused everything is reported as lost",
  NO_EXCEPTION: "the core and the driver never throw",
  LIVENESS: "once faults are over, every command gets a definite answer and a leader serves",
} as const;

export type Check = keyof typeof CHECKS;

export class Violation extends Error {
  readonly check: Check;

  constructor(check: Check, detail: string, options?: ErrorOptions) {
    super(detail, options);
    this.name = "Violation";
    this.check = check;
  }
}

/** @throws Violation unless `holds`. The detail is made only when it is needed. */
export function check(name: Check, holds: boolean, detail: () => string): asserts holds {
  if (!holds) throw new Violation(name, detail());
}
