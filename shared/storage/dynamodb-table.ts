/**
 * A table's birth, and how one tells it from any other that ever had its name (PROTOCOL §11).
 *
 * DynamoDB gives every table an id, and another one to a table created or restored under the same name: that id is the
 * incarnation. DynamoDB Local has none; there it is the moment of creation.
 */
import {
  CreateTableCommand,
  DeleteTableCommand,
  DescribeTableCommand,
  type DynamoDBClient,
  GetItemCommand,
  ResourceNotFoundException,
  type TableDescription,
  waitUntilTableExists,
} from "@aws-sdk/client-dynamodb";

/** Tables are there within seconds; AWS promises nothing. */
const CREATE_SECONDS_MAX = 120;
const LOOK_SECONDS_MAX = 5;
/** No item has it: whoever may use a table at all may ask for it (infra/permissions.ts). */
export const NOBODYS_KEY = "-";

export interface NewTable {
  /** Never used before: names hold 128 random bits. 3 to 255 of A–Z, a–z, 0–9, "_", "-" and ".". */
  readonly name: string;
  readonly tags: Readonly<Record<string, string>>;
  /** It cannot be deleted before that is taken back. */
  readonly isProtected: boolean;
}

/** What the registry has on record for an acceptor. */
export interface TableRecord {
  readonly location: string;
  readonly incarnation: string;
}

/**
 * Creates a table, paid for by use, and waits until it can be used.
 * @throws as `beginDynamodbTable` does, or when that takes longer than two minutes.
 */
export async function createDynamodbTable(client: DynamoDBClient, table: NewTable): Promise<TableRecord> {
  const record = await beginDynamodbTable(client, table);
  await waitUntilUsable(client, table.name);
  return record;
}

/**
 * The same without waiting: it can be used once its status is ACTIVE.
 * @throws when it cannot be created, or when nobody knows: say it again with another name, and leave this one, should
 * it exist, to whoever removes what has the tags and is on no record.
 */
export async function beginDynamodbTable(
  client: DynamoDBClient,
  { name, tags, isProtected }: NewTable,
): Promise<TableRecord> {
  const created = await client.send(
    new CreateTableCommand({
      TableName: name,
      BillingMode: "PAY_PER_REQUEST",
      KeySchema: [{ AttributeName: "pk", KeyType: "HASH" }],
      AttributeDefinitions: [{ AttributeName: "pk", AttributeType: "S" }],
      Tags: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })),
      DeletionProtectionEnabled: isProtected,
    }),
  );
  const incarnation = incarnationOf(created.TableDescription);
  return { location: locationText(await client.config.region(), name), incarnation };
}

/** The incarnation of the table that has the name now. @throws ResourceNotFoundException when there is none. */
export async function incarnationNow(client: DynamoDBClient, TableName: string): Promise<string> {
  try {
    const { Table } = await client.send(new DescribeTableCommand({ TableName }));
    return incarnationOf(Table);
  } catch (error) {
    if (!(error instanceof ResourceNotFoundException)) throw error;
    // DescribeTable may be behind for a moment, and a table must not be called lost for that: a read is not.
    const Key = { pk: { S: NOBODYS_KEY } };
    await client.send(new GetItemCommand({ TableName, Key, ConsistentRead: true }));
    throw new Error(`DescribeTable does not know ${TableName} yet`);
  }
}

/** As `incarnationNow`; undefined: there is no such table. */
export async function findIncarnation(client: DynamoDBClient, name: string): Promise<string | undefined> {
  return incarnationNow(client, name).catch(unlessMissing);
}

/** Gone for good when it resolves, also when there was none. One that is still being made is waited for. */
export async function deleteDynamodbTable(client: DynamoDBClient, name: string): Promise<void> {
  if ((await findIncarnation(client, name)) === undefined) return;
  await waitUntilUsable(client, name);
  await client.send(new DeleteTableCommand({ TableName: name })).catch(unlessMissing);
}

/** `region/table`. */
export function locationText(region: string, name: string): string {
  return `${region}/${name}`;
}

async function waitUntilUsable(client: DynamoDBClient, TableName: string): Promise<void> {
  await waitUntilTableExists(
    { client, maxWaitTime: CREATE_SECONDS_MAX, minDelay: 1, maxDelay: LOOK_SECONDS_MAX },
    { TableName },
  );
}

function unlessMissing(error: unknown): undefined {
  if (!(error instanceof ResourceNotFoundException)) throw error;
}

export function incarnationOf(table: TableDescription | undefined): string {
  const incarnation = table?.TableId ?? table?.CreationDateTime?.getTime().toString();
  if (incarnation === undefined) throw new Error("a table without an id or a moment of creation");
  return incarnation;
}
