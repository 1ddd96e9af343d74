/** Tables of DynamoDB for a test, in an emulator. */
import { randomBytes } from "node:crypto";
import { DeleteTableCommand } from "@aws-sdk/client-dynamodb";
import {
  createDynamodbTable,
  dynamodbClient,
  dynamodbStore,
  type TableRecord,
} from "../../shared/storage/dynamodb.ts";
import type { AcceptorStore } from "../../shared/storage/store.ts";

export const REGION = "eu-central-1";

export interface Table extends TableRecord {
  readonly name: string;
  readonly endpoint: string;
}

export async function newTable(endpoint: string, name = freshName()): Promise<Table> {
  const client = dynamodbClient(REGION, { endpoint });
  try {
    const tags = { "theseus:deployment": "test" };
    return { ...(await createDynamodbTable(client, { name, tags, isProtected: false })), name, endpoint };
  } finally {
    client.destroy();
  }
}

export async function deleteTable({ name, endpoint }: Table): Promise<void> {
  const client = dynamodbClient(REGION, { endpoint });
  try {
    await client.send(new DeleteTableCommand({ TableName: name }));
  } finally {
    client.destroy();
  }
}

/** `warned` gets what a person would be told. */
export function storeOn({ name, incarnation, endpoint }: Table, warned: string[] = []): AcceptorStore {
  return dynamodbStore(name, incarnation, dynamodbClient(REGION, { endpoint }), (sentence) =>
    warned.push(sentence),
  );
}

export function freshName(): string {
  return `theseus-${randomBytes(16).toString("hex")}`;
}
