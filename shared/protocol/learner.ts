/**
 * Learning chosen commands from one table (PROTOCOL §4 step 3; the Head claim, invariant 4).
 *
 * A table whose Head covers slot s alone rebuilds the state through s: its snapshot, if that is ahead of what
 * is applied, and then its chunks in order. A missing chunk or part means that the table was truncated meanwhile
 * and shows a newer snapshot, or else that it is damaged; of itself it is no end, and nothing is concluded.
 */
import type { Digest, Head, Value } from "./acceptor.ts";
import { CHUNKS_PER_REQUEST, Contents, chunkKeys, isTruncatedSince, type Trouble } from "./contents.ts";
import type { AcceptorId } from "./quorum.ts";
import type { Requests } from "./requests.ts";
import { type ChunkNumber, chunkOf, firstSlotOf, type Geometry, type Slot } from "./slot.ts";
import { decodePart } from "./snapshot.ts";
import { decodeChunk } from "./value.ts";

/** A snapshot to go on from: `frozen` is what `Replica.install` takes. */
export interface Installed {
  readonly slot: Slot;
  readonly frozen: Uint8Array;
}

export interface LearnerOptions {
  readonly requests: Requests;
  readonly geometry: Geometry;
  readonly digest: Digest;
  /** Told each value once, in slot order. */
  readonly learned: (slot: Slot, text: string) => void;
  /** Told in place of the slots that it has executed. */
  readonly installed: (snapshot: Installed) => void;
  /** The slot last learned, by whatever way. */
  readonly applied: () => Slot;
}

export class Learner {
  readonly #options: LearnerOptions;
  readonly #contents: Contents;

  constructor(options: LearnerOptions) {
    this.#options = options;
    this.#contents = new Contents(options);
  }

  /** Learns what `head` covers from the table that showed it; then calls `done`, with what is wrong if something is. */
  learn(of: AcceptorId, head: Head, done: (trouble?: Trouble) => void): void {
    const applied = this.#options.applied();
    if (applied >= head.covered) done();
    else if (applied < head.snapshotSlot) this.#readSnapshot(of, head, done);
    else this.#readChunks(of, head, done);
  }

  #readSnapshot(of: AcceptorId, head: Head, done: (trouble?: Trouble) => void): void {
    const pieces: Uint8Array[] = [];
    this.#contents.readParts(
      of,
      head.snapshot,
      (parts, next) => {
        pieces.push(...parts.map(({ content }) => decodePart(content.text)));
        next();
      },
      (trouble) => {
        if (trouble !== undefined) return this.#look(of, head, trouble, done);
        const { applied, installed } = this.#options;
        if (applied() < head.snapshotSlot)
          installed({ slot: head.snapshotSlot, frozen: Buffer.concat(pieces) });
        this.learn(of, head, done);
      },
    );
  }

  #readChunks(of: AcceptorId, head: Head, done: (trouble?: Trouble) => void): void {
    const { geometry, applied } = this.#options;
    const first = chunkOf(geometry, (applied() + 1) as Slot);
    const keys = chunkKeys(geometry, first, head.covered, CHUNKS_PER_REQUEST);
    this.#contents.read(of, keys, (read) => {
      if ("why" in read) return this.#look(of, head, read, done);
      keys.forEach(({ chunk }, index) => {
        this.#learnChunk(chunk, (read[index] as Value).text);
      });
      this.learn(of, head, done);
    });
  }

  #learnChunk(chunk: ChunkNumber, text: string): void {
    const { geometry, applied, learned } = this.#options;
    decodeChunk(geometry, chunk, text).forEach((value, index) => {
      const slot = (firstSlotOf(geometry, chunk) + index) as Slot;
      if (slot === applied() + 1) learned(slot, value);
    });
  }

  /** Something is missing: only the Head as it is now says whether that is the table's fault. */
  #look(of: AcceptorId, head: Head, trouble: Trouble, done: (trouble?: Trouble) => void): void {
    if (trouble.why !== "missing") return done(trouble);
    this.#contents.head(of, (now) => {
      if ("why" in now) done(now);
      else if (isTruncatedSince(head, now)) this.learn(of, now, done);
      else done(trouble);
    });
  }
}
