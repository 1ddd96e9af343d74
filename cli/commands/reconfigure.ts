import { userInfo } from "node:os";
import { type Command, InvalidArgumentError } from "commander";
import { MODES, type QuorumSpec } from "../../shared/protocol/quorum.ts";
import type { MachineStatus, ReconfigureRequest } from "../../shared/wire.ts";
import * as args from "../arguments.ts";
import { call } from "../call.ts";
import { type GlobalOptions, reaching } from "../options.ts";
import { printJson, printLine } from "../output.ts";
import { watchingProgress } from "./reconfiguring.ts";

interface Options extends GlobalOptions {
  readonly replace?: string;
  readonly by?: string;
  readonly mode?: string;
  readonly acceptors?: readonly string[];
  readonly quorums?: unknown;
  readonly override?: string;
}

export function addReconfigure(program: Command): void {
  program
    .command("reconfigure")
    .description("replace a machine's tables, or its quorums, while it serves")
    .argument("<machine/id>", "the machine, as in bank/main", args.address)
    .option("--replace <acceptor>", "the acceptor that goes")
    .option("--by <acceptor>", "the one in its place (default: one that the machine does not use)")
    .option("--mode <mode>", `another quorum system: ${Object.keys(MODES).join(", ")}; with --acceptors`)
    .option("--acceptors <list>", "its acceptors, with commas between; a witness comes last", args.ids)
    .option(
      "--quorums <json>",
      'any others: {"acceptors": […], "witnesses": […], "read": {"atLeast": n, "weights": {…}} or {"sets": [[…], …]}, "write": …}',
      args.json,
    )
    .option(
      "--override <reason>",
      "do it though too few leader processes endorse it; reason and user are recorded (GET /v1/registry/audit)",
    )
    .action((machine: args.Address, _: unknown, self: Command) =>
      reaching(
        self.optsWithGlobals<Options>(),
        (options) => reconfigure(machine, options),
        `reconfigure ${machine.machine}/${machine.id}`,
      ),
    );
}

function requestOf({ replace, by, mode, acceptors, quorums }: Options): ReconfigureRequest {
  const ways = [replace, mode, quorums].filter((way) => way !== undefined).length;
  if (ways === 1 && replace !== undefined) return by === undefined ? { replace } : { replace, by };
  if (ways === 1 && mode !== undefined && acceptors !== undefined) return { mode, acceptors };
  // The server says what is wrong with it, as it does to callers without this command.
  if (ways === 1 && quorums !== undefined) return { quorums: quorums as QuorumSpec };
  throw new InvalidArgumentError(
    "Say either --replace ACCEPTOR, or --mode MODE and --acceptors LIST, or --quorums JSON.",
  );
}

/** As the operating system knows them; a container's user may have no name. */
function operatorName(): string {
  try {
    return userInfo().username;
  } catch {
    return `user ${process.getuid?.()}`;
  }
}

async function reconfigure({ machine, id }: args.Address, options: Options): Promise<void> {
  const { override } = options;
  const request: ReconfigureRequest = {
    ...requestOf(options),
    operator: operatorName(),
    ...(override === undefined ? {} : { override }),
  };
  const [name, path] = [`${machine}/${id}`, `/v1/machines/${machine}/${id}`];
  const outgoing = {
    method: "POST",
    path: `${path}/reconfigure`,
    headers: { "content-type": "application/json" },
    body: JSON.stringify(request),
  };
  // Said twice it would be done twice: the second time there may be nothing left to replace.
  const ask = () => call(options.url, name, outgoing, { isRepeatable: false });
  const status = async () => (await call(options.url, name, { method: "GET", path })) as MachineStatus;
  const answer = await watchingProgress({ status, json: options.json }, ask);
  const { number, mode, acceptors } = answer;
  if (options.json) printJson(answer);
  else printLine(`${name} is in configuration ${number} (${mode}): ${acceptors.join(", ")}`);
}
