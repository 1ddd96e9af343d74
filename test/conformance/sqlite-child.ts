/**
 * A process that votes on a table: `writers` writers vote slot after slot at one ballot, each its own value,
 * and archive each slot they win. The first line is the state that inspection finds. What is acknowledged is
 * printed, a line each: "won slot writer" and "archived slot writer"; "unknown" when an outcome is; "lost"
 * when the table is gone, and that is the end.
 * Ends as well once slot `last` is voted, or at the first unknown outcome if `last` is 0.
 *
 * Arguments: path, incarnation, name, writers, last.
 */
import { writeSync } from "node:fs";
import type { Outcome, Verb } from "../../shared/protocol/acceptor.ts";
import type { MachineId } from "../../shared/protocol/configuration.ts";
import { inspectSqliteTable, sqliteStore } from "../../shared/storage/sqlite.ts";
import { b2, chunk, contentVerbs, createCell, value, vote } from "./items.ts";

const [path, incarnation, name, writers, last] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string,
];
const MACHINE = "conformance/voted" as MachineId;
const STDOUT = 1;
/** Large enough that a few hundred slots pass several checkpoints. */
const FILLER = "filler ".repeat(600);

const store = sqliteStore(path, incarnation);
let done = false;
print(inspectSqliteTable(path, incarnation).state);
await say(createCell);
await Promise.all(Array.from({ length: Number(writers) }, (_, writer) => write(`${name}${writer}`)));
await store.close();

async function write(writer: string): Promise<void> {
  let seen = 0;
  while (!done && (last === "0" || seen < Number(last))) {
    const slot = seen + 1;
    const outcome = await say(vote(b2, slot, `${writer} ${FILLER}`));
    if (outcome.outcome === "applied") {
      print(`won ${slot} ${writer}`);
      seen = slot;
      const archived = await say(contentVerbs(chunk(slot), value(`${writer} ${FILLER}`)).put);
      if (archived.outcome === "applied") print(`archived ${slot} ${writer}`);
    } else if (outcome.outcome === "refused" && outcome.by?.kind === "cell") seen = outcome.by.slot;
  }
}

async function say(verb: Verb): Promise<Outcome> {
  for (;;) {
    const [outcome] = await store.execute(MACHINE, [verb]);
    if (outcome === undefined) throw new Error("a verb without an outcome");
    if (outcome.outcome === "refused" && outcome.gone) {
      print("lost");
      done = true;
    }
    if (outcome.outcome !== "unknown") return outcome;
    print("unknown");
    if (last !== "0") continue;
    done = true;
    return outcome;
  }
}

/** One write per line: what the process said before it was killed is what the pipe holds. */
function print(line: string): void {
  const bytes = Buffer.from(`${line}\n`);
  for (let written = 0; written < bytes.length; )
    try {
      written += writeSync(STDOUT, bytes, written);
    } catch (error) {
      // Whoever reads is slow, and the pipe is full.
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
    }
}
