/**
 * Reading a machine's log from its beginning: chunks from any table that has them, and the recent end from
 * memory. Only chosen values, in slot order.
 */
import type { Digest } from "../../protocol/acceptor.ts";
import type { MachineId } from "../../protocol/configuration.ts";
import type { RecentLog } from "../../protocol/log.ts";
import type { AcceptorId } from "../../protocol/quorum.ts";
import { type ChunkNumber, chunkOf, firstSlotOf, type Geometry, type Slot } from "../../protocol/slot.ts";
import { decodeChunk } from "../../protocol/value.ts";
import type { StorePool } from "../store-pool.ts";

export interface HistoryOptions {
  readonly machine: MachineId;
  readonly geometry: Geometry;
  readonly acceptors: readonly AcceptorId[];
  readonly stores: StorePool;
  readonly log: RecentLog;
  readonly digest: Digest;
}

/** The values of `from` … `to`. @throws Error when no table has a chunk that is needed, undamaged. */
export async function* history(
  options: HistoryOptions,
  from: Slot,
  to: Slot,
): AsyncGenerator<readonly [Slot, string]> {
  for (let slot = from; slot <= to; ) {
    const recent = options.log.get(slot);
    const texts = recent === undefined ? await restOfChunk(options, slot) : [recent];
    for (const text of texts) {
      if (slot <= to) yield [slot, text];
      slot = (slot + 1) as Slot;
    }
  }
}

async function restOfChunk(options: HistoryOptions, slot: Slot): Promise<readonly string[]> {
  const { geometry } = options;
  const chunk = chunkOf(geometry, slot);
  const texts = await readChunk(options, chunk);
  return texts.slice(slot - firstSlotOf(geometry, chunk));
}

async function readChunk(options: HistoryOptions, chunk: ChunkNumber): Promise<readonly string[]> {
  const { acceptors, stores, machine, geometry, digest } = options;
  for (const acceptor of acceptors) {
    const outcomes = await stores
      .get(acceptor)
      ?.execute(machine, [{ verb: "read", key: { kind: "chunk", chunk } }]);
    const outcome = outcomes?.[0];
    const item = outcome?.outcome === "applied" ? outcome.item : undefined;
    if (item?.kind === "content" && digest(item.content.text) === item.content.digest)
      return decodeChunk(geometry, chunk, item.content.text);
  }
  throw new Error(`no table of ${machine} has chunk ${chunk}`);
}
