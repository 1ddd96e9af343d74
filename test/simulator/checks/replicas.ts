/**
 * EXECUTED_IS_CHOSEN, UNACTIVATED and REPLICAS_AGREE: what each replica executes, slot by slot, and the state it is in then.
 */
import { Replica } from "../../../shared/protocol/replica.ts";
import type { Slot } from "../../../shared/protocol/slot.ts";
import type { Subject } from "../subject.ts";
import { type Check, check } from "../violation.ts";
import type { Canon } from "./canon.ts";
import type { Epochs } from "./epochs.ts";
import { faultOfMemory } from "./memory.ts";
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
  executed(name: string, before: Slot, slot: Slot, text: string, replica: Replica): void {
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
    this.#compare(name, slot, replica, "REPLICAS_AGREE");
  }

  /** A snapshot takes the place of the slots after `before`. */
  installed(name: string, before: Slot, slot: Slot, replica: Replica): void {
    check(
      "EXECUTED_IS_CHOSEN",
      slot > before && slot <= this.#canon.prefix && this.#tableChecks.isClaimed(slot),
      () => `${name} installed a snapshot of slot ${slot} after slot ${before}, and no Head ever claimed it`,
    );
    this.#compare(name, slot, replica, "REPLICAS_AGREE");
    this.checkMemory(name, replica);
  }

  /** What somebody would be who had nothing but this table. */
  restored(table: string, slot: Slot, frozen: Uint8Array): void {
    const replica = new Replica(this.#subject.code);
    replica.install(frozen);
    check("HEAD_CLAIM", replica.applied === slot, () => `${table} has slot ${replica.applied}, not ${slot}`);
    check("HEAD_CLAIM", slot <= this.#canon.prefix, () => `${table} has slot ${slot}, which is not chosen`);
    this.#compare(table, slot, replica, "HEAD_CLAIM");
    this.checkMemory(table, replica);
  }

  /** Whom it has answered what, and what is in the inboxes: as the log gives it, executed here or not. */
  checkMemory(name: string, replica: Replica): void {
    const fault = faultOfMemory(this.#subject, this.#canon, replica);
    check("AT_MOST_ONCE", fault === undefined, () => `${name} after slot ${replica.applied}: ${fault}`);
  }

  #compare(name: string, slot: Slot, { state, succession }: Replica, otherwise: Check): void {
    const summary = this.#subject.summary(state);
    const expected = this.#canon.summaryAt(slot);
    check(
      summary === expected || otherwise === "HEAD_CLAIM" ? otherwise : this.#subject.diagnose(state),
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
