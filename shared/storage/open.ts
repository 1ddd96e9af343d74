/** The adapter for an acceptor, by the kind that the registry has on record. */
import { awsPlace } from "../aws/clients.ts";
import { UNKNOWN } from "../protocol/acceptor.ts";
import type { AcceptorServer } from "../protocol/registry.ts";
import { sqliteStore } from "./sqlite.ts";
import type { AcceptorStore } from "./store.ts";

/** @throws RangeError for a kind that this version does not have, or a location that it cannot read. */
export function openStore(server: AcceptorServer): AcceptorStore {
  const { id, kind, location, incarnation } = server;
  if (kind === "sqlite") return sqliteStore(location, incarnation);
  if (kind === "dynamodb") return openDynamodb(server);
  throw new RangeError(`acceptor ${id} is of kind "${kind}", which this version does not know`);
}

/** The AWS SDK is loaded with the first table that needs it, so that others neither wait for it nor have to have it. */
function openDynamodb({ id, location, incarnation }: AcceptorServer): AcceptorStore {
  const [region, table, ...rest] = location.split("/");
  if (!region || !table || rest.length > 0)
    throw new RangeError(`acceptor ${id} is at "${location}", which is not of the form region/table`);
  const place = awsPlace("DYNAMODB");
  const opened = import("./dynamodb.ts").then(
    ({ dynamodbClient, dynamodbStore }) => dynamodbStore(table, incarnation, dynamodbClient(region, place)),
    (error: unknown) =>
      process.emitWarning(
        `acceptor ${id} cannot be opened (${error}): npm install @aws-sdk/client-dynamodb`,
        "TableWarning",
      ),
  );
  return {
    async execute(machine, verbs) {
      const store = await opened;
      return store === undefined ? verbs.map(() => UNKNOWN) : store.execute(machine, verbs);
    },
    async close() {
      await (await opened)?.close();
    },
  };
}
