/**
 * AGREEMENT and ONE_VALUE_PER_BALLOT: every vote that any table accepts in one configuration is seen here. A
 * value voted by a write quorum at one ballot is chosen, whether or not anybody knows it; but in a configuration
 * that is not activated yet nothing is, and what was voted in it becomes a choice when it is (PROTOCOL §7).
 */
import type { Cell, Value } from "../../../shared/protocol/acceptor.ts";
import type { Slot } from "../../../shared/protocol/slot.ts";
import { check } from "../violation.ts";
import type { Bits, Families } from "./families.ts";

interface Ballotage {
  readonly slot: Slot;
  readonly value: Value;
  by: Bits;
}

export class Votes {
  /** The highest slot that was voted. */
  highest = 0;
  #isActivated = false;
  /** Of all configurations; of a machine that is reconfigured horizontally, of this one. */
  readonly #chosen: Map<Slot, Value>;
  readonly #families: Families;
  readonly #onChosen: (slot: Slot, value: Value) => void;
  /** By ballot and slot. */
  readonly #votes = new Map<string, Ballotage>();

  constructor(families: Families, chosen: Map<Slot, Value>, onChosen: (slot: Slot, value: Value) => void) {
    this.#chosen = chosen;
    this.#families = families;
    this.#onChosen = onChosen;
  }

  chosen(slot: Slot): Value | undefined {
    return this.#chosen.get(slot);
  }

  /** The highest slot that is chosen. */
  get highestChosen(): number {
    return Math.max(0, ...this.#chosen.keys());
  }

  get isActivated(): boolean {
    return this.#isActivated;
  }

  activate(): void {
    this.#isActivated = true;
    for (const { slot, value, by } of this.#votes.values())
      if (this.#families.isWrite(by)) this.#choose(slot, value);
  }

  /** Whether this value was voted in this slot, chosen or not. */
  holds(slot: Slot, text: string): boolean {
    return [...this.#votes.values()].some((votes) => votes.slot === slot && votes.value.text === text);
  }

  voted(table: Bits, slot: Slot, vote: NonNullable<Cell["vote"]>): void {
    const key = `${slot}@${vote.ballot}`;
    const votes = this.#votes.get(key) ?? { slot, value: vote.value, by: 0 };
    this.#votes.set(key, votes);
    check(
      "ONE_VALUE_PER_BALLOT",
      votes.value.text === vote.value.text,
      () => `slot ${slot} at ${vote.ballot}: ${votes.value.text} and ${vote.value.text}`,
    );
    votes.by |= table;
    this.highest = Math.max(this.highest, slot);
    if (this.#isActivated && this.#families.isWrite(votes.by)) this.#choose(slot, vote.value);
  }

  #choose(slot: Slot, value: Value): void {
    const chosen = this.#chosen.get(slot);
    if (chosen === undefined) {
      this.#chosen.set(slot, value);
      this.#onChosen(slot, value);
    } else
      check("AGREEMENT", chosen.text === value.text, () => `slot ${slot}: ${chosen.text} and ${value.text}`);
  }
}
