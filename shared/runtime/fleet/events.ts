/** What a leader process reports of its machines: the events that an operator wants to see. */
import type { Ballot, ConfigurationNumber } from "../../protocol/ballot.ts";
import type { MachineId } from "../../protocol/configuration.ts";
import type { Abdication } from "../../protocol/leader.ts";
import type { AcceptorId } from "../../protocol/quorum.ts";

export interface FleetEvents {
  leads(machine: MachineId, ballot: Ballot): void;
  abdicated(machine: MachineId, abdication: Abdication, ballot: Ballot): void;
  lost(machine: MachineId, acceptor: AcceptorId): void;
  reconfigured(machine: MachineId, configuration: ConfigurationNumber): void;
  failed(machine: MachineId, error: unknown): void;
}
