/** The adapter for an acceptor, by the kind that the registry has on record. */
import type { AcceptorServer } from "../protocol/registry.ts";
import { sqliteStore } from "./sqlite.ts";
import type { AcceptorStore } from "./store.ts";

/** @throws RangeError for a kind that this version does not have. */
export function openStore({ id, kind, location, incarnation }: AcceptorServer): AcceptorStore {
  if (kind === "sqlite") return sqliteStore(location, incarnation);
  throw new RangeError(`acceptor ${id} is of kind "${kind}", which this version does not know`);
}
