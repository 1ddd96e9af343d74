/**
 * The recent end of a machine's log, in memory: what a leader still has to archive, and what a standby
 * that tails the leader keeps in case it has to finish that work. Older slots are in the tables' chunks.
 */
import { type Geometry, NO_SLOT, type Slot } from "./slot.ts";

/** Rule U lets a table's chunks lag by K slots; four times that leaves room for tables that are slow. */
const WINDOWS_KEPT = 4;

export class RecentLog {
  readonly #texts = new Map<Slot, string>();
  readonly #slotsKept: number;
  #last: Slot = NO_SLOT;

  constructor(geometry: Geometry) {
    this.#slotsKept = WINDOWS_KEPT * geometry.lanes;
  }

  get last(): Slot {
    return this.#last;
  }

  append(slot: Slot, text: string): void {
    if (slot <= this.#last) throw new RangeError(`slot ${slot} is in the log already`);
    this.#texts.set(slot, text);
    this.#texts.delete((slot - this.#slotsKept) as Slot);
    this.#last = slot;
  }

  /** The replica took a snapshot's state after `slot`: what is before it was not executed here. */
  install(slot: Slot): void {
    if (slot <= this.#last) throw new RangeError(`slot ${slot} is in the log already`);
    this.#texts.clear();
    this.#last = slot;
  }

  /** The value of a slot; undefined when it is older than what is kept. */
  get(slot: Slot): string | undefined {
    return this.#texts.get(slot);
  }

  /** The values of `from` … `to`; undefined when not all are kept. */
  range(from: Slot, to: Slot): readonly string[] | undefined {
    const texts: string[] = [];
    for (let slot = from; slot <= to; slot++) {
      const text = this.#texts.get(slot);
      if (text === undefined) return undefined;
      texts.push(text);
    }
    return texts;
  }
}
