/**
 * What nobody else does in the end: sends again what is still in the outbox, and removes what a provisioner left
 * behind that died. A table goes only by its tag, its age and the registry's word that it will never be recorded:
 * that no configuration has it says nothing, since it may be just about to be reported (PROTOCOL §11).
 */
import type { AcceptorId } from "../../protocol/quorum.ts";
import type { Launcher } from "../../provision/launcher.ts";
import type { Tables } from "../../provision/tables.ts";
import type { Provisioning, RegistryClient } from "../registry/registry-client.ts";
import { type RelayOptions, send } from "./outbox-relay.ts";

const SWEEPER = "sweeper";

export interface SweeperOptions extends RelayOptions {
  readonly registry: RegistryClient;
  readonly tables: Tables;
  readonly launcher: Launcher;
  /** Tables that may be on no record, and are nobody's orphans. */
  readonly keep?: ReadonlySet<AcceptorId>;
  /** A younger table may be about to be reported. Nothing but work is lost when that is judged wrongly. */
  readonly orphanAgeMs: number;
  readonly events: {
    orphan(table: string): void;
    lostSpare(acceptor: string): void;
    /** Its process ended, and it did not say so itself. */
    endedLeader(leader: string): void;
  };
}

/**
 * @throws Error when the registry or a port did not answer. What does not need that is done all the same: tables cannot be
 * listed while a Region is down, and leaders have to be looked after then. The next sweep does the rest.
 */
export async function sweep(options: SweeperOptions): Promise<void> {
  const known = await options.registry.provisioning();
  const parts = [
    () => send(options, known.outbox),
    () => lookAfterLeaders(options, known),
    () => removeOrphans(options, known),
    () => reportLostSpares(options, known),
  ];
  await forEach(parts, (part) => part());
}

/** Each of them, also when others fail. @throws their error, or an AggregateError that says all. */
async function forEach<Item>(items: Iterable<Item>, act: (item: Item) => Promise<void>): Promise<void> {
  const troubles: unknown[] = [];
  for (const item of items) await act(item).catch((error: unknown) => troubles.push(error));
  if (troubles.length === 1) throw troubles[0];
  if (troubles.length > 1) throw new AggregateError(troubles, troubles.map(wordsOf).join("; "));
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function removeOrphans(
  { registry, tables, keep = new Set(), orphanAgeMs, events }: SweeperOptions,
  { acceptors, former }: Provisioning,
): Promise<void> {
  const recorded = keep.union(new Set(acceptors.map(({ id }) => id)));
  const disowned = new Set(former);
  await forEach(await tables.list(recorded), async (table) => {
    if (table.ageMs < orphanAgeMs) return;
    // Once is enough, though the table cannot be deleted for days.
    if (!disowned.has(table.id)) {
      const answer = await registry.command({ type: "disown", acceptor: table.id });
      if (!(answer as { disowned: boolean }).disowned) return;
    }
    await tables.delete(table);
    events.orphan(table.id);
  });
}

/** Nobody uses a spare, so nobody else would notice before it is needed. */
async function reportLostSpares(
  { registry, tables, events }: SweeperOptions,
  { acceptors }: Provisioning,
): Promise<void> {
  await forEach(acceptors, async (acceptor) => {
    const isSaid = acceptor.goneBy?.includes(SWEEPER) === true;
    if (acceptor.state !== "spare" || isSaid || (await tables.has(acceptor))) return;
    await registry.command({ type: "suspectAcceptor", acceptor: acceptor.id, by: SWEEPER, why: "gone" });
    events.lostSpare(acceptor.id);
  });
}

async function lookAfterLeaders(
  { registry, launcher, events }: SweeperOptions,
  known: Provisioning,
): Promise<void> {
  // Asked later than the registry: whoever is on record was running before that.
  const running = new Set(await launcher.list());
  const former = new Set(known.former);
  // Started by a request that came when it had been done and undone.
  for (const id of running) if (former.has(id)) await launcher.stop({ id });
  for (const [leader, task] of tasksOf(known)) {
    if (running.has(task)) continue;
    await registry.command({ type: "retireLeader", leader });
    events.endedLeader(leader);
  }
}

/** By leader, of those that live, or have only claimed their ids. */
function tasksOf({ leaders, claims }: Provisioning): ReadonlyMap<string, string> {
  const recorded = new Set(leaders.map(({ id }) => id));
  const claimed = claims.filter(({ leader }) => !recorded.has(leader));
  const live = leaders.filter(({ state }) => state === "live");
  return new Map([
    ...claimed.map(({ leader, task }) => [leader, task] as const),
    ...live.flatMap(({ id, task }) => (task === undefined ? [] : [[id, task] as const])),
  ]);
}
