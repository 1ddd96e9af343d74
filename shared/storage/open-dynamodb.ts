/** Acceptors that are DynamoDB tables. */
import { awsPlace } from "../aws/clients.ts";
import { UNKNOWN } from "../protocol/acceptor.ts";
import type { AcceptorServer } from "../protocol/registry.ts";
import type { AcceptorStore } from "./store.ts";

/**
 * The AWS SDK is loaded with the first table that needs it, so that others neither wait for it nor have to have it.
 * @throws RangeError for another kind, or a location that it cannot read.
 */
export function openDynamodb({ id, kind, location, incarnation }: AcceptorServer): AcceptorStore {
  if (kind !== "dynamodb")
    throw new RangeError(`acceptor ${id} is of kind "${kind}", and not a DynamoDB table`);
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
