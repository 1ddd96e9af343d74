/**
 * What is written into a slot: a batch of commands, as one line of JSON (PROTOCOL §6, Batches).
 *
 * The batch names the ballot that first proposed it, which makes every value unique, and the wall clock
 * of that leader, which is the machine's only source of time. A chunk is its C values, one a line.
 * Both begin with a format version; an unknown one stops the reader, it is never skipped.
 */
import type { Ballot } from "./ballot.ts";
import type { Reconfigure } from "./horizontal.ts";
import type { ChunkNumber, Geometry } from "./slot.ts";

/** The log position of the command that opened the session: `slot-index`. */
export type SessionId = string & { readonly brand: "SessionId" };
export type Sequence = number & { readonly brand: "Sequence" };

/**
 * A command in the log: opening a session; a command of a session (executed at most once, by sequence);
 * one with an idempotency key (once within a window of the log); or a bare one. A reconfiguration is the machine's
 * own affair: its code never sees it, and it is void when it is repeated.
 */
export type Command =
  | { readonly open: string }
  | { readonly reconfigure: Reconfigure }
  | { readonly session: SessionId; readonly sequence: Sequence; readonly command: unknown }
  | { readonly key: string; readonly command: unknown }
  | { readonly command: unknown };

export interface Batch {
  readonly ballot: Ballot;
  /** Milliseconds since 1970 on the proposing leader's wall clock. */
  readonly time: number;
  readonly commands: readonly Command[];
}

const VALUE_FORMAT = 1;
const CHUNK_FORMAT = "theseus-chunk-1";

/** `commands` are encoded commands (`encodeCommand`): each is encoded once, at the edge. */
export function encodeBatch(ballot: Ballot, time: number, commands: readonly string[]): string {
  return `{"format":${VALUE_FORMAT},"ballot":"${ballot}","time":${time},"commands":[${commands.join(",")}]}`;
}

export function encodeCommand(command: Command): string {
  return JSON.stringify(command);
}

/** @throws RangeError on another format: a newer version wrote it, and guessing would diverge. */
export function decodeBatch(text: string): Batch {
  const batch = JSON.parse(text) as Batch & { format: number };
  if (batch.format !== VALUE_FORMAT)
    throw new RangeError(`a log value has format ${batch.format}; this version reads ${VALUE_FORMAT}`);
  return batch;
}

export function encodeChunk(chunk: ChunkNumber, values: readonly string[]): string {
  return [`${CHUNK_FORMAT} ${chunk}`, ...values].join("\n");
}

/** @throws RangeError when the text is not chunk `chunk` of this geometry. */
export function decodeChunk(geometry: Geometry, chunk: ChunkNumber, text: string): readonly string[] {
  const [header, ...values] = text.split("\n");
  if (header !== `${CHUNK_FORMAT} ${chunk}` || values.length !== geometry.chunkSlots)
    throw new RangeError(`not chunk ${chunk}, or in a format of another version: ${header?.slice(0, 40)}`);
  return values;
}
