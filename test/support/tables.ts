/** What lies in the tables' files, read beside whoever uses them. */
import { DatabaseSync } from "node:sqlite";

export interface TableContents {
  readonly covered: number;
  readonly snapshotSlot: number;
  /** Chunks and parts. */
  readonly contents: number;
}

/** Of one machine in one table. */
export function contentsOf(location: string, machine: string): TableContents {
  const database = new DatabaseSync(location, { readOnly: true });
  try {
    const head = database.prepare("SELECT covered, snapshot_slot FROM head WHERE machine = ?").get(machine);
    const { contents } = database
      .prepare("SELECT count(*) AS contents FROM content WHERE machine = ?")
      .get(machine) as { contents: number };
    return { covered: Number(head?.covered), snapshotSlot: Number(head?.snapshot_slot), contents };
  } finally {
    database.close();
  }
}

/** Nobody else can write to it until the returned function is called. */
export function lockTable(location: string): () => void {
  const database = new DatabaseSync(location);
  database.exec("PRAGMA busy_timeout = 5000; BEGIN IMMEDIATE");
  return () => {
    database.exec("ROLLBACK");
    database.close();
  };
}
