/**
 * Documents as items of one small DynamoDB table: pk name, vn version, tx text. Conditions are written positively, as
 * those of the acceptors' tables are (dynamodb-verbs.ts).
 */
import { setTimeout as sleep } from "node:timers/promises";
import {
  ConditionalCheckFailedException,
  ContinuousBackupsUnavailableException,
  DeleteTableCommand,
  DescribeTableCommand,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  ResourceInUseException,
  ResourceNotFoundException,
  UpdateContinuousBackupsCommand,
  UpdateTableCommand,
  waitUntilTableExists,
  waitUntilTableNotExists,
} from "@aws-sdk/client-dynamodb";
import { awsPlace } from "../aws/clients.ts";
import { backoffMs } from "../backoff.ts";
import { Unavailable } from "../errors.ts";
import type { Document, Documents } from "./documents.ts";
import { createDynamodbTable, dynamodbClient, type NewTable } from "./dynamodb.ts";
import { describe, meaningOf } from "./dynamodb-error.ts";

/** What passes is waited for so often: throttling, a connection that a frozen function finds dead. */
const ATTEMPTS_MAX = 5;
/** Tables come and go within seconds; AWS promises nothing. */
const TABLE_SECONDS_MAX = 120;
/** For a while after its birth a table's backups cannot be switched on. */
const BACKUPS_MS_MAX = 120_000;
const BACKUPS_AGAIN_MS = 1_000;

/** `location`: `region/table`. @throws RangeError for one of another form, and when nothing says where AWS is. */
export function dynamodbDocuments(location: string): Documents {
  const { client, table } = placeOf(location);
  return new DynamodbDocuments(client, table, location);
}

/** There is one when it resolves, whoever made it, with point-in-time recovery if it is to be protected. */
export async function makeDocumentsTable(location: string, options: Omit<NewTable, "name">): Promise<void> {
  const { client, table } = placeOf(location);
  try {
    await patiently(location, () => createUnlessThere(client, { ...options, name: table }));
    if (options.isProtected) await patiently(location, () => switchBackupsOn(client, table));
  } finally {
    client.destroy();
  }
}

async function createUnlessThere(client: DynamoDBClient, table: NewTable): Promise<void> {
  try {
    await createDynamodbTable(client, table);
  } catch (error) {
    if (!(error instanceof ResourceInUseException)) throw error;
    await waitUntilTableExists({ client, maxWaitTime: TABLE_SECONDS_MAX }, { TableName: table.name });
  }
}

/** Said again, it changes nothing. */
async function switchBackupsOn(client: DynamoDBClient, TableName: string): Promise<void> {
  const PointInTimeRecoverySpecification = { PointInTimeRecoveryEnabled: true };
  const on = new UpdateContinuousBackupsCommand({ TableName, PointInTimeRecoverySpecification });
  const deadline = performance.now() + BACKUPS_MS_MAX;
  for (;;) {
    try {
      await client.send(on);
      return;
    } catch (error) {
      const isTooEarly = error instanceof ContinuousBackupsUnavailableException;
      if (!isTooEarly || performance.now() > deadline) throw error;
      await sleep(BACKUPS_AGAIN_MS);
    }
  }
}

/** Gone for good when it resolves, whatever protected it, and also when there was none. */
export async function deleteDocumentsTable(location: string): Promise<void> {
  const { client, table } = placeOf(location);
  const TableName = table;
  try {
    const { Table } = await client.send(new DescribeTableCommand({ TableName }));
    // What is to change nothing may be refused.
    if (Table?.DeletionProtectionEnabled)
      await client.send(new UpdateTableCommand({ TableName, DeletionProtectionEnabled: false }));
    await waitUntilTableExists({ client, maxWaitTime: TABLE_SECONDS_MAX }, { TableName });
    await client.send(new DeleteTableCommand({ TableName }));
    await waitUntilTableNotExists({ client, maxWaitTime: TABLE_SECONDS_MAX }, { TableName });
  } catch (error) {
    if (!(error instanceof ResourceNotFoundException)) throw error;
  } finally {
    client.destroy();
  }
}

class DynamodbDocuments implements Documents {
  readonly place: string;
  readonly #client: DynamoDBClient;
  readonly #table: string;

  constructor(client: DynamoDBClient, table: string, location: string) {
    this.#client = client;
    this.#table = table;
    this.place = location;
  }

  read(name: string): Promise<Document | undefined> {
    return patiently(this.place, async () => {
      const TableName = this.#table;
      const command = new GetItemCommand({ TableName, Key: { pk: { S: name } }, ConsistentRead: true });
      const { Item } = await this.#client.send(command);
      if (Item === undefined) return undefined;
      const [version, text] = [Number(Item.vn?.N), Item.tx?.S];
      if (!Number.isSafeInteger(version) || text === undefined)
        throw new RangeError(`its item ${name} is none of ours`);
      return { version, text };
    });
  }

  write(name: string, text: string, after: number): Promise<boolean> {
    const Item = { pk: { S: name }, vn: { N: String(after + 1) }, tx: { S: text } };
    const condition =
      after === 0
        ? { ConditionExpression: "attribute_not_exists(pk)" }
        : {
            ConditionExpression: "vn = :after",
            ExpressionAttributeValues: { ":after": { N: String(after) } },
          };
    return patiently(this.place, async () => {
      try {
        await this.#client.send(new PutItemCommand({ TableName: this.#table, Item, ...condition }));
        return true;
      } catch (error) {
        if (error instanceof ConditionalCheckFailedException) return false;
        throw error;
      }
    });
  }

  close(): void {
    this.#client.destroy();
  }
}

/** @throws Unavailable when what is wrong does not pass. */
async function patiently<Result>(place: string, act: () => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await act();
    } catch (error) {
      if (meaningOf(error) !== "passing" || attempt === ATTEMPTS_MAX) throw unusable(place, error);
      await sleep(backoffMs(attempt, Math.random));
    }
  }
}

function placeOf(location: string): { readonly client: DynamoDBClient; readonly table: string } {
  const [region, table, ...rest] = location.split("/");
  if (!region || !table || rest.length > 0)
    throw new RangeError(`"${location}" is not of the form region/table`);
  return { client: dynamodbClient(region, awsPlace("DYNAMODB")), table };
}

function unusable(place: string, error: unknown): Unavailable {
  const why = meaningOf(error) === "gone" ? "it is not there: deploy again, which makes it" : describe(error);
  return new Unavailable("unavailable", `the directory ${place} cannot be used: ${why}`, { cause: error });
}
