/**
 * A configuration: a number, its acceptors, which of them are witnesses, and its quorums (PROTOCOL §1).
 * That c is a machine's configuration is a stable fact, so whoever has one may keep it.
 */
import type { ConfigurationNumber } from "./ballot.ts";
import type { QuorumSpec } from "./quorum.ts";

export interface Configuration {
  readonly number: ConfigurationNumber;
  /** The configuration it was proposed to replace; 0 for a machine's first one. */
  readonly previous: number;
  readonly quorums: QuorumSpec;
}

/** One replicated state machine: `name/id`, as it is addressed. */
export type MachineId = string & { readonly brand: "MachineId" };
