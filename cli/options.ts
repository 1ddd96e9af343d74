/** The options that every command takes, before or after the command's name, and where they lead. */
import { type Command, Option } from "commander";
import { serverUrl } from "./arguments.ts";
import { loaded } from "./aws/load.ts";

export interface GlobalOptions {
  readonly url: string;
  readonly stack?: string;
  readonly region?: string;
  readonly yes?: true;
  readonly json?: true;
}

const DEFAULT_URL = "http://127.0.0.1:7707";

export function addGlobalOptions(program: Command): Command {
  return program
    .addOption(
      new Option("--url <url>", "where the deployment answers")
        .env("THESEUS_URL")
        .default(DEFAULT_URL)
        .argParser(serverUrl),
    )
    .option("--stack <name>", "the deployment's stack on AWS, or on an emulator, instead of --url")
    .option("--region <region>", "the stack's Region (default: AWS_REGION)")
    .option("--yes", "change things on real AWS without asking whether account and Region are right")
    .option("--json", "JSON for programs: results on standard output, problems on standard error");
}

/**
 * Runs with the deployment's address in `url`, by way of a proxy of its own where a stack is named. `changes`: what an
 * operator would change, in a few words, which is asked about on real AWS.
 */
export async function reaching<Options extends GlobalOptions>(
  options: Options,
  run: (options: Options) => Promise<void>,
  changes?: string,
): Promise<void> {
  const { stack, region, yes } = options;
  if (stack === undefined) return run(options);
  const { throughStack } = await loaded(import("./aws/through.ts"));
  await throughStack({ stack, region, yes }, changes, (url) => run({ ...options, url }));
}
