/** What lies in the tables, read beside whoever uses them. */
import { DatabaseSync } from "node:sqlite";
import { ScanCommand } from "@aws-sdk/client-dynamodb";
import { inDynamodb, STORE } from "./store.ts";

export interface TableContents {
  /** Undefined: there is no Head. */
  readonly covered: number | undefined;
  readonly snapshotSlot: number | undefined;
  /** Chunks and parts. */
  readonly contents: number;
  /** The keys of the cells that have a vote. */
  readonly votes: readonly string[];
}

/** Of one machine in one table. */
export function contentsOf(location: string, machine: string): Promise<TableContents> {
  return STORE === "sqlite" ? inFile(location, machine) : inTable(location, machine);
}

async function inFile(location: string, machine: string): Promise<TableContents> {
  const database = new DatabaseSync(location, { readOnly: true });
  const rows = (query: string) => database.prepare(query).all(machine);
  try {
    const [head] = rows("SELECT covered, snapshot_slot FROM head WHERE machine = ?");
    return {
      covered: numberOf(head?.covered),
      snapshotSlot: numberOf(head?.snapshot_slot),
      contents: rows("SELECT key FROM content WHERE machine = ?").length,
      votes: rows("SELECT key FROM cell WHERE machine = ? AND vote IS NOT NULL").map(({ key }) =>
        String(key),
      ),
    };
  } finally {
    database.close();
  }
}

async function inTable(location: string, machine: string): Promise<TableContents> {
  const items = await inDynamodb(location, async (client, TableName) => {
    // Of a page at most: what these tests make of one machine is far below a megabyte.
    const { Items = [], LastEvaluatedKey } = await client.send(
      new ScanCommand({ TableName, ConsistentRead: true, ProjectionExpression: "pk, si, ss, vb" }),
    );
    if (LastEvaluatedKey !== undefined) throw new Error(`${TableName} has more than a page`);
    return Items;
  });
  const ours = new Map(
    items
      .filter(({ pk }) => pk?.S?.startsWith(`${machine}#`))
      .map((item) => [String(item.pk?.S).slice(machine.length + 1), item]),
  );
  const head = ours.get("H");
  const keys = [...ours.keys()];
  return {
    covered: numberOf(head?.si?.N),
    snapshotSlot: numberOf(head?.ss?.N),
    contents: keys.filter((key) => /^[AS]#/.test(key)).length,
    votes: keys.filter((key) => ours.get(key)?.vb !== undefined),
  };
}

function numberOf(value: unknown): number | undefined {
  return value === undefined ? undefined : Number(value);
}

/** Of files alone. Nobody else can write to it until the returned function is called. */
export function lockTable(location: string): () => void {
  const database = new DatabaseSync(location);
  database.exec("PRAGMA busy_timeout = 5000; BEGIN IMMEDIATE");
  return () => {
    database.exec("ROLLBACK");
    database.close();
  };
}
