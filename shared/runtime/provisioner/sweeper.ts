/**
 * What nobody else does in the end: sends again what is still in the outbox, and removes what a provisioner left
 * behind that died. A table goes only by its tag, its age and the registry's word that it will never be recorded:
 * that no configuration has it says nothing, since it may be just about to be reported (PROTOCOL §11).
 */
import type { Launcher } from "../../provision/launcher.ts";
import type { Tables } from "../../provision/tables.ts";
import type { Provisioning, RegistryClient } from "../registry/registry-client.ts";
import { type RelayOptions, send } from "./outbox-relay.ts";

const SWEEPER = "sweeper";

export interface SweeperOptions extends RelayOptions {
  readonly registry: RegistryClient;
  readonly tables: Tables;
  readonly launcher: Launcher;
  /** A younger table may be about to be reported. Nothing but work is lost when that is judged wrongly. */
  readonly orphanAgeMs: number;
  readonly events: {
    orphan(table: string): void;
    lostSpare(acceptor: string): void;
  };
}

/** @throws when the registry or a port does not answer: the next sweep does what this one did not. */
export async function sweep(options: SweeperOptions): Promise<void> {
  const known = await options.registry.provisioning();
  await send(options, known.outbox);
  await removeOrphans(options, known);
  await reportLostSpares(options, known);
  await stopFormerLeaders(options, known);
}

async function removeOrphans(
  { registry, tables, orphanAgeMs, events }: SweeperOptions,
  { acceptors, former }: Provisioning,
): Promise<void> {
  const recorded = new Set(acceptors.map(({ id }) => id));
  const disowned = new Set(former);
  for (const table of await tables.list()) {
    if (recorded.has(table.id) || table.ageMs < orphanAgeMs) continue;
    // Once is enough, though the table cannot be deleted for days.
    if (!disowned.has(table.id)) {
      const answer = await registry.command({ type: "disown", acceptor: table.id });
      if (!(answer as { disowned: boolean }).disowned) continue;
    }
    await tables.delete(table);
    events.orphan(table.id);
  }
}

/** Nobody uses a spare, so nobody else would notice before it is needed. */
async function reportLostSpares(
  { registry, tables, events }: SweeperOptions,
  { acceptors }: Provisioning,
): Promise<void> {
  for (const acceptor of acceptors) {
    const isSaid = acceptor.goneBy?.includes(SWEEPER) === true;
    if (acceptor.state !== "spare" || isSaid || (await tables.has(acceptor))) continue;
    await registry.command({ type: "suspectAcceptor", acceptor: acceptor.id, by: SWEEPER, why: "gone" });
    events.lostSpare(acceptor.id);
  }
}

/** Started by a request that came when it had been done and undone. */
async function stopFormerLeaders({ launcher }: SweeperOptions, { former }: Provisioning): Promise<void> {
  const gone = new Set(former);
  for (const leader of await launcher.list()) if (gone.has(leader)) await launcher.stop(leader);
}
