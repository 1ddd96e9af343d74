/** The options that every command takes, before or after the command's name. */
import { type Command, Option } from "commander";
import { serverUrl } from "./arguments.ts";

export interface GlobalOptions {
  readonly url: string;
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
    .option("--json", "JSON for programs: results on standard output, problems on standard error");
}
