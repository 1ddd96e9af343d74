/**
 * Write units of a slot in one table (PROTOCOL §13), and how a leader fills its slots. DynamoDB Local counts the same
 * (test/aws/capacity.test.ts). Nothing is taken to be packed: commands that resemble each other cost less.
 */
import { BATCH_BYTES_MAX } from "../../shared/limits.ts";
import { MACHINE_GEOMETRY } from "../../shared/protocol/slot.ts";
import { SNAPSHOT_SLOTS } from "../../shared/runtime/snapshots/pace.ts";

const UNIT_BYTES = 1024;
/** What an item has besides the value of a vote, or of a chunk. */
const VOTE_OVERHEAD_BYTES = 290;
const CHUNK_OVERHEAD_BYTES = 80;
/** Of a batch: format, ballot and time. Of each command: session and sequence. */
const BATCH_OVERHEAD_BYTES = 130;
const COMMAND_OVERHEAD_BYTES = 60;
/** DynamoDB takes 5 ms, and a leader sends no more than one slot in half of that. */
const SLOTS_A_SECOND_MAX = 400;
const SNAPSHOT_LOG_BYTES = 16 * 1024 * 1024;
export interface SlotUnits {
  readonly vote: number;
  /** A share of its chunk, which is written once more, with the Head that says so. */
  readonly archive: number;
  /** A share of its chunk again: deleting an item costs as much as writing it. */
  readonly truncation: number;
}

/** `valueBytes`: as it lies in the item, packed or not; `chunkBytes`: likewise of a chunk of such. */
export function unitsOfSlot(
  valueBytes: number,
  chunkBytes = MACHINE_GEOMETRY.chunkSlots * valueBytes,
): SlotUnits {
  const { chunkSlots } = MACHINE_GEOMETRY;
  const chunk = wholeUnits(chunkBytes + CHUNK_OVERHEAD_BYTES);
  return {
    vote: wholeUnits(valueBytes + VOTE_OVERHEAD_BYTES),
    archive: (chunk + 1) / chunkSlots,
    truncation: chunk / chunkSlots,
  };
}

export interface Slots {
  readonly perSecond: number;
  readonly valueBytes: number;
}

/** At the least that many commands a second make as many slots as there may be; more commands make larger ones. */
export function slotsFor(commandsPerSecond: number, commandBytes: number): Slots {
  const each = commandBytes + COMMAND_OVERHEAD_BYTES;
  const fitting = Math.max(1, Math.floor(BATCH_BYTES_MAX / each));
  const perSlot = Math.min(fitting, Math.max(1, commandsPerSecond / SLOTS_A_SECOND_MAX));
  return { perSecond: commandsPerSecond / perSlot, valueBytes: BATCH_OVERHEAD_BYTES + perSlot * each };
}

/**
 * Of one slot, its share of the snapshot that takes its place: the parts are written once, and deleted once. They are
 * base64, which adds a third, and packing takes that back whatever it is of.
 */
export function snapshotUnitsOfSlot(valueBytes: number, stateBytes: number): number {
  return (2 * wholeUnits(stateBytes)) / slotsPerSnapshot(valueBytes, stateBytes);
}

/** What a table holds of a machine: the snapshot and its successor, and twice the log between two of them. */
export function storedBytes(valueBytes: number, stateBytes: number): number {
  return 2 * (stateBytes + valueBytes * slotsPerSnapshot(valueBytes, stateBytes));
}

function slotsPerSnapshot(valueBytes: number, stateBytes: number): number {
  const long = Math.min(SNAPSHOT_SLOTS, SNAPSHOT_LOG_BYTES / valueBytes);
  return Math.max(long, stateBytes / valueBytes);
}

function wholeUnits(bytes: number): number {
  return Math.ceil(bytes / UNIT_BYTES);
}
