/**
 * The registry: the talk's trusted central registration and (re)configuration service, as one more
 * machine of the same core (PROTOCOL §9). It starts machines and finds them, and knows every server.
 *
 * Its commands are all idempotent, so a caller whose outcome is unknown simply says the same again.
 */
import type { ConfigurationNumber, ProcessId } from "./ballot.ts";
import type { Configuration, MachineId } from "./configuration.ts";
import {
  type AuditEntry,
  type Endorsement,
  faultOfThreshold,
  type Override,
  type Reason,
  type RegistryContext,
  refusalOf,
  type Signatory,
  type Threshold,
  thresholdOf,
} from "./endorsement.ts";
import { ACCEPTORS_MAX, type AcceptorId, faultOf, majority, type QuorumSpec } from "./quorum.ts";
import { Refusal } from "./replica.ts";

/** A table, and where it is. Its incarnation tells it from any other table that ever had its name (§11). */
export interface AcceptorServer {
  readonly id: AcceptorId;
  readonly kind: string;
  readonly location: string;
  readonly incarnation: string;
}

/** Its key lives as long as the process: a restarted one registers another. */
export interface LeaderServer extends Signatory {
  readonly id: string;
  readonly process: ProcessId;
  readonly address: string;
}

export type RegistryCommand =
  /** The first one makes configuration 1; later ones get the same answer. */
  | { readonly type: "registerMachine"; readonly machine: MachineId; readonly acceptors: number }
  | { readonly type: "registerAcceptor"; readonly acceptor: AcceptorServer }
  | { readonly type: "registerLeader"; readonly leader: Omit<LeaderServer, "state"> }
  /** Its endorsements count no more, and nobody registers by its name again. */
  | { readonly type: "revokeLeader"; readonly leader: string }
  | { readonly type: "configure"; readonly endorsements: Threshold }
  /**
   * Asks for the machine's next configuration (the talk's "asks to be new leader of configuration S3, S1, S4", and
   * "told to try with ballot number 3"): always a new number, and the same one for the same nonce.
   */
  | {
      readonly type: "propose";
      readonly machine: MachineId;
      readonly quorums: QuorumSpec;
      readonly nonce: string;
      readonly reason: Reason;
    }
  /**
   * Founded, and everything transferred: activate it, if the active one is still its predecessor. All but a machine's
   * first configuration need endorsements.
   */
  | Complete;

interface Complete {
  readonly type: "complete";
  readonly machine: MachineId;
  readonly configuration: ConfigurationNumber;
  readonly endorsements?: readonly Endorsement[];
  readonly override?: Override;
}

interface MachineRecord {
  active: number;
  /** The number that the next proposal gets. */
  next: number;
  history: number[];
  configurations: Map<number, Configuration>;
  /** Of those that were proposed. */
  reasons: Map<number, Reason>;
  /** Of the proposals made since the last activation. */
  nonces: Map<string, number>;
}

/** Plain data, as every machine's state. */
export interface RegistryState {
  machines: Map<MachineId, MachineRecord>;
  acceptors: Map<AcceptorId, AcceptorServer>;
  leaders: Map<string, LeaderServer>;
  settings: { endorsements: Threshold };
  audit: AuditEntry[];
}

/** Where a machine is: its configuration, whether it is active yet, and its acceptors' places. */
export interface Location {
  readonly configuration: Configuration;
  readonly active: boolean;
  readonly acceptors: readonly AcceptorServer[];
}

/** What somebody who is to endorse a configuration has to look at. */
export interface Proposal {
  readonly proposed: Location;
  /** What it replaces, if this is its `previous` still. */
  readonly active: Location;
  readonly reason: Reason;
  /** How many endorsements it needs. */
  readonly needed: number;
}

export function initialRegistry(): RegistryState {
  return {
    machines: new Map(),
    acceptors: new Map(),
    leaders: new Map(),
    settings: { endorsements: "auto" },
    audit: [],
  };
}

export function applyRegistry(
  state: RegistryState,
  command: RegistryCommand,
  context: RegistryContext,
): unknown {
  switch (command.type) {
    case "registerMachine":
      return registerMachine(state, command.machine, command.acceptors);
    case "registerAcceptor":
      return registerAcceptor(state, command.acceptor);
    case "registerLeader":
      return registerLeader(state, command.leader);
    case "revokeLeader":
      return revokeLeader(state, command.leader);
    case "configure":
      return configure(state, command.endorsements);
    case "propose":
      return propose(state, command);
    case "complete":
      return complete(state, command, context);
  }
}

/** The active configuration, or the first one while that is being founded; undefined: unknown machine. */
export function lookup(state: RegistryState, machine: MachineId): Location | undefined {
  const record = state.machines.get(machine);
  if (record === undefined) return undefined;
  return locate(state, record, record.active || 1);
}

/** Undefined for a number that was never proposed, or is superseded. */
export function proposalOf(state: RegistryState, machine: MachineId, number: number): Proposal | undefined {
  const record = state.machines.get(machine);
  const reason = record?.reasons.get(number);
  if (record === undefined || reason === undefined) return undefined;
  const [proposed, active] = [locate(state, record, number), locate(state, record, record.active)];
  return { proposed, active, reason, needed: thresholdOf(state) };
}

function locate(state: RegistryState, record: MachineRecord, number: number): Location {
  const configuration = record.configurations.get(number) as Configuration;
  const acceptors = configuration.quorums.acceptors.map((id) => state.acceptors.get(id) as AcceptorServer);
  return { configuration, active: record.active === number, acceptors };
}

function registerMachine(state: RegistryState, machine: MachineId, count: number): Location | Refusal {
  if (!state.machines.has(machine)) {
    if (!Number.isInteger(count) || count < 1 || count > ACCEPTORS_MAX)
      return new Refusal(`a machine has 1 to ${ACCEPTORS_MAX} acceptors, not ${count}`);
    if (state.acceptors.size < count)
      return new Refusal(`${count} acceptors are needed and ${state.acceptors.size} are registered`);
    const quorums = majority(leastUsed(state, count));
    const first: Configuration = { number: 1 as ConfigurationNumber, previous: 0, quorums };
    state.machines.set(machine, {
      active: 0,
      next: 2,
      history: [],
      configurations: new Map([[1, first]]),
      reasons: new Map(),
      nonces: new Map(),
    });
  }
  return lookup(state, machine) as Location;
}

/** The acceptors with the fewest machines; of equal ones the first by id, so that every replica agrees. */
function leastUsed(state: RegistryState, count: number): readonly AcceptorId[] {
  const uses = new Map<AcceptorId, number>([...state.acceptors.keys()].map((id) => [id, 0]));
  for (const { active, configurations } of state.machines.values())
    for (const id of configurations.get(active || 1)?.quorums.acceptors ?? [])
      uses.set(id, (uses.get(id) ?? 0) + 1);
  return [...uses]
    .sort(([one, few], [other, many]) => few - many || (one < other ? -1 : 1))
    .slice(0, count)
    .map(([id]) => id);
}

function registerAcceptor(state: RegistryState, acceptor: AcceptorServer): unknown {
  const known = state.acceptors.get(acceptor.id);
  if (known !== undefined && known.incarnation !== acceptor.incarnation)
    return new Refusal(`${acceptor.id} is registered with another incarnation: names are never reused`);
  state.acceptors.set(acceptor.id, acceptor);
  return { registered: acceptor.id };
}

function registerLeader(state: RegistryState, leader: Omit<LeaderServer, "state">): unknown {
  const revoked = [...state.leaders.values()].filter((known) => known.state === "revoked");
  if (revoked.some(({ id, publicKey }) => id === leader.id || publicKey === leader.publicKey))
    return new Refusal(`${leader.id} is revoked: start another leader process, by another name`);
  state.leaders.set(leader.id, { ...leader, state: "live" });
  return { registered: leader.id };
}

function revokeLeader(state: RegistryState, id: string): unknown {
  const leader = state.leaders.get(id);
  if (leader === undefined) return new Refusal(`there is no leader ${id}`);
  state.leaders.set(id, { ...leader, state: "revoked" });
  return { revoked: id };
}

function configure(state: RegistryState, endorsements: Threshold): unknown {
  const fault = faultOfThreshold(endorsements);
  if (fault !== undefined) return new Refusal(fault);
  state.settings = { endorsements };
  return { endorsements };
}

function propose(
  state: RegistryState,
  { machine, quorums, nonce, reason }: Extract<RegistryCommand, { type: "propose" }>,
): Location | Refusal {
  const record = state.machines.get(machine);
  if (record === undefined || record.active === 0) return new Refusal(`${machine} is not started`);
  const known = record.nonces.get(nonce);
  if (known !== undefined) return locate(state, record, known);
  const stranger = quorums.acceptors.find((id) => !state.acceptors.has(id));
  if (stranger !== undefined) return new Refusal(`there is no acceptor ${stranger}`);
  const fault = faultOf(quorums);
  if (fault !== undefined) return new Refusal(fault);
  const number = record.next++ as ConfigurationNumber;
  record.configurations.set(number, { number, previous: record.active, quorums });
  record.reasons.set(number, reason);
  record.nonces.set(nonce, number);
  return locate(state, record, number);
}

/** Invariant 8: activated if and only if the active configuration is still its predecessor. */
function complete(state: RegistryState, command: Complete, context: RegistryContext): unknown {
  const { machine, configuration: number } = command;
  const record = state.machines.get(machine);
  if (record === undefined || number >= record.next)
    return new Refusal(`${machine} has no configuration ${number}`);
  const configuration = record.configurations.get(number);
  if (configuration !== undefined && record.active === configuration.previous) {
    const isFirst = configuration.previous === 0;
    const refusal = isFirst ? undefined : refusalOf(state, machine, configuration, command, context);
    if (refusal !== undefined) return refusal;
    record.active = number;
    record.history.push(number);
    forgetSuperseded(record);
  }
  return { activated: record.history.includes(number) };
}

/** Proposals against an older configuration can never be activated: their numbers stay used, and nothing else. */
function forgetSuperseded(record: MachineRecord): void {
  record.nonces.clear();
  for (const [number, { previous }] of record.configurations)
    if (number !== record.active && previous !== record.active) {
      record.configurations.delete(number);
      record.reasons.delete(number);
    }
}
