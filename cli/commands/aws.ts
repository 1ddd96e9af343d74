import { type Command, InvalidArgumentError } from "commander";
import * as args from "../arguments.ts";
import { cacheFolder } from "../aws/cache.ts";
import type { GlobalOptions } from "../options.ts";
import { printLine } from "../output.ts";

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

interface LocalOptions extends GlobalOptions {
  readonly port: number;
  readonly name: string;
}

export function addAws(program: Command): void {
  const aws = program.command("aws").description("a deployment on AWS, or on an emulator of AWS");
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

async function runLocal(file: string, { port, name, json }: LocalOptions): Promise<void> {
  const { local } = await import("../aws/local.ts");
  const { jsonOf, textOf } = await import("../aws/events.ts");
  const shown = json ? jsonOf : textOf;
  await local({ file, name, port, cache: cacheFolder(), report: (event) => printLine(shown(event)) });
}

function deploymentName(text: string): string {
  if (!/^[a-z][a-z0-9-]{0,30}$/.test(text))
    throw new InvalidArgumentError('Write a letter and up to 30 more of a-z, 0-9 and "-".');
  return text;
}
