import { type Command, InvalidArgumentError } from "commander";
import * as args from "../arguments.ts";
import { cacheFolder } from "../aws/cache.ts";
import { loaded } from "../aws/load.ts";
import type { GlobalOptions } from "../options.ts";
import { printJson, printLine, printNote } from "../output.ts";

const PORT = 7707;
const NAME = "bank";
const FILE = "examples/bank.ts";

const LOCAL_HELP = `
It needs Python 3 with venv, and the packages aws-cdk, aws-cdk-lib, constructs and esbuild; not Docker. The emulator is
MiniStack, from PyPI, in a Python environment of its own in the cache folder. It keeps everything in memory, and what was
deployed is gone when this command ends: MiniStack can write its state when it stops (PERSIST_STATE), but tables that
come back older than they were, as after a crash, would have forgotten what they promised, so that is not used here.
The leaders are processes of this machine, as many as the service of ECS wants.

  theseus aws local examples/bank.ts
  curl http://127.0.0.1:7707/v1/status
`;

const DESTROY_HELP = `
A sandbox goes with everything that it knew. Of any other deployment only the stack goes: its tables stay, and the same
name deployed again goes on from them. --delete-state NAME, with the deployment's name, deletes them too, for good. On
AWS it is asked first whether account and Region are meant, or --yes says so.
`;

interface ProxyOptions extends GlobalOptions {
  readonly port: number;
}
interface DestroyOptions extends GlobalOptions {
  readonly deleteState?: string;
}
interface LocalOptions extends ProxyOptions {
  readonly name: string;
}

export function addAws(program: Command): void {
  const aws = program.command("aws").description("a deployment on AWS, or on an emulator of AWS");
  addLocal(aws);
  addProxy(aws);
  addDestroy(aws);
}

function addLocal(aws: Command): void {
  aws
    .command("local")
    .description("deploy the CDK app to an emulator on this machine, and run it there end to end")
    .argument("[file]", "the TypeScript or JavaScript file that exports the machines", FILE)
    .option("--port <number>", "the address is http://127.0.0.1:PORT; 0: any free port", args.port, PORT)
    .option("--name <name>", "the deployment's name; the stack is theseus-NAME", deploymentName, NAME)
    .addHelpText("after", LOCAL_HELP)
    .action((file: string, _: unknown, self: Command) =>
      runLocal(file, self.optsWithGlobals<LocalOptions>()),
    );
}

function addProxy(aws: Command): void {
  aws
    .command("proxy")
    .description("an address on this machine that signs requests and forwards them to a stack's gateway")
    .option("--port <number>", "the address is http://127.0.0.1:PORT; 0: any free port", args.port, PORT)
    .action((_: unknown, self: Command) => runProxy(self.optsWithGlobals<ProxyOptions>()));
}

async function runProxy({ stack, region, port, json }: ProxyOptions): Promise<void> {
  const name = named(stack);
  const { proxyUntilStopped } = await loaded(import("../aws/through.ts"));
  await proxyUntilStopped({ stack: name, region }, port, (url) => {
    if (json) printJson({ event: "ready", url });
    else printLine(`${name} answers at ${url}; stop with Ctrl-C`);
  });
}

function addDestroy(aws: Command): void {
  aws
    .command("destroy")
    .description("remove a stack; of a sandbox, everything")
    .option("--delete-state <name>", "delete the tables of this deployment, too", deploymentName)
    .addHelpText("after", DESTROY_HELP)
    .action((_: unknown, self: Command) => runDestroy(self.optsWithGlobals<DestroyOptions>()));
}

async function runDestroy({ stack, region, yes, deleteState, json }: DestroyOptions): Promise<void> {
  const { destroy } = await loaded(import("../aws/destroy.ts"));
  const { whereIs } = await import("../aws/where.ts");
  const destroyed = await destroy({
    stack: named(stack),
    where: whereIs(region),
    yes: yes === true,
    deleteState,
    tell: printNote,
  });
  if (json) return printJson(destroyed);
  const { kept, deleted } = destroyed;
  printLine(`the stack is gone, and ${deleted.length} tables with it`);
  if (kept.length > 0)
    printLine(`still there, for whoever deploys the same name again:\n  ${kept.join("\n  ")}`);
}

function named(stack: string | undefined): string {
  if (stack === undefined) throw new InvalidArgumentError("Say which: --stack NAME.");
  return stack;
}

async function runLocal(file: string, { port, name, json }: LocalOptions): Promise<void> {
  const { local } = await loaded(import("../aws/local.ts"));
  const { jsonOf, textOf } = await import("../aws/events.ts");
  const shown = json ? jsonOf : textOf;
  await local({ file, name, port, cache: cacheFolder(), report: (event) => printLine(shown(event)) });
}

function deploymentName(text: string): string {
  if (!/^[a-z][a-z0-9-]{0,30}$/.test(text))
    throw new InvalidArgumentError('Write a letter and up to 30 more of a-z, 0-9 and "-".');
  return text;
}
