/**
 * Learning chosen commands from one table (PROTOCOL §4 step 3; the Head claim, invariant 4).
 *
 * A table whose Head covers slot s alone rebuilds the state through s, so its chunks are read in order up
 * to there. A missing chunk means that the table was truncated meanwhile, or is damaged: nothing is
 * concluded from it.
 */
import type { Content, Outcome, Verb } from "./acceptor.ts";
import type { AcceptorId } from "./quorum.ts";
import { patience, type Requests } from "./requests.ts";
import { type ChunkNumber, chunkOf, firstSlotOf, type Geometry, type Slot } from "./slot.ts";
import { decodeChunk } from "./value.ts";

/** Chunks asked for in one request: enough to hide the round trip, few enough to hold in memory. */
const CHUNKS_PER_REQUEST = 16;

/** What is wrong with a table that may be as good as any, and cannot be reached: another has to be asked. */
export const UNANSWERED = "the table does not answer";

export type Digest = (text: string) => string;

export interface LearnerOptions {
  readonly requests: Requests;
  readonly geometry: Geometry;
  readonly digest: Digest;
  /** Told each value once, in slot order. */
  readonly learned: (slot: Slot, text: string) => void;
  /** The slot last learned, by whatever way. */
  readonly applied: () => Slot;
}

export class Learner {
  readonly #options: LearnerOptions;

  constructor(options: LearnerOptions) {
    this.#options = options;
  }

  /** Learns through `through` from `of`; then calls `done`, with what is wrong with the table if something is. */
  learn(of: AcceptorId, through: Slot, done: (damage?: string) => void): void {
    const { requests, geometry, applied } = this.#options;
    if (applied() >= through) return done();
    const first = chunkOf(geometry, (applied() + 1) as Slot);
    const last = Math.min(first + CHUNKS_PER_REQUEST - 1, chunkOf(geometry, through));
    const chunks = Array.from({ length: last - first + 1 }, (_, index) => (first + index) as ChunkNumber);
    const texts = new Map<ChunkNumber, readonly string[]>();
    let damage: string | undefined;
    let answered = 0;
    requests.ask(
      of,
      chunks.map((chunk): Verb => ({ verb: "read", key: { kind: "chunk", chunk } })),
      (verb, outcome) => {
        const chunk = (verb.key as { chunk: ChunkNumber }).chunk;
        const read = this.#decode(chunk, outcome);
        if (typeof read === "string") damage ??= read;
        else texts.set(chunk, read);
        answered++;
        if (answered < chunks.length) return;
        if (damage !== undefined) return done(damage);
        for (const each of chunks) this.#learnChunk(each, texts.get(each) ?? []);
        this.learn(of, through, done);
      },
      patience(() => done(UNANSWERED)),
    );
  }

  #learnChunk(chunk: ChunkNumber, texts: readonly string[]): void {
    const { geometry, applied, learned } = this.#options;
    texts.forEach((text, index) => {
      const slot = (firstSlotOf(geometry, chunk) + index) as Slot;
      if (slot === applied() + 1) learned(slot, text);
    });
  }

  /** The chunk's values, or what is wrong. */
  #decode(chunk: ChunkNumber, outcome: Outcome): readonly string[] | string {
    if (outcome.outcome !== "applied") return "the table is lost";
    const { content } = (outcome.item ?? {}) as Partial<Content>;
    if (content === undefined) return `chunk ${chunk} is missing`;
    if (this.#options.digest(content.text) !== content.digest) return `chunk ${chunk} is damaged`;
    return decodeChunk(this.#options.geometry, chunk, content.text);
  }
}
