import type { Command } from "commander";
import { connect } from "../../shared/client/connect.ts";
import type { DrainAnswer } from "../../shared/wire.ts";
import * as args from "../arguments.ts";
import { assertReachable } from "../call.ts";
import { type GlobalOptions, reaching } from "../options.ts";
import { printJson, printLine } from "../output.ts";

export function addDrain(program: Command): void {
  program
    .command("drain")
    .description("hand a leader's machines over to the other leaders, so that it may be stopped")
    .argument("<leader>", "the leader's id, as `theseus status` shows it", args.leader)
    .action((leader: string, _: unknown, self: Command) =>
      reaching(self.optsWithGlobals<GlobalOptions>(), (options) => drain(leader, options), `drain ${leader}`),
    );
}

/** One line whenever there are fewer machines left, until there are none. */
async function drain(leader: string, { url, json }: GlobalOptions): Promise<void> {
  await assertReachable(url);
  const theseus = connect(url);
  try {
    for await (const progress of theseus.drain(leader))
      if (json) printJson(progress);
      else printLine(textOf(progress));
  } finally {
    theseus.close();
  }
}

function textOf({ leader, state, machines }: DrainAnswer): string {
  if (state === "drained") return `${leader} leads nothing any more, and may be stopped`;
  return `${leader} leads ${machines} ${machines === 1 ? "machine" : "machines"} still`;
}
