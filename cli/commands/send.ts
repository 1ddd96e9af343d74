import { randomUUID } from "node:crypto";
import type { Command } from "commander";
import { OutcomeUnknown } from "../../shared/errors.ts";
import type { CommandAnswer } from "../../shared/wire.ts";
import * as args from "../arguments.ts";
import { call } from "../call.ts";
import { type GlobalOptions, reaching } from "../options.ts";
import { printJson, printLine, shown } from "../output.ts";

interface Options extends GlobalOptions {
  readonly key?: string;
}

export function addSend(program: Command): void {
  program
    .command("send")
    .description("get one command executed, exactly once, and print the machine's response")
    .argument("<machine/id>", "the machine, as in bank/main; it is started if need be", args.address)
    .argument("<command>", "the command as JSON", args.json)
    .option("--key <key>", "asks for the outcome of the command that was sent with this key", args.key)
    .action((machine: args.Address, command: unknown, _: unknown, self: Command) =>
      reaching(self.optsWithGlobals<Options>(), (options) => send(machine, command, options)),
    );
}

/** By idempotency key: a session for one command would take a slot, and another one's place. */
async function send({ machine, id }: args.Address, command: unknown, options: Options): Promise<void> {
  const { url, json, key = randomUUID() } = options;
  const answer = await execute(url, `${machine}/${id}`, command, key);
  if (json) printJson(answer);
  else printLine(answer.refused ? `refused: ${shown(answer.response)}` : shown(answer.response));
}

async function execute(url: string, machine: string, command: unknown, key: string): Promise<CommandAnswer> {
  const headers = { "content-type": "application/json", "idempotency-key": key };
  const request = {
    method: "POST",
    path: `/v1/machines/${machine}/commands`,
    headers,
    body: JSON.stringify({ command }),
  };
  try {
    return (await call(url, machine, request)) as CommandAnswer;
  } catch (error) {
    if (!(error instanceof OutcomeUnknown)) throw error;
    const nextMove = `send the same command with --key ${key} to learn what became of it`;
    throw new OutcomeUnknown(error.code, `${error.message}; ${nextMove}`, { slot: error.slot, cause: error });
  }
}
