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
  type Threshold,
  thresholdOf,
} from "./endorsement.ts";
import {
  claimLeader,
  forgetLeader,
  keepLeaders,
  type LeaderRecord,
  type LeaderServer,
  registerLeader,
  retireLeader,
  revokeLeader,
  type StartAnswer,
  startLeader,
  suspectLeader,
} from "./leader-pool.ts";
import type { OutboxRequest } from "./outbox.ts";
import { adoptAcceptor, installed, ownWaiting, suspectOwn } from "./own-tables.ts";
import {
  type AcceptorRecord,
  type AcceptorServer,
  clearAcceptor,
  disown,
  keepAcceptors,
  leastUsed,
  provisioned,
  registerAcceptor,
  retireUnused,
  type Suspicion,
  serve,
  serverOf,
  suspectAcceptor,
  whyNotNew,
  whyNotTogether,
} from "./pool.ts";
import { ACCEPTORS_MAX, type AcceptorId, faultOf, MODES, type Mode, type QuorumSpec } from "./quorum.ts";
import { Refusal } from "./replica.ts";

export { type LeaderServer, registrationText } from "./leader-pool.ts";
export type { AcceptorServer } from "./pool.ts";

export type RegistryCommand =
  /**
   * The first one makes configuration 1; later ones get the same answer. `acceptors`: a majority of so many; absent: as
   * the settings say.
   */
  | { readonly type: "registerMachine"; readonly machine: MachineId; readonly acceptors?: number }
  | { readonly type: "registerAcceptor"; readonly acceptor: AcceptorServer }
  /** A table is, or is about to be, one of the registry's own, in this configuration of the registry. */
  | { readonly type: "adoptAcceptor"; readonly acceptor: AcceptorServer; readonly configuration: number }
  /** This configuration of the registry is installed, and pointed to: what only older ones used is retired. */
  | {
      readonly type: "installed";
      readonly configuration: number;
      readonly acceptors: readonly AcceptorId[];
    }
  /** `proof`: its signature under `registrationText`, which is checked where the command comes in. */
  | { readonly type: "registerLeader"; readonly leader: LeaderServer; readonly proof?: string }
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
  | Complete
  /** By whoever could not use it. */
  | {
      readonly type: "suspectAcceptor";
      readonly acceptor: AcceptorId;
      readonly by: string;
      readonly why: Suspicion;
    }
  /** By whoever was to put another one in its place, and could not since it is well. */
  | { readonly type: "clearAcceptor"; readonly acceptor: AcceptorId; readonly by: string }
  /** By a peer that it does not answer. */
  | {
      readonly type: "suspectLeader";
      readonly leader: string;
      readonly process: ProcessId;
      readonly by: string;
    }
  | ({ readonly type: "configure" } & Partial<Settings>)
  | { readonly type: "startLeader"; readonly nonce: string }
  /** By a process that was started without an id: answers `{leader}`, its id. */
  | { readonly type: "claimLeader"; readonly task: string }
  | { readonly type: "retireLeader"; readonly leader: string }
  /** Its endorsements count no more, and nobody registers by its name or with its key again. */
  | { readonly type: "revokeLeader"; readonly leader: string }
  /** A table was made for a request of the outbox. */
  | { readonly type: "provisioned"; readonly request: string; readonly acceptor: AcceptorServer }
  /** A table was deleted, or a leader stopped, for a request of the outbox. */
  | { readonly type: "done"; readonly request: string }
  /** A table without a record is about to be deleted. */
  | { readonly type: "disown"; readonly acceptor: AcceptorId };

/**
 * Founded, and everything transferred: activate it, if the active one is still its predecessor. All but a machine's
 * first configuration need endorsements.
 */
interface Complete {
  readonly type: "complete";
  readonly machine: MachineId;
  readonly configuration: ConfigurationNumber;
  readonly endorsements?: readonly Endorsement[];
  readonly override?: Override;
}

export interface Settings {
  /** How many acceptors there are at least beside the spares; absent: others see to that. */
  readonly acceptors?: number;
  /** How many acceptors are kept ready for repairs. */
  readonly spares: number;
  /** How many acceptors that may yet answer are replaced within ten minutes. */
  readonly replacements: number;
  /** How many leader processes there are at least; absent: others see to that. */
  readonly leaders?: number;
  /** How many leader processes have to endorse a reconfiguration. */
  readonly endorsements: Threshold;
  /** What a machine begins with; absent: a majority of three, which is 2f + 1 with f = 1, the talk's three servers. */
  readonly machines?: FirstQuorums;
}

export type FirstQuorums =
  | { readonly mode: Mode; readonly acceptors: number }
  /** Any `read` of them to read, any `write` to write. */
  | { readonly mode: "quorums"; readonly acceptors: number; readonly read: number; readonly write: number };

const SETTINGS: Settings = { spares: 1, replacements: 3, endorsements: "auto" };
const MACHINES: FirstQuorums = { mode: "majority", acceptors: 3 };

/** Of one machine; many more than there are ever under way. */
const PENDING_MAX = 64;

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
  acceptors: Map<AcceptorId, AcceptorRecord>;
  leaders: Map<string, LeaderRecord>;
  /** Ids of acceptors and leaders that are no more: they are never used again. */
  former: Set<string>;
  settings: Settings;
  outbox: Map<string, OutboxRequest>;
  /** How many requests there ever were. */
  requests: number;
  /** The highest of the numbers in leaders' ids. */
  leaderNumber: number;
  /** By nonce, what was answered. */
  starts: Map<string, StartAnswer>;
  /** By task, which leader it is, until that leader is no more. */
  claims: Map<string, string>;
  /** When acceptors were suspected that might yet have answered: the latest ones. */
  replacedAt: number[];
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
    former: new Set(),
    settings: SETTINGS,
    outbox: new Map(),
    requests: 0,
    leaderNumber: 0,
    starts: new Map(),
    claims: new Map(),
    replacedAt: [],
    audit: [],
  };
}

export function applyRegistry(
  state: RegistryState,
  command: RegistryCommand,
  context: RegistryContext,
): unknown {
  const answer = execute(state, command, context);
  keepAcceptors(state, ownWaiting(state));
  keepLeaders(state);
  return answer;
}

function execute(state: RegistryState, command: RegistryCommand, context: RegistryContext): unknown {
  switch (command.type) {
    case "registerMachine":
      return registerMachine(state, command);
    case "registerAcceptor":
      return registerAcceptor(state, command.acceptor);
    case "adoptAcceptor":
      return adoptAcceptor(state, command.acceptor, command.configuration);
    case "installed":
      return installed(state, command.configuration, command.acceptors);
    case "registerLeader":
      return registerLeader(state, command.leader);
    case "propose":
      return propose(state, command);
    case "complete":
      return complete(state, command, context);
    case "suspectAcceptor":
      return suspect(state, command, context.time);
    case "clearAcceptor":
      return clearAcceptor(state, command.acceptor, command.by);
    case "suspectLeader":
      return suspectLeader(state, command.leader, command.process, command.by, context.time);
    case "configure":
      return configure(state, command);
    case "startLeader":
      return startLeader(state, command.nonce);
    case "claimLeader":
      return claimLeader(state, command.task);
    case "retireLeader":
      return retireLeader(state, command.leader);
    case "revokeLeader":
      return revokeLeader(state, command.leader);
    case "provisioned":
      return provisioned(state, command.request, command.acceptor);
    case "done":
      return done(state, command.request);
    case "disown":
      return disown(state, command.acceptor);
  }
}

function suspect(
  state: RegistryState,
  { acceptor, by, why }: Extract<RegistryCommand, { type: "suspectAcceptor" }>,
  time: number,
): unknown {
  const record = state.acceptors.get(acceptor);
  if (record?.state === "own") return suspectOwn(state, record, why, time);
  return suspectAcceptor(state, acceptor, by, why, time);
}

/** The active configuration, or the first one while that is being founded; undefined: unknown machine. */
export function lookup(state: RegistryState, machine: MachineId): Location | undefined {
  const record = state.machines.get(machine);
  if (record === undefined) return undefined;
  return locate(state, record, record.active || 1);
}

/** Whose active configuration, or first one while that is being founded, has this acceptor. */
export function machinesOn(state: RegistryState, acceptor: AcceptorId): readonly MachineId[] {
  return [...state.machines]
    .filter(([, { active, configurations }]) =>
      configurations.get(active || 1)?.quorums.acceptors.includes(acceptor),
    )
    .map(([machine]) => machine);
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
  const acceptors = configuration.quorums.acceptors.map((id) =>
    serverOf(state.acceptors.get(id) as AcceptorRecord),
  );
  return { configuration, active: record.active === number, acceptors };
}

function registerMachine(
  state: RegistryState,
  { machine, acceptors: asked }: Extract<RegistryCommand, { type: "registerMachine" }>,
): Location | Refusal {
  if (!state.machines.has(machine)) {
    const begins =
      asked === undefined ? (state.settings.machines ?? MACHINES) : { ...MACHINES, acceptors: asked };
    const fault = faultOfFirst(begins);
    if (fault !== undefined) return new Refusal(fault);
    const { acceptors: count } = begins;
    const acceptors = leastUsed(state, count);
    if (acceptors.length < count)
      return new Refusal(`${count} acceptors are needed and ${acceptors.length} are registered`);
    serve(state, acceptors);
    const quorums = firstQuorums(begins, acceptors);
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

function firstQuorums(begins: FirstQuorums, acceptors: readonly AcceptorId[]): QuorumSpec {
  if (begins.mode !== "quorums") return MODES[begins.mode](acceptors);
  const { read, write } = begins;
  return { acceptors, witnesses: [], read: { atLeast: read }, write: { atLeast: write } };
}

function faultOfFirst(begins: FirstQuorums): string | undefined {
  const { acceptors: count } = begins;
  if (!Number.isInteger(count) || count < 1 || count > ACCEPTORS_MAX)
    return `a machine has 1 to ${ACCEPTORS_MAX} acceptors, not ${count}`;
  const acceptors = Array.from({ length: count }, (_, index) => `${index}` as AcceptorId);
  return faultOf(firstQuorums(begins, acceptors));
}

function propose(
  state: RegistryState,
  { machine, quorums, nonce, reason }: Extract<RegistryCommand, { type: "propose" }>,
): Location | Refusal {
  const record = state.machines.get(machine);
  if (record === undefined || record.active === 0) return new Refusal(`${machine} is not started`);
  const known = record.nonces.get(nonce);
  if (known !== undefined) return locate(state, record, known);
  const present = acceptorsOf(record);
  const fault =
    quorums.acceptors.map((id) => whyNotNew(state, id, present)).find(Boolean) ??
    whyNotTogether(state, quorums.acceptors) ??
    faultOf(quorums);
  if (fault !== undefined) return new Refusal(fault);
  const number = record.next++ as ConfigurationNumber;
  record.configurations.set(number, { number, previous: record.active, quorums });
  record.reasons.set(number, reason);
  record.nonces.set(nonce, number);
  forgetOldest(record);
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
    serve(state, acceptorsOf(record));
    retireUnused(state);
  }
  return { activated: record.history.includes(number) };
}

/** Of the active configuration. */
function acceptorsOf({ active, configurations }: MachineRecord): readonly AcceptorId[] {
  return configurations.get(active)?.quorums.acceptors ?? [];
}

/** A reconfiguration that fails again and again must not fill the registry: the oldest proposals can not be activated any more. */
function forgetOldest(record: MachineRecord): void {
  const pending = [...record.configurations.keys()].filter((number) => number !== record.active);
  for (const oldest of pending.slice(0, -PENDING_MAX)) {
    record.configurations.delete(oldest);
    record.reasons.delete(oldest);
    for (const [nonce, number] of record.nonces) if (number === oldest) record.nonces.delete(nonce);
  }
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

function configure(
  state: RegistryState,
  { acceptors, spares, replacements, leaders, endorsements, machines }: Partial<Settings>,
): { settings: Settings } | Refusal {
  const fault =
    (endorsements === undefined ? undefined : faultOfThreshold(endorsements)) ??
    (machines === undefined ? undefined : faultOfFirst(machines));
  if (fault !== undefined) return new Refusal(fault);
  state.settings = {
    ...state.settings,
    ...(acceptors === undefined ? {} : { acceptors }),
    ...(spares === undefined ? {} : { spares }),
    ...(replacements === undefined ? {} : { replacements }),
    ...(leaders === undefined ? {} : { leaders }),
    ...(endorsements === undefined ? {} : { endorsements }),
    ...(machines === undefined ? {} : { machines }),
  };
  return { settings: state.settings };
}

/** Whatever it was about leaves the records for good. */
function done(state: RegistryState, id: string): unknown {
  const request = state.outbox.get(id);
  if (request?.type === "createAcceptor" || request?.type === "startLeader")
    return new Refusal(`${id} is done when what it asks for is there`);
  if (request !== undefined) {
    if (request.type === "deleteAcceptor") {
      state.acceptors.delete(request.acceptor.id);
      state.former.add(request.acceptor.id);
    } else forgetLeader(state, request.leader);
    state.outbox.delete(id);
  }
  return { done: id };
}
