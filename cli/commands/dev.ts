import { extname, join, relative, resolve } from "node:path";
import { type Command, Option } from "commander";
import type { Threshold } from "../../shared/protocol/endorsement.ts";
import { STORE_KINDS, type StoreKind } from "../../shared/runtime/deployment.ts";
import { SNAPSHOT_SLOTS } from "../../shared/runtime/snapshots/pace.ts";
import * as args from "../arguments.ts";
import { dev } from "../dev/dev.ts";
import type { DevEvent } from "../dev/events.ts";
import { jsonOf, textOf } from "../dev/print.ts";
import type { GlobalOptions } from "../options.ts";
import { printLine } from "../output.ts";

const PORT = 7707;
const LEADERS = 2;
/** 2f + 1 with f = 1: the talk's three servers. */
const TABLES = 3;
const SPARES = 1;

interface Options extends GlobalOptions {
  readonly dir?: string;
  readonly port: number;
  readonly leaders: number;
  readonly tables: number;
  readonly store?: StoreKind;
  readonly spares: number;
  readonly endorsements: Threshold;
  readonly snapshotSlots: number;
}

export function addDev(program: Command): void {
  program
    .command("dev")
    .description("run a whole deployment on this machine, its state kept in a folder")
    .argument("<file>", "the TypeScript or JavaScript file that exports the machines")
    .option("--dir <folder>", "where the state is kept (default: .theseus/ and the file's path)", args.folder)
    .option("--port <number>", "the address is http://127.0.0.1:PORT; 0: any free port", args.port, PORT)
    .option("--leaders <number>", "how many leader processes", args.leaderCount, LEADERS)
    .option(
      "--tables <number>",
      "how many tables to begin with, for the machines to be spread over",
      args.tableCount,
      TABLES,
    )
    .addOption(
      new Option(
        "--store <kind>",
        "where the tables are kept: files in the folder, or DynamoDB at AWS_ENDPOINT_URL (default: what the folder has, else sqlite)",
      ).choices(STORE_KINDS),
    )
    .option("--spares <number>", "how many tables are kept ready for repairs", args.spareCount, SPARES)
    .option(
      "--endorsements <number>",
      "how many leader processes have to endorse a reconfiguration; auto: two from three leaders on, else one",
      args.endorsements,
      "auto",
    )
    .option(
      "--snapshot-slots <number>",
      "after how many slots a snapshot takes the place of a machine's log",
      args.snapshotSlots,
      SNAPSHOT_SLOTS,
    )
    .action((file: string, _: unknown, command: Command) => run(file, command.optsWithGlobals<Options>()));
}

function run(file: string, { dir = defaultDir(file), json, ...options }: Options): Promise<void> {
  const shown = json ? jsonOf : textOf;
  const { port, leaders, tables, store, spares, endorsements, snapshotSlots } = options;
  const report = (event: DevEvent) => printLine(shown(event));
  return dev({ file, dir, port, leaders, tables, store, spares, endorsements, snapshotSlots, report });
}

/** Of its own for each file: two machines of one name, from two files, are two machines. */
function defaultDir(file: string): string {
  const path = relative(process.cwd(), resolve(file));
  const name = path.slice(0, path.length - extname(path).length);
  return join(".theseus", name.replaceAll(/[^A-Za-z0-9._-]+/g, "-").replace(/^[-.]+/, ""));
}
