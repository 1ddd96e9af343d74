/**
 * What the HTTP interface serves (DESIGN §1): a leader process implements it on the machines it hosts.
 * Everything rejects with a TheseusError, so that the interface has only encoding to do.
 */
import type { TheseusError } from "../../errors.ts";
import type { ConfigurationNumber } from "../../protocol/ballot.ts";
import type { MachineId } from "../../protocol/configuration.ts";
import type { AuditEntry, Endorsement } from "../../protocol/endorsement.ts";
import type { Message } from "../../protocol/inbox.ts";
import type { Reply } from "../../protocol/session.ts";
import type { Slot } from "../../protocol/slot.ts";
import type { Command } from "../../protocol/value.ts";
import type {
  DeploymentStatus,
  DrainAnswer,
  LogLine,
  MachineStatus,
  NewQuorums,
  ReconfigureAnswer,
  ReconfigureRequest,
  RetireLeaderAnswer,
  StartLeaderAnswer,
} from "../../wire.ts";

export type Consistency = "linearizable" | "stale";

export interface Backend {
  /**
   * Checks each user command against the machine's schema and returns what validation made of it.
   * @throws Invalid (invalid_command, with the schema's words) or Invalid (unknown_machine).
   */
  validate(machine: MachineId, command: unknown): Promise<unknown>;
  /**
   * The reply that a command of a session or with a key has coming already, so that it needs no slot; undefined:
   * it was not executed as far as the machine's leader knows.
   * @throws Unavailable when this process does not lead the machine, and so cannot say.
   */
  settled(machine: MachineId, command: Command): Promise<Reply | undefined>;
  /** Gets the commands chosen and executed, all in one go; one reply or error each, in order. */
  send(machine: MachineId, commands: readonly Command[]): Promise<readonly (Reply | TheseusError)[]>;
  query(
    machine: MachineId,
    query: string,
    args: unknown,
    consistency: Consistency,
  ): Promise<{ asOf: Slot; result: unknown }>;
  /**
   * Replaces the machine's configuration while it serves. @throws Invalid or Refused with what is wrong with the new
   * one; Unavailable when it could not be done, which changed nothing.
   */
  reconfigure(machine: MachineId, request: ReconfigureRequest): Promise<ReconfigureAnswer>;
  /**
   * This process's signature under a configuration that the registry has pending, once it has checked it itself.
   * @throws Refused (not_endorsed) with what is wrong with it; Invalid when there is no such proposal.
   */
  endorse(machine: MachineId, configuration: ConfigurationNumber): Promise<Endorsement>;
  /** The overrides that operators answer for, oldest first. */
  audit(): Promise<readonly AuditEntry[]>;
  describe(machine: MachineId): Promise<MachineStatus>;
  /**
   * Chosen slots from `from` on (default: the first that is not trimmed), through the newest at the time of the call.
   * @throws Invalid (trimmed), also in the midst of it.
   */
  log(machine: MachineId, from?: Slot): AsyncIterable<LogLine>;
  /** The state after slot `at` (default: the newest), as JSON-able data. @throws Invalid (trimmed). */
  state(machine: MachineId, at?: Slot): Promise<{ asOf: Slot; state: unknown }>;
  /** Messages with a cursor above `after`: those there are, then new ones as they come, until aborted. */
  inbox(machine: MachineId, client: string, after: number, signal: AbortSignal): AsyncIterable<Message>;
  status(): Promise<DeploymentStatus>;
  /** Replaces the registry's own tables while it serves. @throws Invalid with what is wrong with the request. */
  reconfigureRegistry(request: NewQuorums): Promise<ReconfigureAnswer>;
  /**
   * Has a leader hand all its machines over; said again, it tells how far that is. @throws Invalid when there is no
   * such leader, or none that could take over.
   */
  drain(leader: string): Promise<DrainAnswer>;
  /** Orders one more leader process. */
  startLeader(nonce: string): Promise<StartLeaderAnswer>;
  /** Orders that a leader process be stopped for good. @throws Refused when there is no such leader. */
  retireLeader(leader: string): Promise<RetireLeaderAnswer>;
  /** A page of machine ids in order, those after `after`. */
  machines(after: string, limit: number): Promise<readonly string[]>;
}
