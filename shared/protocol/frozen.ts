/**
 * A replica at rest: all that it has to know to go on as if it had executed everything itself. That is the
 * machine's state and what the machine remembers about its callers; without sessions and keys a command would
 * execute twice, without inboxes a message would be lost (PROTOCOL §5 step 2).
 *
 * Lines of JSON, so that no single text grows with the machine, and then the machine's state as its code froze
 * it. The first line has a format version; an unknown one stops the reader.
 */
import type { Succession } from "./horizontal.ts";
import type { Message } from "./inbox.ts";
import type { Reply } from "./session.ts";
import type { Slot } from "./slot.ts";
import type { Sequence, SessionId } from "./value.ts";

/** All in the order in which they will be forgotten. */
export interface FrozenSessions {
  readonly sessions: readonly FrozenSession[];
  readonly keys: readonly (readonly [key: string, reply: Reply])[];
}

export type FrozenSession = readonly [
  id: SessionId,
  nonce: string,
  sequence: Sequence,
  /** `null`: nothing was executed in it yet. */
  reply: Reply | null,
];

export interface FrozenInboxes {
  /** Of the last message to anybody. */
  readonly cursor: number;
  readonly inboxes: readonly (readonly [client: string, messages: readonly Message[]])[];
}

export interface Frozen {
  readonly slot: Slot;
  /** The highest time that was logged. */
  readonly time: number;
  readonly sessions: FrozenSessions;
  readonly inboxes: FrozenInboxes;
  /** Of a machine that is reconfigured horizontally. */
  readonly succession?: Succession;
  readonly state: Uint8Array;
}

const FORMAT = 1;
const LINE_END = 10;

interface Header {
  readonly format: number;
  readonly slot: Slot;
  readonly time: number;
  readonly cursor: number;
  readonly sessions: number;
  readonly keys: number;
  readonly inboxes: number;
  readonly succession?: Succession;
}

export function encodeFrozen({
  slot,
  time,
  sessions: { sessions, keys },
  inboxes,
  succession,
  state,
}: Frozen): Uint8Array {
  const header: Header = {
    format: FORMAT,
    slot,
    time,
    cursor: inboxes.cursor,
    sessions: sessions.length,
    keys: keys.length,
    inboxes: inboxes.inboxes.length,
    ...(succession && { succession }),
  };
  const lines = [header, ...sessions, ...keys, ...inboxes.inboxes].map((line) =>
    Buffer.from(`${JSON.stringify(line)}\n`),
  );
  return Buffer.concat([...lines, state]);
}

/** @throws RangeError on another format: a newer version wrote it. */
export function decodeFrozen(frozen: Uint8Array): Frozen {
  const reader = new LineReader(frozen);
  const header = readHeader(reader);
  const { slot, time, cursor, succession } = header;
  return {
    slot,
    time,
    sessions: {
      sessions: reader.take<FrozenSession>(header.sessions),
      keys: reader.take<FrozenSessions["keys"][number]>(header.keys),
    },
    inboxes: { cursor, inboxes: reader.take<FrozenInboxes["inboxes"][number]>(header.inboxes) },
    ...(succession && { succession }),
    state: reader.rest,
  };
}

/** What a leader has to know of a snapshot before it is installed (PROTOCOL §8). */
export function successionOf(frozen: Uint8Array): Succession | undefined {
  return readHeader(new LineReader(frozen)).succession;
}

function readHeader(reader: LineReader): Header {
  const header = reader.next() as Header;
  if (header.format !== FORMAT)
    throw new RangeError(`a snapshot has format ${header.format}; this version reads ${FORMAT}`);
  return header;
}

class LineReader {
  readonly #bytes: Uint8Array;
  readonly #decoder = new TextDecoder();
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  next(): unknown {
    const end = this.#bytes.indexOf(LINE_END, this.#at);
    const line = this.#decoder.decode(this.#bytes.subarray(this.#at, end));
    this.#at = end + 1;
    return JSON.parse(line);
  }

  take<Line>(count: number): readonly Line[] {
    return Array.from({ length: count }, () => this.next() as Line);
  }

  get rest(): Uint8Array {
    return new Uint8Array(this.#bytes.subarray(this.#at));
  }
}
