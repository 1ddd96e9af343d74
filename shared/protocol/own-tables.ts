/**
 * The registry's own tables, as its state has them: taken from the spares before a reconfiguration of the registry
 * (PROTOCOL §8), and retired once that is installed. Which of them are in its configuration is no business of these
 * commands, but of the log itself (horizontal.ts); so each table's record has the newest configuration that it was
 * adopted for, and nobody who speaks of an older one can have it deleted.
 */
import {
  type AcceptorRecord,
  type AcceptorServer,
  faultOfName,
  limitReached,
  retire,
  type SuspectAnswer,
  type Suspicion,
  serverOf,
  usedAcceptors,
} from "./pool.ts";
import type { AcceptorId } from "./quorum.ts";
import type { RegistryState } from "./registry.ts";
import { Refusal } from "./replica.ts";

/** A spare, or one that is not in the pool, becomes one of the registry's own: its leaders find it by this record. */
export function adoptAcceptor(
  state: RegistryState,
  acceptor: AcceptorServer,
  configuration: number,
): unknown {
  const { id } = acceptor;
  const known = state.acceptors.get(id);
  const fault = faultOfName(state, acceptor);
  if (fault !== undefined) return new Refusal(fault);
  if (known !== undefined && known.state !== "spare" && known.state !== "own")
    return new Refusal(`${id} is ${known.state}: the registry takes spares, which serve no machine`);
  if (known?.state === "spare" && usedAcceptors(state).has(id))
    return new Refusal(`${id} is about to serve a machine: the registry takes spares, which serve none`);
  const newest = Math.max(configuration, known?.configuration ?? 0);
  state.acceptors.set(id, { ...known, ...serverOf(acceptor), state: "own", configuration: newest });
  return { adopted: id };
}

/** Where the registry's own tables are. */
export function ownAcceptors(state: RegistryState): readonly AcceptorServer[] {
  return ownRecords(state).map(serverOf);
}

export function ownRecords(state: RegistryState): readonly AcceptorRecord[] {
  return [...state.acceptors.values()].filter((record) => record.state === "own");
}

/** Those that only older configurations used than this one of the registry, which has these acceptors. */
export function leftBehind(
  state: RegistryState,
  configuration: number,
  acceptors: readonly AcceptorId[],
): readonly AcceptorRecord[] {
  return ownRecords(state).filter(
    (record) => (record.configuration ?? 0) <= configuration && !acceptors.includes(record.id),
  );
}

/** That it is installed, and that the pointer was moved to it, are facts for good: said late, it is as true. */
export function installed(
  state: RegistryState,
  configuration: number,
  acceptors: readonly AcceptorId[],
): unknown {
  for (const record of leftBehind(state, configuration, acceptors)) retire(state, record);
  return { installed: configuration };
}

/** It is replaced by the registry's own reconfiguration, whenever its leader comes to it. */
export function suspectOwn(
  state: RegistryState,
  record: AcceptorRecord,
  why: Suspicion,
  time: number,
): SuspectAnswer {
  if (record.suspected) return { suspected: true };
  const reason = why === "gone" ? undefined : whyNotSuspected(state, time);
  if (reason !== undefined) return { suspected: false, reason };
  if (why !== "gone") state.replacedAt.push(time);
  state.acceptors.set(record.id, { ...record, suspected: true });
  return { suspected: true };
}

/** The registry has no other registry: those that nobody suspects are to stay enough for it. */
function whyNotSuspected(state: RegistryState, time: number): string | undefined {
  const isAnother = ownRecords(state).some(({ suspected }) => suspected);
  return isAnother ? "another of the registry's own tables is being replaced" : limitReached(state, time);
}

/** How many are suspected and have nothing in their place yet: nothing was adopted for a later configuration. */
export function ownWaiting(state: RegistryState): number {
  const records = ownRecords(state);
  const newest = Math.max(0, ...records.map(({ configuration = 0 }) => configuration));
  return records.filter(({ suspected, configuration }) => suspected && configuration === newest).length;
}
