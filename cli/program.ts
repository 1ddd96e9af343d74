/** The command `theseus` as a whole: its verbs, and what --help says. */
import { readFileSync } from "node:fs";
import { findPackageJSON } from "node:module";
import { Command } from "commander";
import { addAws } from "./commands/aws.ts";
import { addCost } from "./commands/cost.ts";
import { addDev } from "./commands/dev.ts";
import { addDrain } from "./commands/drain.ts";
import { addLog } from "./commands/log.ts";
import { addQuery } from "./commands/query.ts";
import { addReconfigure } from "./commands/reconfigure.ts";
import { addRegistry } from "./commands/registry.ts";
import { addSend } from "./commands/send.ts";
import { addStatus } from "./commands/status.ts";
import { addGlobalOptions } from "./options.ts";

const EPILOGUE = `
Examples:
  theseus dev examples/bank.ts
  theseus send bank/main '{"type":"deposit","account":"alice","amount":2000}'
  theseus query bank/main balance alice
  theseus log bank/main --from 10
  theseus status --json
  theseus reconfigure bank/main --replace a1-0123…
  theseus drain leader-1
  theseus registry reconfigure --replace r1-0123…
  theseus aws local
  theseus status --stack theseus-bank
  theseus cost --commands-per-second 1000

Exit codes:
  0  done; a command that its machine refused was executed too, and "refused" is said
  1  failed, or refused by the system: nothing was executed
  2  the command line is wrong
  3  the outcome is unknown: it may have been executed
`;

/** @throws CommanderError for a wrong command line, and for --help and --version once they are printed. */
export function theseusProgram(): Command {
  const program = new Command("theseus")
    .description("Replicated state machines that outlive every server they run on.")
    .version(version())
    .exitOverride()
    // Whoever calls prints the error, as a sentence or as JSON.
    .configureOutput({ outputError: () => {} })
    .addHelpText("after", EPILOGUE);
  addGlobalOptions(program);
  for (const add of [
    addDev,
    addSend,
    addQuery,
    addStatus,
    addLog,
    addReconfigure,
    addDrain,
    addRegistry,
    addAws,
    addCost,
  ])
    add(program);
  return program;
}

function version(): string {
  const file = findPackageJSON(import.meta.url) as string;
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}
