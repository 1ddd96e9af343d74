import type { Command } from "commander";
import { connect } from "../../shared/client/connect.ts";
import type { LogLine } from "../../shared/wire.ts";
import * as args from "../arguments.ts";
import { assertReachable } from "../call.ts";
import { type GlobalOptions, reaching } from "../options.ts";
import { printJson, printLine, printNote } from "../output.ts";

interface Options extends GlobalOptions {
  readonly from?: number;
}

export function addLog(program: Command): void {
  program
    .command("log")
    .description("print what was chosen, slot by slot, through the newest")
    .argument("<machine/id>", "the machine, as in bank/main", args.address)
    .option(
      "--from <slot>",
      "the first slot to print (default: the first that is not trimmed)",
      args.slotNumber,
    )
    .action((machine: args.Address, _: unknown, self: Command) =>
      reaching(self.optsWithGlobals<Options>(), (options) => log(machine, options)),
    );
}

async function log({ machine, id }: args.Address, { url, json, from }: Options): Promise<void> {
  await assertReachable(url);
  const theseus = connect(url);
  try {
    const client = theseus.machine(machine, id);
    let next = from ?? 1;
    for await (const line of client.log(from === undefined ? {} : { from })) {
      if (line.slot > next) noteTrimmed(line.slot - 1);
      next = line.slot + 1;
      if (json) printJson(line);
      else printLine(textOf(line));
    }
    const { snapshot } = await client.status();
    if (next === 1 && snapshot > 0) noteTrimmed(snapshot);
  } finally {
    theseus.close();
  }
}

function noteTrimmed(through: number): void {
  printNote(`slots 1 to ${through} were trimmed: a snapshot took their place`);
}

const SLOT_WIDTH = 6;

/** A slot's commands below each other; a slot without any was filled by a new leader. */
function textOf({ slot, commands }: LogLine): string {
  const texts = commands.length === 0 ? ["(nothing)"] : commands.map((command) => JSON.stringify(command));
  return texts.map((text) => `${String(slot).padStart(SLOT_WIDTH)}  ${text}`).join("\n");
}
