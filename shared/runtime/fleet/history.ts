/**
 * Reading a machine's log: chunks from any table that has them, and the recent end from memory. Only chosen values,
 * in slot order. What a snapshot took the place of is not there any more, and that is what the reader is told: the
 * tables' Heads say through which slot.
 */
import { type Digest, HEAD, type Head, type Item, type Verb } from "../../protocol/acceptor.ts";
import type { MachineId } from "../../protocol/configuration.ts";
import type { RecentLog } from "../../protocol/log.ts";
import type { AcceptorId } from "../../protocol/quorum.ts";
import {
  type ChunkNumber,
  chunkOf,
  firstSlotOf,
  type Geometry,
  NO_SLOT,
  type Slot,
} from "../../protocol/slot.ts";
import { decodeChunk } from "../../protocol/value.ts";
import type { StorePool } from "../store-pool.ts";
import { trimmed } from "./trimmed.ts";

/** They hide the round trip, and are little enough to hold in memory for each reader. */
const CHUNKS_PER_REQUEST = 16;

export interface HistoryOptions {
  readonly machine: MachineId;
  readonly geometry: Geometry;
  readonly acceptors: readonly AcceptorId[];
  readonly stores: StorePool;
  readonly log: RecentLog;
  readonly digest: Digest;
}

/**
 * The values of `from` … `to`; without `from`, from the first slot that is there.
 * @throws Invalid (trimmed) when a snapshot has taken the next slot's place; Error when no table can show it.
 */
export async function* history(
  options: HistoryOptions,
  from: Slot | undefined,
  to: Slot,
): AsyncGenerator<readonly [Slot, string]> {
  const { machine, log } = options;
  const isRecent = from !== undefined && log.get(from) !== undefined;
  const through = isRecent ? NO_SLOT : await trimmedThrough(options);
  if (from !== undefined && from <= through) throw trimmed(machine, from, through);
  let isBegun = from !== undefined;
  for (let next = from ?? after(through); next <= to; ) {
    const recent = log.get(next);
    const texts = recent === undefined ? await chunksFrom(options, next) : [recent];
    if (texts.length === 0) {
      // The tables were truncated meanwhile, or cannot show what they should.
      const now = await trimmedThrough(options);
      if (next > now) throw new Error(`no table of ${machine} can show slot ${next}`);
      if (isBegun) throw trimmed(machine, next, now);
      next = after(now);
    }
    for (const text of texts) {
      if (next <= to) yield [next, text];
      isBegun = true;
      next = after(next);
    }
  }
}

function after(slot: Slot): Slot {
  return (slot + 1) as Slot;
}

/** The last slot that is not to be had from the tables; from the one after it on all are. */
async function trimmedThrough(options: HistoryOptions): Promise<Slot> {
  const items = await Promise.all(
    options.acceptors.map(
      async (acceptor) => (await read(options, acceptor, [{ verb: "read", key: HEAD }]))[0],
    ),
  );
  const heads = items.filter((item): item is Head => item?.kind === "head");
  const newest = Math.max(0, ...heads.map(({ snapshotSlot }) => snapshotSlot));
  // One that lags behind a snapshot has old chunks, and not those between it and the others.
  const complete = heads.filter(({ covered }) => covered >= newest);
  return Math.min(newest, ...complete.map(({ snapshotSlot }) => snapshotSlot)) as Slot;
}

/** From `slot` on, as far as one table goes in one request; empty: none has its chunk. */
async function chunksFrom(options: HistoryOptions, slot: Slot): Promise<readonly string[]> {
  const { acceptors, geometry, digest } = options;
  const first = chunkOf(geometry, slot);
  const verbs = Array.from({ length: CHUNKS_PER_REQUEST }, (_, index): Verb => {
    return { verb: "read", key: { kind: "chunk", chunk: (first + index) as ChunkNumber } };
  });
  for (const acceptor of acceptors) {
    const texts: string[] = [];
    for (const [index, item] of (await read(options, acceptor, verbs)).entries()) {
      if (item?.kind !== "content" || digest(item.content.text) !== item.content.digest) break;
      texts.push(...decodeChunk(geometry, (first + index) as ChunkNumber, item.content.text));
    }
    if (texts.length > 0) return texts.slice(slot - firstSlotOf(geometry, first));
  }
  return [];
}

async function read(
  { stores, machine }: HistoryOptions,
  acceptor: AcceptorId,
  verbs: readonly Verb[],
): Promise<readonly (Item | undefined)[]> {
  const outcomes = (await stores.get(acceptor)?.execute(machine, verbs)) ?? [];
  return outcomes.map((outcome) => (outcome.outcome === "applied" ? outcome.item : undefined));
}
