/**
 * When a machine's next snapshot is due. It is a matter of the log alone, never of a clock: an idle machine takes
 * none, and a process that has just come to lead knows from the tables' Heads how much there is since the last one.
 *
 * What a snapshot costs follows the log that it stands for: the log is executed once more, and the state is written
 * in place of at least as much log as it is large.
 */
import type { Head } from "../../protocol/acceptor.ts";
import { NO_SLOT, type Slot } from "../../protocol/slot.ts";
import { leastSizeOf } from "../../protocol/snapshot.ts";

/** 512 chunks: read and executed in a second or so by whoever starts from the tables, and each an item in each of them. */
export const SNAPSHOT_SLOTS = 4_096;
/** Of large values so many slots are too many: a table then holds some tens of megabytes of one machine. */
const SNAPSHOT_CHARACTERS = 16 * 1024 * 1024;
/** A snapshot that cannot be taken is tried again after an eighth of that, then a quarter, … and at most after twice that. */
const FIRST_RETRY_SHARE = 1 / 8;
const RETRY_SHARE_MAX = 2;
/** The length of the log since a snapshot is estimated from the last slots' lengths. */
const SLOTS_AVERAGED = 1_024;

export class Pace {
  readonly #slots: number;
  #snapshotSlot = NO_SLOT;
  #snapshotSize = 0;
  #executed = 0;
  #averageLength = 0;
  #failures = 0;
  #notBefore = NO_SLOT;

  /** `slots`: in place of SNAPSHOT_SLOTS. */
  constructor(slots: number) {
    this.#slots = slots;
  }

  /** A slot's value of this length was executed here. */
  executed(length: number): void {
    this.#executed++;
    this.#averageLength += (length - this.#averageLength) / Math.min(this.#executed, SLOTS_AVERAGED);
  }

  /** A Head that a table has shown. */
  noteHead({ snapshotSlot, snapshot }: Pick<Head, "snapshotSlot" | "snapshot">): void {
    if (snapshotSlot <= this.#snapshotSlot) return;
    this.#snapshotSlot = snapshotSlot;
    this.#snapshotSize = leastSizeOf(snapshot);
    this.#failures = 0;
    this.#notBefore = NO_SLOT;
  }

  isDue(applied: Slot): boolean {
    const slots = applied - this.#snapshotSlot;
    const characters = slots * this.#averageLength;
    const isLong = slots >= this.#slots || characters >= SNAPSHOT_CHARACTERS;
    return isLong && characters >= this.#snapshotSize && applied >= this.#notBefore;
  }

  /** So that a machine whose snapshots fail costs no more than one whose snapshots succeed. */
  failed(applied: Slot): void {
    const share = Math.min(FIRST_RETRY_SHARE * 2 ** this.#failures++, RETRY_SHARE_MAX);
    this.#notBefore = (applied + Math.ceil(share * this.#slots)) as Slot;
  }
}
