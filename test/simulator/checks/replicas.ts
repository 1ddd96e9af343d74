/**
 * EXECUTED_IS_CHOSEN, UNACTIVATED and REPLICAS_AGREE: what each replica executes, slot by slot, and the state it is in then.
 */
import type { Replica } from "../../../shared/protocol/replica.ts";
import type { Slot } from "../../../shared/protocol/slot.ts";
import type { Subject } from "../subject.ts";
import { check } from "../violation.ts";
import type { Canon } from "./canon.ts";
import type { Epochs } from "./epochs.ts";
import type { TableChecks } from "./tables.ts";

export class Replicas {
  readonly #subject: Subject;
  readonly #canon: Canon;
  readonly #tableChecks: TableChecks;
  readonly #epochs: Epochs | undefined;
  /** Of the first replica that executed each slot. */
  readonly #fingerprints = new Map<Slot, string>();

  constructor(subject: Subject, canon: Canon, tableChecks: TableChecks, epochs?: Epochs) {
    this.#epochs = epochs;
    this.#subject = subject;
    this.#canon = canon;
    this.#tableChecks = tableChecks;
  }

  /** `before`: the slot that this replica executed last. */
  executed(name: string, before: Slot, slot: Slot, text: string, { state, succession }: Replica): void {
    check(
      "EXECUTED_IS_CHOSEN",
      slot === before + 1,
      () => `${name} executed slot ${slot} after slot ${before}`,
    );
    const chosen = this.#tableChecks.chosen.get(slot)?.text;
    check(
      chosen === text ? "EXECUTED_IS_CHOSEN" : this.#tableChecks.diagnose(slot, text, "EXECUTED_IS_CHOSEN"),
      chosen === text,
      () => `${name} executed ${text} in slot ${slot}, where ${chosen ?? "nothing"} is chosen`,
    );
    const summary = this.#subject.summary(state);
    const expected = this.#canon.summaryAt(slot);
    check(
      summary === expected ? "REPLICAS_AGREE" : this.#subject.diagnose(state),
      summary === expected,
      () => `${name} is in state ${summary} after slot ${slot}, and the log gives ${expected}`,
    );
    const epochs = this.#epochs?.textAt(slot);
    check(
      "EPOCHS",
      epochs === (succession && JSON.stringify(succession)),
      () => `${name} is in ${JSON.stringify(succession)} after slot ${slot}, and the log gives ${epochs}`,
    );
    this.#checkFingerprint(name, slot, this.#subject.fingerprint(state));
  }

  #checkFingerprint(name: string, slot: Slot, fingerprint: string): void {
    const first = this.#fingerprints.get(slot) ?? fingerprint;
    this.#fingerprints.set(slot, first);
    check(
      "REPLICAS_AGREE",
      first === fingerprint,
      () => `${name} was offered another time or other random numbers than the first replica in slot ${slot}`,
    );
  }
}
