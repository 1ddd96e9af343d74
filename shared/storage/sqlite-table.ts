/**
 * One table in one file, synchronously. Requests that come together share a transaction and so a flush
 * (group commit), and nothing else: every verb is atomic by itself, and a refused one undoes no other.
 *
 * `execute` answers what the file holds after the commit, `GONE` once the table is lost (for ever: a file
 * that comes back may be an older one), and `unknown` when the disk or the lock did not let it through.
 */
import { GONE, type Outcome, UNKNOWN, type Verb } from "../protocol/acceptor.ts";
import type { MachineId } from "../protocol/configuration.ts";
import { isDamage, isStorageError, whileBusy } from "./sqlite-error.ts";
import { damaged, identityOf, type Lost, lost, type Opened, openSqliteFile } from "./sqlite-file.ts";
import { sqliteVerbs } from "./sqlite-verbs.ts";

export interface TableRequest {
  readonly machine: MachineId;
  readonly verbs: readonly Verb[];
}
/** For each request, the outcome of each of its verbs, in their order. */
export type TableOutcomes = readonly (readonly Outcome[])[];

type OpenTable = Extract<Opened, { state: "open" }> & { readonly say: ReturnType<typeof sqliteVerbs> };
type Unopened = { readonly state: "unopened" };

export class SqliteTable {
  readonly #path: string;
  readonly #incarnation: string;
  readonly #warn: (sentence: string) => void;
  #table: OpenTable | Unopened | Lost = { state: "unopened" };

  /** `warn` is told, in a sentence for a person, why outcomes are `GONE` or unknown. */
  constructor(path: string, incarnation: string, warn: (sentence: string) => void) {
    this.#path = path;
    this.#incarnation = incarnation;
    this.#warn = warn;
  }

  get isLost(): boolean {
    return this.#table.state === "lost";
  }

  /** Whether the open file is the path's file no more; asked while nobody uses the table, so that it is let go of. */
  hasGone(): boolean {
    const table = this.#table;
    if (table.state === "open" && identityOf(this.#path) !== table.identity) this.#lose(this.#replaced());
    return this.isLost;
  }

  execute(requests: readonly TableRequest[]): TableOutcomes {
    try {
      const table = this.#opened();
      if (table.state === "open") {
        const outcomes = this.#commit(table, requests);
        if (outcomes !== undefined) return outcomes;
        this.#lose(this.#replaced());
      }
      return everywhere(requests, GONE);
    } catch (error) {
      if (!isStorageError(error)) throw error;
      if (isDamage(error)) {
        this.#lose(damaged(this.#path, error));
        return everywhere(requests, GONE);
      }
      this.#warn(`The table ${this.#path} cannot be used now: ${error.message}.`);
      return everywhere(requests, UNKNOWN);
    }
  }

  close(): void {
    if (this.#table.state === "open") this.#table.database.close();
    this.#table = { state: "unopened" };
  }

  #opened(): OpenTable | Lost {
    if (this.#table.state !== "unopened") return this.#table;
    const opened = openSqliteFile(this.#path, this.#incarnation);
    if (opened.state === "lost") return this.#lose(opened);
    const table = { ...opened, say: sqliteVerbs(opened.database) };
    this.#table = table;
    return table;
  }

  /**
   * One transaction; undefined when the open file is not the path's file. That is asked before the commit,
   * to leave a lost file as it is, and after it, since only what the path's file holds may be reported.
   */
  #commit(
    { database, identity, say }: OpenTable,
    requests: readonly TableRequest[],
  ): TableOutcomes | undefined {
    // Readers need not wait for whoever writes, or stands still in the middle of writing.
    const isReading = requests.every(({ verbs }) => verbs.every(({ verb }) => verb === "read"));
    whileBusy(() => database.exec(isReading ? "BEGIN" : "BEGIN IMMEDIATE"));
    try {
      const outcomes = requests.map(({ machine, verbs }) => verbs.map((verb) => say(machine, verb)));
      if (identityOf(this.#path) !== identity) return undefined;
      database.exec("COMMIT");
      return identityOf(this.#path) === identity ? outcomes : undefined;
    } finally {
      if (database.isTransaction) database.exec("ROLLBACK");
    }
  }

  #replaced(): Lost {
    return lost(`The table ${this.#path} was deleted or replaced while it was open.`);
  }

  #lose(to: Lost): Lost {
    if (this.#table.state === "open") this.#table.database.close();
    this.#table = to;
    this.#warn(to.reason);
    return to;
  }
}

function everywhere(requests: readonly TableRequest[], outcome: Outcome): TableOutcomes {
  return requests.map(({ verbs }) => verbs.map(() => outcome));
}
