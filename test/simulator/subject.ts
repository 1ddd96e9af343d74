/**
 * The machine that a run replicates, twice: as the code that the product executes, and as a reference that
 * the checkers execute, which shares no state handling with it.
 */
import type { MachineCode } from "../../shared/protocol/replica.ts";
import type { Check } from "./violation.ts";

/** What a command comes to: the parts of a reply that the machine decides. */
export type Result = { readonly response: string; readonly refused?: true } | { readonly error: string };

/** The state of a machine after the chosen log, by an implementation of its own. */
export interface Reference {
  execute(command: unknown): Result;
  /** What a read answers, and what replicas are compared by. */
  summary(): string;
}

export interface Subject {
  readonly code: MachineCode;
  reference(): Reference;
  summary(state: unknown): string;
  /** What only replicas can be compared by: what their contexts offered them. */
  fingerprint(state: unknown): string;
  /** The inbox to which every command that is executed sends a message, if the machine has one. */
  readonly inbox?: { readonly client: string; message(command: unknown): unknown };
  /** Which check a state fails that is not the reference's. */
  diagnose(state: unknown): Check;
  /** A command that no other command equals. */
  command(unique: number, random: () => number): unknown;
}
