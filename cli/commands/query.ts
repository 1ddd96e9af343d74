import type { Command } from "commander";
import type { QueryAnswer } from "../../shared/wire.ts";
import * as args from "../arguments.ts";
import { call } from "../call.ts";
import { type GlobalOptions, reaching } from "../options.ts";
import { printJson, printLine, shown } from "../output.ts";

interface Options extends GlobalOptions {
  readonly stale?: true;
}

export function addQuery(program: Command): void {
  program
    .command("query")
    .description("ask the machine's newest state a question")
    .argument("<machine/id>", "the machine, as in bank/main", args.address)
    .argument("<query>", "the query's name")
    .argument("[args]", "its argument, as JSON or as a plain word", args.jsonOrText)
    .option("--stale", "answered at once by whoever is asked, perhaps from an older state")
    .action((machine: args.Address, name: string, argument: unknown, _: unknown, self: Command) =>
      reaching(self.optsWithGlobals<Options>(), (options) => query(machine, name, argument, options)),
    );
}

async function query(
  { machine, id }: args.Address,
  name: string,
  argument: unknown,
  { url, json, stale }: Options,
): Promise<void> {
  const consistency = stale ? "stale" : "linearizable";
  const answer = (await call(url, `${machine}/${id}`, {
    method: "POST",
    path: `/v1/machines/${machine}/${id}/queries/${encodeURIComponent(name)}?consistency=${consistency}`,
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ args: argument }),
  })) as QueryAnswer;
  if (json) printJson(answer);
  else printLine(shown(answer.result));
}
