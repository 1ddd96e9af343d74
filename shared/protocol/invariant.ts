/**
 * The invariants of PROTOCOL §12, by number. Code cites them; a replica that sees one broken raises an
 * alarm and stops leading, because going on could only spread the damage.
 */
export const INVARIANTS = {
  1: "at most one value is chosen per slot",
  2: "a ballot has one owner, and one value per slot",
  3: "promises, slots and Heads never decrease; no vote is above its cell's promise",
  4: "a Head's table alone rebuilds the state through the slot it covers",
  5: "every chosen slot is recoverable from each read quorum, of the previous configuration until the next is installed",
  6: "chunks hold only chosen values",
  7: "rule U holds at each vote, so H ≤ S + K after one re-read of the Heads",
  8: "each activation's previous configuration was the active one",
  9: "nothing is applied, answered, read or archived from an unactivated configuration, nor from a void slot",
  10: "each (session, sequence) executes at most once; answers and reads are linearizable",
  12: "with α no slot is chosen by two configurations",
} as const;

export type Invariant = keyof typeof INVARIANTS;

/** What was seen, in words for whoever has to find out why. */
export interface Alarm {
  readonly invariant: Invariant;
  readonly detail: string;
}
