/**
 * The port of the tables that acceptors are (PROTOCOL §11): made by the provisioner alone, each under a name with 128
 * fresh random bits and with a tag that says whose it is, and deleted when the registry has ordered that, or has no
 * record of them.
 */

import type { AcceptorServer } from "../protocol/pool.ts";
import type { AcceptorId } from "../protocol/quorum.ts";

export interface TaggedTable {
  readonly id: AcceptorId;
  readonly location: string;
  readonly ageMs: number;
}

export interface Tables {
  /** A new one, empty and kept for good. No two calls ever give the same. */
  create(): Promise<AcceptorServer>;
  /** Gone for good when it resolves, also when there was none. */
  delete(table: Pick<AcceptorServer, "id" | "location">): Promise<void>;
  /** Whether there is such a table now. */
  has(table: AcceptorServer): Promise<boolean>;
  /** Those with the tag, complete or not, whoever made them. */
  list(): Promise<readonly TaggedTable[]>;
}
