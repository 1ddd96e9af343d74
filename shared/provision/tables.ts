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
  /**
   * A new one, empty and kept for good, which may not be ready yet. No two calls ever give the same. It is made where the
   * fewest of `existing` are; `turn`: as if so many others, which are being made at the same time, were there already.
   * @throws when it cannot be made, or when nobody knows: one that was made all the same is in `list`.
   */
  create(existing: readonly AcceptorServer[], turn?: number): Promise<AcceptorServer>;
  /**
   * Whether it can be used, as safely as it is meant to be kept. Asked again and again until it is, since what protects a
   * table may have to wait for the table. One that is not there never is.
   */
  isReady(table: AcceptorServer): Promise<boolean>;
  /** Gone for good when it resolves, also when there was none. */
  delete(table: Pick<AcceptorServer, "id" | "location">): Promise<void>;
  /** Whether there is such a table now. */
  has(table: AcceptorServer): Promise<boolean>;
  /** Those with the tag, complete or not, whoever made them. `except`: not these, which need not be looked at. */
  list(except: ReadonlySet<AcceptorId>): Promise<readonly TaggedTable[]>;
}
