/** What a deployment knows, and no stack owns: its tables, found by their tags and names. */
import { setTimeout as sleep } from "node:timers/promises";
import { DescribeTableCommand, ResourceNotFoundException } from "@aws-sdk/client-dynamodb";
import type { AwsPlace } from "../../shared/aws/clients.ts";
import { Unavailable } from "../../shared/errors.ts";
import { DynamodbTables } from "../../shared/provision/tables-dynamodb.ts";
import { deleteDocumentsTable } from "../../shared/storage/documents-dynamodb.ts";
import { dynamodbClient } from "../../shared/storage/dynamodb.ts";
import { awsTrouble } from "./trouble.ts";

const POLL_MS = 1_000;
const DELETE_MS_MAX = 120_000;

/** Each as `region/table`. */
export async function stateOf(
  deployment: string,
  regions: readonly string[],
  place: AwsPlace,
): Promise<readonly string[]> {
  return withTables(deployment, regions, place, async (tables) => {
    const acceptors = (await tables.list(new Set())).map(({ location }) => location);
    const directories = await Promise.all(
      regions.map(async (region) =>
        (await hasDirectory(deployment, region, place)) ? [directory(deployment, region)] : [],
      ),
    );
    return [...acceptors, ...directories.flat()].sort();
  });
}

/** Of everything; there is no way back. The directories first: without them nobody finds a registry that orders more. */
export async function deleteState(
  deployment: string,
  regions: readonly string[],
  place: AwsPlace,
): Promise<void> {
  for (const region of regions)
    if (await hasDirectory(deployment, region, place))
      await deleteDocumentsTable(directory(deployment, region));
  const deadline = performance.now() + DELETE_MS_MAX;
  await withTables(deployment, regions, place, async (tables) => {
    for (const table of await tables.list(new Set())) await tables.delete(table);
  });
  while ((await stateOf(deployment, regions, place)).length > 0) {
    if (performance.now() > deadline)
      throw new Unavailable("unavailable", `tables of ${deployment} are still there: say it again`);
    await sleep(POLL_MS);
  }
}

async function withTables<Result>(
  deployment: string,
  regions: readonly string[],
  place: AwsPlace,
  act: (tables: DynamodbTables) => Promise<Result>,
): Promise<Result> {
  const tables = new DynamodbTables({ deployment, regions, isProtected: false, place, warn: () => {} });
  try {
    return await act(tables);
  } finally {
    await tables.close();
  }
}

function directory(deployment: string, region: string): string {
  return `${region}/theseus-${deployment}-directory`;
}

async function hasDirectory(deployment: string, region: string, place: AwsPlace): Promise<boolean> {
  const client = dynamodbClient(region, place);
  const [, name = ""] = directory(deployment, region).split("/");
  try {
    const { Table } = await client.send(new DescribeTableCommand({ TableName: name }));
    return Table !== undefined && Table.TableStatus !== "DELETING";
  } catch (error) {
    if (error instanceof ResourceNotFoundException) return false;
    throw awsTrouble(error, "dynamodb:DescribeTable", place);
  } finally {
    client.destroy();
  }
}
