import { type Command, InvalidArgumentError } from "commander";
import { connect } from "../../shared/client/connect.ts";
import type { DeploymentStatus, NewQuorums, ReconfigureAnswer } from "../../shared/wire.ts";
import * as args from "../arguments.ts";
import { assertReachable, call } from "../call.ts";
import { type GlobalOptions, reaching } from "../options.ts";
import { printJson, printLine, printNote, table } from "../output.ts";

const NOTE_EVERY_MS = 2_000;

interface Options extends GlobalOptions {
  readonly replace?: string;
  readonly by?: string;
  readonly acceptors?: readonly string[];
}

export function addRegistry(program: Command): void {
  const registry = program.command("registry").description("the registry's own tables");
  registry
    .command("reconfigure")
    .description("replace the registry's tables while it serves; saying it again is harmless")
    .option("--replace <acceptor>", "the table that goes")
    .option("--by <acceptor>", "the one in its place (default: a spare)")
    .option("--acceptors <list>", "all its tables, with commas between; a majority decides", args.ids)
    .action((_: unknown, self: Command) =>
      reaching(self.optsWithGlobals<Options>(), reconfigure, "replace the registry's tables"),
    );
  registry
    .command("status")
    .description("show the registry's configuration and its tables")
    .action((_: unknown, self: Command) => reaching(self.optsWithGlobals<GlobalOptions>(), status));
}

function requestOf({ replace, by, acceptors }: Options): NewQuorums {
  if (replace !== undefined && acceptors === undefined)
    return by === undefined ? { replace } : { replace, by };
  if (acceptors !== undefined && replace === undefined && by === undefined)
    return { mode: "majority", acceptors };
  throw new InvalidArgumentError("Say either --replace ACCEPTOR, perhaps with --by, or --acceptors LIST.");
}

async function reconfigure(options: Options): Promise<void> {
  const outgoing = {
    method: "POST",
    path: "/v1/registry/reconfigure",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(requestOf(options)),
  };
  const answer = (await noting(options, call(options.url, "", outgoing))) as ReconfigureAnswer;
  const { number, mode, acceptors } = answer;
  if (options.json) printJson(answer);
  else printLine(`the registry is in configuration ${number} (${mode}): ${acceptors.join(", ")}`);
}

/** Whoever waits is told every so often that it goes on. */
async function noting<Result>({ json }: Options, work: Promise<Result>): Promise<Result> {
  const startedMs = performance.now();
  const timer = setInterval(() => {
    const seconds = Math.round((performance.now() - startedMs) / 1_000);
    printNote(
      json ? JSON.stringify({ waiting: seconds }) : `the registry's tables are being replaced (${seconds} s)`,
    );
  }, NOTE_EVERY_MS);
  try {
    return await work;
  } finally {
    clearInterval(timer);
  }
}

async function status({ url, json }: GlobalOptions): Promise<void> {
  await assertReachable(url);
  const theseus = connect(url);
  try {
    const { registry } = await theseus.status();
    if (json) printJson(registry);
    else printLine(textOf(registry));
  } finally {
    theseus.close();
  }
}

/** The tables that it is about to take or to leave are not in its configuration. */
function textOf(registry: DeploymentStatus["registry"]): string {
  const { configuration, mode, applied, outbox, address, acceptors, tables } = registry;
  const row = [`${configuration} (${mode})`, String(applied), String(outbox), address];
  const rows = tables.map(({ id, state, location }) => [
    id,
    acceptors.includes(id) ? "yes" : "no",
    state,
    location,
  ]);
  return [
    table([["CONFIGURATION", "APPLIED", "OUTBOX", "ADDRESS"], row]),
    table([["TABLE", "IN USE", "STATE", "LOCATION"], ...rows]),
  ].join("\n\n");
}
