/**
 * The pool of acceptors (PROTOCOL §9, §11): those that machines are started on, the spares that are kept ready to take
 * a lost one's place, and each one's way out. A name is used once: whoever left the pool is remembered in `former`.
 */
import type { MachineId } from "./configuration.ts";
import { append, outstanding } from "./outbox.ts";
import { type AcceptorId, QuorumSystem } from "./quorum.ts";
import type { RegistryState } from "./registry.ts";
import { Refusal } from "./replica.ts";

/** A table, and where it is. Its incarnation tells it from any other table that ever had its name (§11). */
export interface AcceptorServer {
  readonly id: AcceptorId;
  readonly kind: string;
  readonly location: string;
  readonly incarnation: string;
}

export interface AcceptorRecord extends AcceptorServer {
  /**
   * active: machines are started on it. spare: kept ready for a repair. suspected: machines move off it.
   * retired: no configuration uses it, now or ever again; it is being deleted.
   * own: one of the registry's own (own-tables.ts), which serve no machine.
   */
  readonly state: "active" | "spare" | "suspected" | "retired" | "own";
  /** Of one of the registry's own: the newest configuration of the registry that it was adopted for. */
  readonly configuration?: number;
  /** Of one of the registry's own: it is to be replaced. */
  readonly suspected?: true;
  /** Some machine's configuration had it. */
  readonly served?: true;
  /** What all machines put in the place of a suspected one; absent while there is no spare. */
  readonly replacement?: AcceptorId;
  /** Who says that it is gone, where one alone is not believed. */
  readonly goneBy?: readonly string[];
}

/** gone: it refuses everything, and for ever. The others may pass, and the table may still hold what nothing else does. */
export type Suspicion = "gone" | "silent" | "slow";

export type SuspectAnswer =
  | { readonly suspected: true; readonly replacement?: AcceptorId }
  /** Not now: say it again later. */
  | { readonly suspected: false; readonly reason: string };

/** Within this time of the log only so many tables are suspected that may yet answer (`settings.replacements`). */
const REPLACEMENTS_WINDOW_MS = 600_000;

export function serverOf({ id, kind, location, incarnation }: AcceptorServer): AcceptorServer {
  return { id, kind, location, incarnation };
}

export function registerAcceptor(state: RegistryState, acceptor: AcceptorServer): unknown {
  const { id } = acceptor;
  const fault = faultOfName(state, acceptor);
  if (fault !== undefined) return new Refusal(fault);
  state.acceptors.set(id, { state: "active", ...state.acceptors.get(id), ...serverOf(acceptor) });
  return { registered: id };
}

/** Why this table cannot have its name; undefined: it can, or has it. */
export function faultOfName(
  { former, acceptors }: RegistryState,
  { id, incarnation }: AcceptorServer,
): string | undefined {
  const known = acceptors.get(id);
  if (former.has(id)) return `${id} was retired: names are never reused`;
  if (known !== undefined && known.incarnation !== incarnation)
    return `${id} is registered with another incarnation: names are never reused`;
  return undefined;
}

/** The attempt that is recorded wins; any other deletes the table that it made. */
export function provisioned(state: RegistryState, request: string, acceptor: AcceptorServer): unknown {
  const { id } = acceptor;
  const isWanted = state.outbox.get(request)?.type === "createAcceptor";
  if (isWanted && !state.acceptors.has(id) && !state.former.has(id)) {
    state.outbox.delete(request);
    state.acceptors.set(id, { ...serverOf(acceptor), state: "spare" });
    replaceSuspected(state);
  }
  return { recorded: state.acceptors.get(id)?.incarnation === acceptor.incarnation };
}

/**
 * Before a table that has no record is deleted: from here on it can get none, so that a report that is under way
 * cannot bring a table into use that is being deleted.
 */
export function disown(state: RegistryState, id: AcceptorId): unknown {
  if (state.acceptors.has(id)) return { disowned: false };
  state.former.add(id);
  return { disowned: true };
}

/** Those in the place of the one that is to be replaced come first: machines stay spread as they are. */
export function nearestFirst<Server extends AcceptorServer>(
  replaced: AcceptorServer,
  servers: readonly Server[],
): readonly Server[] {
  const isNear = (server: Server) => placeOf(server) === placeOf(replaced);
  return [...servers.filter(isNear), ...servers.filter((server) => !isNear(server))];
}

/** A Region, or a folder: what is in one place may be lost together. */
function placeOf({ location }: AcceptorServer): string {
  return location.slice(0, location.lastIndexOf("/") + 1);
}

/**
 * The acceptors for a new machine: of as many places as there are, and of each those with the fewest machines; of equal
 * ones the first by id, so that every replica agrees.
 */
export function leastUsed(state: RegistryState, count: number): readonly AcceptorId[] {
  const uses = new Map<AcceptorId, number>();
  for (const { active, configurations } of state.machines.values())
    for (const id of configurations.get(active || 1)?.quorums.acceptors ?? [])
      uses.set(id, (uses.get(id) ?? 0) + 1);
  const usesOf = (id: AcceptorId) => uses.get(id) ?? 0;
  const least = (of: AcceptorRecord["state"]) =>
    inState(state, of).sort((one, other) => usesOf(one) - usesOf(other) || (one < other ? -1 : 1));
  return spread(state, [...least("active"), ...least("spare")], count);
}

/** The first ones, but nowhere one more than elsewhere while there are others. */
function spread(
  { acceptors }: RegistryState,
  candidates: readonly AcceptorId[],
  count: number,
): readonly AcceptorId[] {
  const chosen = new Set<AcceptorId>();
  const place = (id: AcceptorId) => placeOf(acceptors.get(id) as AcceptorRecord);
  const besides = (id: AcceptorId) => [...chosen].filter((each) => place(each) === place(id)).length;
  while (chosen.size < Math.min(count, candidates.length)) {
    const left = candidates.filter((id) => !chosen.has(id));
    chosen.add(left.reduce((best, id) => (besides(id) < besides(best) ? id : best)));
  }
  return [...chosen];
}

/** Whoever serves a machine is a spare no more. */
export function serve(state: RegistryState, ids: readonly AcceptorId[]): void {
  for (const id of ids) {
    const record = state.acceptors.get(id) as AcceptorRecord;
    const now = record.state === "spare" ? "active" : record.state;
    state.acceptors.set(id, { ...record, state: now, served: true });
  }
}

/** Why a configuration may not be given this acceptor; undefined: it may. `present` are those that it has. */
export function whyNotNew(
  state: RegistryState,
  id: AcceptorId,
  present: readonly AcceptorId[],
): string | undefined {
  const record = state.acceptors.get(id);
  if (record === undefined) return `there is no acceptor ${id}`;
  if (record.state === "own") return `${id} is the registry's own`;
  if (record.state === "retired") return `${id} is retired: names are never reused`;
  if (record.state === "suspected" && !present.includes(id))
    return `${id} is suspected: machines move off it, not onto it`;
  return undefined;
}

/** What is to take a suspected one's place can never do so where it stands beside it. */
export function whyNotTogether(state: RegistryState, ids: readonly AcceptorId[]): string | undefined {
  for (const id of ids) {
    const replacement = state.acceptors.get(id)?.replacement;
    if (replacement !== undefined && ids.includes(replacement))
      return `${replacement} is to take the place of ${id}, and not to stand beside it`;
  }
  return undefined;
}

/** The answer names what takes its place: one for all machines, so that they stay together. */
export function suspectAcceptor(
  state: RegistryState,
  id: AcceptorId,
  by: string,
  why: Suspicion,
  time: number,
): SuspectAnswer | Refusal {
  const record = state.acceptors.get(id);
  if (record === undefined && !state.former.has(id)) return new Refusal(`there is no acceptor ${id}`);
  if (record?.state === "active" || record?.state === "spare") {
    const reason =
      whyUnheard(state, by) ??
      (why === "gone" ? whyNotGone(state, record, by) : whyNotSuspected(state, id, time));
    if (reason !== undefined) return { suspected: false, reason };
    if (why !== "gone") state.replacedAt.push(time);
    state.acceptors.set(id, { ...serverOf(record), state: "suspected" });
    replaceSuspected(state);
    retireUnused(state);
  }
  const replacement = state.acceptors.get(id)?.replacement;
  return replacement === undefined ? { suspected: true } : { suspected: true, replacement };
}

/**
 * Nobody endorsed that machines leave it: it was suspected wrongly, or is well again. Suspected for ever, it would count
 * among the missing whenever another one is lost. What was to take its place is a spare again.
 */
export function clearAcceptor(state: RegistryState, id: AcceptorId, by: string): unknown {
  const record = state.acceptors.get(id);
  if (record?.state !== "suspected") return { cleared: true };
  const reason = whyUnheard(state, by);
  if (reason !== undefined) return { cleared: false, reason };
  const used = usedAcceptors(state);
  const replacement = record.replacement && state.acceptors.get(record.replacement);
  state.acceptors.set(id, { ...serverOf(record), state: "active", served: true });
  if (replacement?.state === "active" && !used.has(replacement.id))
    state.acceptors.set(replacement.id, { ...serverOf(replacement), state: "spare" });
  retireUnused(state);
  return { cleared: true };
}

/** What may yet answer is replaced only so often, tables and leaders together: whoever suspects all may be ill himself. */
export function limitReached(state: RegistryState, time: number): string | undefined {
  state.replacedAt = state.replacedAt.filter((at) => time - at < REPLACEMENTS_WINDOW_MS);
  return state.replacedAt.length < state.settings.replacements
    ? undefined
    : `${state.replacedAt.length} were suspected within the last ${REPLACEMENTS_WINDOW_MS / 60_000} minutes`;
}

/** Whoever is not trusted any more, or is being stopped, takes nobody with him. */
export function whyUnheard({ leaders, former }: RegistryState, by: string): string | undefined {
  const known = former.has(by) ? "retired" : leaders.get(by)?.state;
  return known === undefined || known === "live" ? undefined : `${by} is ${known} itself`;
}

/**
 * To one process that sees the wrong disk all tables are gone. One may say so of a table that serves machines, as long
 * as each of them keeps a read quorum; of any other table, for which there is no hurry, or no hope if it is true, two.
 */
function whyNotGone(state: RegistryState, record: AcceptorRecord, by: string): string | undefined {
  const { id, goneBy = [] } = record;
  if (serves(state, id) && whoNeeds(state, id) === undefined) return undefined;
  const saidBy = goneBy.includes(by) ? goneBy : [...goneBy, by];
  state.acceptors.set(id, { ...record, goneBy: saidBy });
  const live = [...state.leaders.values()].filter((leader) => leader.state === "live");
  return saidBy.length > 1 || live.length < 2 ? undefined : `${by} is the only one that says so`;
}

/** A table that is only silent or slow may be the last that knows something: a cascade of suspicions ends here. */
function whyNotSuspected(state: RegistryState, id: AcceptorId, time: number): string | undefined {
  const limit = limitReached(state, time);
  if (limit !== undefined) return limit;
  const machine = whoNeeds(state, id);
  return machine && `${machine} would be left without a read quorum that nobody suspects`;
}

function serves(state: RegistryState, id: AcceptorId): boolean {
  return [...state.machines.values()].some(({ active, configurations }) =>
    configurations.get(active || 1)?.quorums.acceptors.includes(id),
  );
}

/** A machine that would have no read quorum that nobody suspects. */
function whoNeeds(state: RegistryState, id: AcceptorId): MachineId | undefined {
  const suspected = new Set([...inState(state, "suspected"), id]);
  const seen = new Set<string>();
  for (const [machine, { active, configurations }] of state.machines) {
    const quorums = configurations.get(active || 1)?.quorums;
    const written = JSON.stringify(quorums);
    if (quorums === undefined || seen.has(written) || !quorums.acceptors.includes(id)) continue;
    seen.add(written);
    // What a read quorum knows can be carried over; without a write quorum the machine stands, until that is done.
    if (!new QuorumSystem(quorums).canReadWithout(suspected)) return machine;
  }
  return undefined;
}

/** Also those whose replacement is suspected in its turn: whoever asks again is told of the next one. */
function replaceSuspected(state: RegistryState): void {
  const used = usedAcceptors(state);
  for (const [id, record] of state.acceptors) {
    const replacement = record.replacement && state.acceptors.get(record.replacement);
    if (record.state !== "suspected" || replacement?.state === "active") continue;
    const spares = [...state.acceptors.values()].filter(
      (each) => each.state === "spare" && !used.has(each.id),
    );
    const spare = nearestFirst(record, spares)[0]?.id;
    if (spare === undefined || !used.has(id))
      state.acceptors.set(id, { ...serverOf(record), state: "suspected" });
    else {
      state.acceptors.set(spare, { ...(state.acceptors.get(spare) as AcceptorRecord), state: "active" });
      state.acceptors.set(id, { ...record, replacement: spare });
    }
  }
}

/** What served and serves no machine any more goes, and so does what is suspected; but not what is to replace another. */
export function retireUnused(state: RegistryState): void {
  const needed = usedAcceptors(state);
  for (const { replacement } of state.acceptors.values())
    if (replacement !== undefined) needed.add(replacement);
  for (const record of state.acceptors.values()) {
    const hadItsDay = record.state === "suspected" || (record.state === "active" && record.served === true);
    if (!hadItsDay || needed.has(record.id)) continue;
    retire(state, record);
  }
}

export function retire(state: RegistryState, record: AcceptorRecord): void {
  const acceptor = serverOf(record);
  state.acceptors.set(record.id, { ...acceptor, state: "retired" });
  append(state, { type: "deleteAcceptor", acceptor });
}

/** By an active configuration, by the first one while it is founded, or by one that may yet be activated: others are forgotten. */
export function usedAcceptors(state: RegistryState): Set<AcceptorId> {
  const used = new Set<AcceptorId>();
  for (const { configurations } of state.machines.values())
    for (const { quorums } of configurations.values()) for (const id of quorums.acceptors) used.add(id);
  return used;
}

/**
 * So many spares are ready or ordered, and one more for each suspected acceptor that has no replacement yet; and so many
 * that serve machines, or may: the first ones come as every later one does.
 */
export function keepAcceptors(state: RegistryState, ownWaiting: number): void {
  const waiting = [...state.acceptors.values()].filter(
    (record) => record.state === "suspected" && record.replacement === undefined,
  );
  const { spares, acceptors = 0 } = state.settings;
  const ready = inState(state, "spare").length + outstanding(state, "createAcceptor").length;
  const forRepairs = spares + waiting.length + ownWaiting - ready;
  const forAll = acceptors + spares - inState(state, "active").length - ready;
  for (let more = Math.max(forRepairs, forAll); more > 0; more--) append(state, { type: "createAcceptor" });
}

function inState(state: RegistryState, which: AcceptorRecord["state"]): AcceptorId[] {
  return [...state.acceptors.values()].filter((record) => record.state === which).map(({ id }) => id);
}
