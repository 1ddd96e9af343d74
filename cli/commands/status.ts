import type { Command } from "commander";
import { connect } from "../../shared/client/connect.ts";
import type { DeploymentStatus, MachineStatus } from "../../shared/wire.ts";
import { assertReachable } from "../call.ts";
import { type GlobalOptions, reaching } from "../options.ts";
import { printJson, printLine, table } from "../output.ts";

export function addStatus(program: Command): void {
  program
    .command("status")
    .description("show the deployment: leaders, acceptors, registry, machines")
    .action((_: unknown, self: Command) => reaching(self.optsWithGlobals<GlobalOptions>(), status));
}

async function status({ url, json }: GlobalOptions): Promise<void> {
  await assertReachable(url);
  const theseus = connect(url);
  try {
    const deployment = await theseus.status();
    if (json) printJson(deployment);
    else printLine(textOf(deployment));
  } finally {
    theseus.close();
  }
}

function textOf({ leaders, acceptors, registry, machines }: DeploymentStatus): string {
  const leaderRows = leaders.map(({ id, state, address, pid }) => [id, state, address, String(pid ?? "")]);
  const acceptorRows = acceptors.map(({ id, state, role, location }) => [id, state, role, location]);
  const registryRow = [
    String(registry.configuration),
    registry.address,
    String(registry.outbox),
    registry.acceptors.join(" "),
  ];
  return [
    table([["LEADER", "STATE", "ADDRESS", "PROCESS"], ...leaderRows]),
    table([["ACCEPTOR", "STATE", "ROLE", "LOCATION"], ...acceptorRows]),
    table([["REGISTRY", "ADDRESS", "OUTBOX", "ACCEPTORS"], registryRow]),
    table([["MACHINE", "LEADER", "CONFIGURATION", "CHOSEN", "APPLIED"], ...machines.map(machineRow)]),
  ].join("\n\n");
}

function machineRow({
  machine,
  id,
  leader,
  configuration,
  chosen,
  applied,
}: MachineStatus): readonly string[] {
  const { number, mode } = configuration;
  // Nobody has read a machine that nobody leads: "0" would look like a loss.
  const read = (value: number) => (leader === null && value === 0 ? "-" : String(value));
  const shownConfiguration = number === 0 ? "-" : `${number} (${mode})`;
  return [`${machine}/${id}`, leader?.id ?? "none", shownConfiguration, read(chosen), read(applied)];
}
