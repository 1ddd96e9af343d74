/**
 * The acceptor port: one table, any number of machines in it. The memory, SQLite and DynamoDB adapters
 * differ only below `execute`, and all pass test/conformance.
 *
 * Each verb alone is atomic and linearizable; a list of them is neither a transaction nor ordered, so no
 * caller may rely on more than a single-item conditional write gives. `execute` never rejects: whatever
 * goes wrong is an outcome, and what may have happened is `unknown`.
 */
import type { Outcome, Verb } from "../protocol/acceptor.ts";
import type { MachineId } from "../protocol/configuration.ts";

export interface AcceptorStore {
  execute(machine: MachineId, verbs: readonly Verb[]): Promise<readonly Outcome[]>;
  close(): Promise<void>;
}
