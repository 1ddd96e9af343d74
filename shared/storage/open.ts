/** The adapter for an acceptor, by the kind that the registry has on record. */
import type { AcceptorServer } from "../protocol/registry.ts";
import { openDynamodb } from "./open-dynamodb.ts";
import { sqliteStore } from "./sqlite.ts";
import type { AcceptorStore } from "./store.ts";

/** @throws RangeError for a kind that this version does not have, or a location that it cannot read. */
export function openStore(server: AcceptorServer): AcceptorStore {
  const { id, kind, location, incarnation } = server;
  if (kind === "sqlite") return sqliteStore(location, incarnation);
  if (kind === "dynamodb") return openDynamodb(server);
  throw new RangeError(`acceptor ${id} is of kind "${kind}", which this version does not know`);
}
