/**
 * AGREEMENT and ONE_VALUE_PER_BALLOT: every vote that any table accepts is seen here. A value voted by a
 * write quorum at one ballot is chosen, whether or not anybody knows it.
 */
import type { Cell, Value } from "../../../shared/protocol/acceptor.ts";
import type { Slot } from "../../../shared/protocol/slot.ts";
import { check } from "../violation.ts";
import type { Bits, Families } from "./families.ts";

interface Ballotage {
  readonly value: Value;
  by: Bits;
}

export class Votes {
  readonly chosen = new Map<Slot, Value>();
  readonly #families: Families;
  readonly #onChosen: (slot: Slot, value: Value) => void;
  /** By ballot and slot. */
  readonly #votes = new Map<string, Ballotage>();

  constructor(families: Families, onChosen: (slot: Slot, value: Value) => void) {
    this.#families = families;
    this.#onChosen = onChosen;
  }

  voted(table: number, slot: Slot, vote: NonNullable<Cell["vote"]>): void {
    const key = `${slot}@${vote.ballot}`;
    const votes = this.#votes.get(key) ?? { value: vote.value, by: 0 };
    this.#votes.set(key, votes);
    check(
      "ONE_VALUE_PER_BALLOT",
      votes.value.text === vote.value.text,
      () => `slot ${slot} at ${vote.ballot}: ${votes.value.text} and ${vote.value.text}`,
    );
    votes.by |= 1 << table;
    if (this.#families.isWrite(votes.by)) this.#choose(slot, vote.value);
  }

  #choose(slot: Slot, value: Value): void {
    const chosen = this.chosen.get(slot);
    if (chosen === undefined) {
      this.chosen.set(slot, value);
      this.#onChosen(slot, value);
    } else
      check("AGREEMENT", chosen.text === value.text, () => `slot ${slot}: ${chosen.text} and ${value.text}`);
  }
}
