/**
 * Slots, lanes and chunks (PROTOCOL §1–2).
 *
 * A slot is the talk's command number. Slot i is voted in lane 1 + i mod K: one cell per lane, so an
 * acceptor keeps at most K votes. Lane 0 is the fence lane and never holds a vote; reads check it.
 * Chunk a holds the chosen values of slots aC+1 … (a+1)C.
 */
export type Slot = number & { readonly brand: "Slot" };
export type Lane = number & { readonly brand: "Lane" };
export type ChunkNumber = number & { readonly brand: "ChunkNumber" };

export const FENCE_LANE = 0 as Lane;
export const NO_SLOT = 0 as Slot;

/** A machine's constants, fixed for its life: they decide where a slot's vote and its copy lie. */
export interface Geometry {
  /** K: cells for votes per acceptor, and so the most slots between "applied" and "proposed". */
  readonly lanes: number;
  /** C ≤ K: slots per chunk. */
  readonly chunkSlots: number;
}

/** K = 32 lanes of 48 KB keep one acceptor's cells below 1.6 MB; C = 8 keeps a chunk below DynamoDB's 400 KB. */
export const MACHINE_GEOMETRY: Geometry = { lanes: 32, chunkSlots: 8 };
/** The registry decides little and is recovered by cold functions: few lanes make that cheap (§9). */
export const REGISTRY_GEOMETRY: Geometry = { lanes: 8, chunkSlots: 4 };

export function slot(value: number): Slot {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`not a slot: ${value}`);
  return value as Slot;
}

export function laneOf(geometry: Geometry, of: Slot): Lane {
  return (1 + (of % geometry.lanes)) as Lane;
}

/** The fence lane and the K lanes of votes. */
export function allLanes(geometry: Geometry): readonly Lane[] {
  return Array.from({ length: geometry.lanes + 1 }, (_, lane) => lane as Lane);
}

/** The next end of a chunk, which may be the slot itself. */
export function roundUpToChunk({ chunkSlots }: Geometry, of: Slot): Slot {
  return (Math.ceil(of / chunkSlots) * chunkSlots) as Slot;
}

/** The chunk that holds `of` (slots start at 1). */
export function chunkOf(geometry: Geometry, of: Slot): ChunkNumber {
  return Math.floor((of - 1) / geometry.chunkSlots) as ChunkNumber;
}

export function firstSlotOf(geometry: Geometry, chunk: ChunkNumber): Slot {
  return (chunk * geometry.chunkSlots + 1) as Slot;
}

export function lastSlotOf(geometry: Geometry, chunk: ChunkNumber): Slot {
  return ((chunk + 1) * geometry.chunkSlots) as Slot;
}
