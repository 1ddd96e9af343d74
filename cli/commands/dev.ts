import { basename, extname, join } from "node:path";
import type { Command } from "commander";
import * as args from "../arguments.ts";
import { dev } from "../dev/dev.ts";
import { jsonOf, textOf } from "../dev/print.ts";
import type { GlobalOptions } from "../options.ts";
import { printLine } from "../output.ts";

const PORT = 7707;
const LEADERS = 2;

interface Options extends GlobalOptions {
  readonly dir?: string;
  readonly port: number;
  readonly leaders: number;
}

export function addDev(program: Command): void {
  program
    .command("dev")
    .description("run a whole deployment on this machine, its state kept in a folder")
    .argument("<file>", "the TypeScript or JavaScript file that exports the machines")
    .option("--dir <folder>", "where the state is kept (default: .theseus/ and the file's name)")
    .option("--port <number>", "the address is http://127.0.0.1:PORT; 0: any free port", args.port, PORT)
    .option("--leaders <number>", "how many leader processes", args.leaderCount, LEADERS)
    .action((file: string, _: unknown, command: Command) => run(file, command.optsWithGlobals<Options>()));
}

function run(file: string, { dir = defaultDir(file), port, leaders, json }: Options): Promise<void> {
  const shown = json ? jsonOf : textOf;
  return dev({ file, dir, port, leaders, report: (event) => printLine(shown(event)) });
}

function defaultDir(file: string): string {
  return join(".theseus", basename(file, extname(file)));
}
