/**
 * Deleting what a table's Head needs no longer (PROTOCOL §5 step 3): the parts of the snapshot before, and the
 * chunks that the snapshot stands for. Only what a Head that this table has acknowledged makes superfluous.
 *
 * Chunks go oldest first, so that what a crash leaves behind lies together just below the snapshot: whoever trims
 * next finds it by walking down from there.
 */
import type { Head, Verb } from "./acceptor.ts";
import { CHUNKS_PER_REQUEST, type ContentKey, chunkKeys, isTruncatedSince } from "./contents.ts";
import type { AcceptorId } from "./quorum.ts";
import { patience, type Requests } from "./requests.ts";
import type { ChunkNumber, Geometry, Slot } from "./slot.ts";
import { partKeys } from "./snapshot.ts";

export interface TrimmingOptions {
  readonly requests: Requests;
  readonly geometry: Geometry;
}

/** What one request deletes is not deleted in order, so no more than what one step of the walk sees. */
const DROPS_PER_REQUEST = CHUNKS_PER_REQUEST;

export class Trimming {
  readonly #options: TrimmingOptions;

  constructor(options: TrimmingOptions) {
    this.#options = options;
  }

  /** The table's Head was `before` and is `now`. A table that does not answer keeps its garbage. */
  trim(of: AcceptorId, before: Head, now: Head, done: () => void): void {
    const { geometry } = this.#options;
    const parts = before.snapshotSlot > 0 && isTruncatedSince(before, now) ? partKeys(before.snapshot) : [];
    const through = Math.min(now.snapshotSlot, before.covered) as Slot;
    this.drop(of, parts, () =>
      this.#walkDown(of, (before.snapshotSlot / geometry.chunkSlots) as ChunkNumber, (oldest) =>
        this.drop(of, chunkKeys(geometry, oldest, through), done),
      ),
    );
  }

  /** In this order, as far as the table answers. */
  drop(of: AcceptorId, keys: readonly ContentKey[], done: () => void): void {
    const asked = keys.slice(0, DROPS_PER_REQUEST);
    if (asked.length === 0) return done();
    let unanswered = asked.length;
    this.#options.requests.ask(
      of,
      asked.map((key): Verb => ({ verb: "drop", key })),
      () => {
        if (--unanswered === 0) this.drop(of, keys.slice(asked.length), done);
      },
      patience(done),
    );
  }

  /** From a snapshot's end down to the oldest chunk that an earlier trimming left. */
  #walkDown(of: AcceptorId, from: ChunkNumber, found: (oldest: ChunkNumber) => void): void {
    const first = Math.max(0, from - CHUNKS_PER_REQUEST) as ChunkNumber;
    if (first === from) return found(from);
    let isAnyThere = false;
    let unanswered = from - first;
    const verbs = Array.from({ length: unanswered }, (_, index): Verb => {
      return { verb: "read", key: { kind: "chunk", chunk: (first + index) as ChunkNumber } };
    });
    this.#options.requests.ask(
      of,
      verbs,
      (_, outcome) => {
        isAnyThere ||= outcome.outcome === "applied" && outcome.item !== undefined;
        if (--unanswered > 0) return;
        if (isAnyThere) this.#walkDown(of, first, found);
        else found(from);
      },
      patience(() => found(from)),
    );
  }
}
