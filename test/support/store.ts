/**
 * Where the deployments of the end-to-end tests keep their tables, as the vitest config says (test/aws/use-dynamodb.ts),
 * and what befalls a table there.
 */
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ListTablesCommand } from "@aws-sdk/client-dynamodb";
import { awsPlace } from "../../shared/aws/clients.ts";
import { deploymentFile, readDeployment, type StoreKind } from "../../shared/runtime/deployment.ts";
import { deleteDynamodbTable, dynamodbClient, findIncarnation } from "../../shared/storage/dynamodb.ts";

export const STORE = (process.env.THESEUS_TEST_STORE ?? "sqlite") as StoreKind;

/** By whoever deletes tables by hand: nobody of the deployment is told. `location`: as status has it. */
export async function loseTable(location: string): Promise<void> {
  if (STORE === "sqlite")
    for (const ending of ["", "-wal", "-shm"]) rmSync(`${location}${ending}`, { force: true });
  else await inDynamodb(location, deleteDynamodbTable);
}

export async function hasTable(location: string): Promise<boolean> {
  if (STORE === "sqlite") return existsSync(location);
  return (await inDynamodb(location, findIncarnation)) !== undefined;
}

/** The ids of all tables that there are of the folder's deployment, sorted, on record or not. */
export async function tablesOf(dir: string): Promise<readonly string[]> {
  if (STORE === "sqlite") {
    const names = readdirSync(join(dir, "tables"));
    return [...new Set(names.map((name) => name.slice(0, name.indexOf("."))))].sort();
  }
  const { registry } = await readDeployment(deploymentFile(dir));
  const [{ id, location }] = registry.acceptors as [(typeof registry.acceptors)[number]];
  const prefix = nameOf(location).slice(0, -id.length);
  const names = await inDynamodb(location, (client) => allNames(client, prefix));
  return names.map((name) => name.slice(prefix.length)).sort();
}

async function allNames(
  client: ReturnType<typeof dynamodbClient>,
  prefix: string,
  after?: string,
): Promise<readonly string[]> {
  const page = after === undefined ? {} : { ExclusiveStartTableName: after };
  const { TableNames = [], LastEvaluatedTableName } = await client.send(new ListTablesCommand(page));
  const names = TableNames.filter((name) => name.startsWith(prefix));
  return LastEvaluatedTableName === undefined
    ? names
    : [...names, ...(await allNames(client, prefix, LastEvaluatedTableName))];
}

/** `act` is given the name of the table at `location`. */
export async function inDynamodb<Result>(
  location: string,
  act: (client: ReturnType<typeof dynamodbClient>, name: string) => Promise<Result>,
): Promise<Result> {
  const client = dynamodbClient(location.split("/")[0] as string, awsPlace("DYNAMODB"));
  try {
    return await act(client, nameOf(location));
  } finally {
    client.destroy();
  }
}

function nameOf(location: string): string {
  return location.slice(location.indexOf("/") + 1);
}
