import type { Command } from "commander";
import * as args from "../arguments.ts";
import { ASSUMPTIONS, type CostInputs, type CostItem, monthOf } from "../cost/month.ts";
import { PRICES } from "../cost/prices.ts";
import type { GlobalOptions } from "../options.ts";
import { printJson, printLine, table } from "../output.ts";

type Options = GlobalOptions & CostInputs;

const COMMANDS_PER_SECOND = 100;
const BYTES = 200;
const ACCEPTORS = 3;
const LEADERS = 2;
const REGIONS = 1;

export function addCost(program: Command): void {
  program
    .command("cost")
    .description("what a deployment on AWS costs a month, idle and under load, item by item; asks nobody")
    .option("--commands-per-second <number>", "the load", args.rate, COMMANDS_PER_SECOND)
    .option("--bytes <number>", "of one command, as JSON", args.commandBytes, BYTES)
    .option("--acceptors <number>", "tables that a machine has", args.acceptorCount, ACCEPTORS)
    .option("--leaders <number>", "leader processes in each Region", args.leaderCount, LEADERS)
    .option("--regions <number>", "Regions over which the tables are spread", args.regionCount, REGIONS)
    .action((_: unknown, self: Command) => cost(self.optsWithGlobals<Options>()));
}

function cost({ json, commandsPerSecond, bytes, acceptors, leaders, regions }: Options): void {
  const inputs = { commandsPerSecond, bytes, acceptors, leaders, regions };
  const items = monthOf(inputs);
  if (!json) return printLine(textOf(inputs, items));
  const total = { idle: sumOf(items, "idle"), load: sumOf(items, "load") };
  printJson({ currency: "USD", inputs, items, total, assumptions: ASSUMPTIONS, prices: PRICES });
}

function textOf({ commandsPerSecond, bytes, ...parts }: CostInputs, items: readonly CostItem[]): string {
  const { acceptors, leaders, regions } = parts;
  const rows = items.map(({ item, idle, load, how }) => [item, dollars(idle), dollars(load), how]);
  const total = ["total", dollars(sumOf(items, "idle")), dollars(sumOf(items, "load")), ""];
  return [
    `US dollars a month in ${PRICES.region}: ${acceptors} tables, ${leaders} leaders in each of ${regions} Region(s); idle, and at ${commandsPerSecond} commands/s of ${bytes} B`,
    "",
    table([["ITEM", "IDLE", "LOAD", "HOW"], ...rows, total]),
    "",
    ...ASSUMPTIONS.map((assumption) => `- ${assumption}`),
    `- prices as written down on ${PRICES.written}, without free tiers: check them, ${PRICES.pages[0]}`,
  ].join("\n");
}

function sumOf(items: readonly CostItem[], of: "idle" | "load"): number {
  return items.reduce((sum, item) => sum + item[of], 0);
}

const CENTS = 2;
function dollars(usd: number): string {
  return usd.toFixed(CENTS).padStart("100000.00".length);
}
