/** The leader processes that the registry knows. An id is used once: whoever left is remembered in `former`. */
import type { ProcessId } from "./ballot.ts";
import { append, outstanding } from "./outbox.ts";
import { limitReached, type SuspectAnswer, whyUnheard } from "./pool.ts";
import type { RegistryState } from "./registry.ts";
import { Refusal } from "./replica.ts";

export interface LeaderServer {
  readonly id: string;
  readonly process: ProcessId;
  readonly address: string;
  /** Ed25519, in base64url. It lives as long as the process: a restarted one registers another. */
  readonly publicKey: string;
  /** What its launcher calls it, where that starts processes without an id, which they then claim. */
  readonly task?: string;
}

/** What a process signs, so that nobody else has its key counted as theirs. Said again by another it says the same. */
export function registrationText({ id, process, address, publicKey, task = "" }: LeaderServer): string {
  return JSON.stringify(["theseus registration", 1, id, process, address, publicKey, task]);
}

export interface LeaderRecord extends LeaderServer {
  /** retired: it is being stopped. revoked: it is not trusted any more. */
  readonly state: "live" | "retired" | "revoked";
}

/** What `startLeader` answers. */
export interface StartAnswer {
  readonly request: string;
  readonly leader: string;
}

/** A process that a task is, or was: who it is to be, whether it has registered or not. */
export interface Claim {
  readonly task: string;
  readonly leader: string;
}

/** Also how the request to start it is known to be done. */
export function registerLeader(state: RegistryState, leader: LeaderServer): unknown {
  const { id } = leader;
  if (state.former.has(id) || state.leaders.get(id)?.state === "retired")
    return new Refusal(`${id} is retired: ids are never used again`);
  const revoked = [...state.leaders.values()].filter((known) => known.state === "revoked");
  if (revoked.some((known) => known.id === id || known.publicKey === leader.publicKey))
    return new Refusal(`${id} is revoked: start another leader process, by another name`);
  const claimant = [...state.claims].find(([, claimed]) => claimed === id)?.[0];
  if (claimant !== undefined && claimant !== leader.task)
    return new Refusal(`${id} was claimed by ${claimant}: claim another name`);
  state.leaders.set(id, { ...leader, state: "live" });
  const number = Number(/^leader-(\d{1,9})$/.exec(id)?.[1] ?? 0);
  state.leaderNumber = Math.max(state.leaderNumber, number);
  for (const { request, leader } of outstanding(state, "startLeader"))
    if (leader === id) state.outbox.delete(request);
  return { registered: id };
}

/** One more; the same one for the same nonce. */
export function startLeader(state: RegistryState, nonce: string): StartAnswer {
  const answer = state.starts.get(nonce) ?? start(state);
  state.starts.set(nonce, answer);
  return answer;
}

/** Who a process is whose launcher keeps so many running, and gives them no ids; the same one for the same task. */
export function claimLeader(state: RegistryState, task: string): Pick<Claim, "leader"> {
  const leader = state.claims.get(task) ?? unclaimed(state) ?? nextId(state);
  state.claims.set(task, leader);
  return { leader };
}

/** Also one that was claimed and never registered. */
export function retireLeader(state: RegistryState, id: string): unknown {
  const record = state.leaders.get(id);
  const isClaimed = [...state.claims.values()].includes(id);
  if (record === undefined && !isClaimed && !state.former.has(id))
    return new Refusal(`there is no leader ${id}`);
  if (record === undefined) forgetLeader(state, id);
  else if (record.state !== "retired") {
    state.leaders.set(id, { ...record, state: "retired" });
    append(state, { type: "stopLeader", leader: id });
  }
  return { retired: id };
}

/** A process that no longer answers its peers; another takes its place where a number of leaders is set. */
export function suspectLeader(
  state: RegistryState,
  id: string,
  process: ProcessId,
  by: string,
  time: number,
): SuspectAnswer | Refusal {
  const record = state.leaders.get(id);
  if (record === undefined && !state.former.has(id)) return new Refusal(`there is no leader ${id}`);
  if (record?.state !== "live") return { suspected: true };
  // Of two that do not hear each other, the one that is heard first stays, and the other one's word counts no more.
  const reason = whyUnheard(state, by) ?? whyNotSuspected(state, record, process, time);
  if (reason !== undefined) return { suspected: false, reason };
  state.replacedAt.push(time);
  retireLeader(state, id);
  return { suspected: true };
}

function whyNotSuspected(
  state: RegistryState,
  record: LeaderRecord,
  process: ProcessId,
  time: number,
): string | undefined {
  if (record.process !== process) return `${record.id} was started again meanwhile`;
  const others = [...state.leaders.values()].filter((each) => each !== record && each.state === "live");
  return others.length === 0 ? `${record.id} is the last leader` : limitReached(state, time);
}

/** It may be stopped, too: `retireLeader`. */
export function revokeLeader(state: RegistryState, id: string): unknown {
  const record = state.leaders.get(id);
  if (record === undefined) return new Refusal(`there is no leader ${id}`);
  if (record.state === "live") state.leaders.set(id, { ...record, state: "revoked" });
  return { revoked: id };
}

/** For good: nobody registers or claims it any more. */
export function forgetLeader(state: RegistryState, id: string): void {
  state.leaders.delete(id);
  state.former.add(id);
  for (const { request, leader } of outstanding(state, "startLeader"))
    if (leader === id) state.outbox.delete(request);
  for (const [task, leader] of state.claims) if (leader === id) state.claims.delete(task);
}

/** So many live or are on their way, where a number is set. */
export function keepLeaders(state: RegistryState): void {
  const { leaders = 0 } = state.settings;
  const live = [...state.leaders.values()].filter((record) => record.state === "live");
  for (let more = live.length + awaited(state).size; more < leaders; more++) start(state);
}

/** Ordered or claimed, and not registered yet. */
export function awaited(state: RegistryState): ReadonlySet<string> {
  const ordered = outstanding(state, "startLeader").map(({ leader }) => leader);
  return new Set([...ordered, ...state.claims.values()].filter((id) => !state.leaders.has(id)));
}

function start(state: RegistryState): StartAnswer {
  const leader = nextId(state);
  return { request: append(state, { type: "startLeader", leader }), leader };
}

/** Ordered, and no task's yet. */
function unclaimed(state: RegistryState): string | undefined {
  const claimed = new Set(state.claims.values());
  return outstanding(state, "startLeader").find(({ leader }) => !claimed.has(leader))?.leader;
}

function nextId(state: RegistryState): string {
  return `leader-${++state.leaderNumber}`;
}
