/**
 * Archiving (PROTOCOL §5 step 1): copying chosen values from the cells, which are reused, into chunks,
 * which stay. One task per full acceptor, off the commit path: `put` chunks, await, `advance` the Head.
 *
 * Only applied slots are archived, and a table's Head is raised only from a value that this very table
 * showed. A table that lags gets what is no longer in memory from a table that has it (copying.ts).
 */
import { type Digest, HEAD, type Head } from "./acceptor.ts";
import {
  CHUNKS_PER_REQUEST,
  Contents,
  chunkKeys,
  isTruncatedSince,
  type Keyed,
  REQUEST_CHARACTERS_MAX,
} from "./contents.ts";
import { Copying, isNewer, type Progress } from "./copying.ts";
import type { Alarm } from "./invariant.ts";
import type { RecentLog } from "./log.ts";
import type { AcceptorId, QuorumSystem } from "./quorum.ts";
import type { Requests } from "./requests.ts";
import { type ChunkNumber, firstSlotOf, type Geometry, lastSlotOf, type Slot } from "./slot.ts";
import { Trimming } from "./trimming.ts";
import { encodeChunk } from "./value.ts";

export interface ArchiveOptions {
  readonly requests: Requests;
  readonly quorums: QuorumSystem;
  readonly geometry: Geometry;
  readonly digest: Digest;
  readonly log: RecentLog;
  readonly applied: () => Slot;
  readonly lost: (acceptor: AcceptorId) => void;
  readonly alarm: (alarm: Alarm) => void;
  readonly progress?: (progress: Progress) => void;
}

export class Archive {
  readonly #options: ArchiveOptions;
  readonly #contents: Contents;
  readonly #copying: Copying;
  readonly #trimming: Trimming;
  /** The Heads of the tables that are archived to, as they themselves last showed them. */
  readonly #heads = new Map<AcceptorId, Head>();
  readonly #busy = new Set<AcceptorId>();

  constructor(options: ArchiveOptions) {
    this.#options = options;
    this.#contents = new Contents(options);
    this.#trimming = new Trimming(options);
    this.#copying = new Copying({
      contents: this.#contents,
      geometry: options.geometry,
      applied: options.applied,
      put: (to, contents, then) => this.#put(to, contents, then),
      progress: (progress) => options.progress?.(progress),
    });
  }

  noteHead(of: AcceptorId, head: Head): void {
    const known = this.#heads.get(of);
    if (known === undefined || isNewer(head, known)) this.#heads.set(of, head);
    this.noteSource(of, head);
  }

  /** A table that is not archived to, and that may be copied from: one of another configuration. */
  noteSource(of: AcceptorId, head: Head): void {
    this.#copying.noteSource(of, head);
  }

  /** Of the Heads that are known the one with the newest snapshot. */
  get truncatedHead(): Head | undefined {
    const heads = [...this.#heads.values()];
    return heads.reduce<Head | undefined>(
      (newest, head) => (newest === undefined || isTruncatedSince(newest, head) ? head : newest),
      undefined,
    );
  }

  knowsHead(of: AcceptorId): boolean {
    return this.#heads.has(of);
  }

  /** Whether every one of these tables is known to cover `slot`. */
  allCover(acceptors: readonly AcceptorId[], slot: Slot): boolean {
    return acceptors.every((acceptor) => (this.#heads.get(acceptor)?.covered ?? -1) >= slot);
  }

  /** After `work`: a table should cover `slot`, and no table is left that can show what it needs next. */
  isStuck(slot: Slot): boolean {
    return [...this.#heads].some(([of, head]) => head.covered < slot && !this.#busy.has(of));
  }

  /** Rule U's second half: the full acceptors whose Head is known to cover `slot` meet every read quorum. */
  covers(slot: Slot): boolean {
    const { quorums } = this.#options;
    const covering = quorums.full.filter((acceptor) => (this.#heads.get(acceptor)?.covered ?? -1) >= slot);
    return quorums.meetsEveryReadQuorum(new Set(covering));
  }

  /** Starts what can be started: called whenever something was applied or a Head became known. */
  work(): void {
    for (const [acceptor, head] of this.#heads) {
      const chunk = (head.covered / this.#options.geometry.chunkSlots) as ChunkNumber;
      const isApplied = lastSlotOf(this.#options.geometry, chunk) <= this.#options.applied();
      if (isApplied && !this.#busy.has(acceptor)) this.#archive(acceptor, head, chunk);
    }
  }

  #archive(of: AcceptorId, head: Head, chunk: ChunkNumber): void {
    const chunks = this.#inMemory(chunk);
    const covered = lastSlotOf(this.#options.geometry, (chunk + chunks.length - 1) as ChunkNumber);
    if (chunks.length === 0) return this.#copy(of, head);
    this.#busy.add(of);
    this.#put(of, chunks, () => this.#advance(of, head, { ...head, covered }));
  }

  /** The chunks from `first` on, as far as they are applied and not forgotten: what fits into one request. */
  #inMemory(first: ChunkNumber): readonly Keyed[] {
    const { geometry, log, applied, digest } = this.#options;
    const chunks: Keyed[] = [];
    let characters = 0;
    for (const key of chunkKeys(geometry, first, applied(), CHUNKS_PER_REQUEST)) {
      const values = log.range(firstSlotOf(geometry, key.chunk), lastSlotOf(geometry, key.chunk));
      if (values === undefined) break;
      const text = encodeChunk(key.chunk, values);
      characters += text.length;
      if (chunks.length > 0 && characters > REQUEST_CHARACTERS_MAX) break;
      chunks.push({ key, content: { text, digest: digest(text) } });
    }
    return chunks;
  }

  /** When nothing comes of it, the next `work` tries again, and another table. */
  #copy(of: AcceptorId, head: Head): void {
    const isUnderWay = this.#copying.copy(of, head, (raised) => {
      if (raised === undefined) this.#busy.delete(of);
      else this.#advance(of, head, raised);
    });
    if (isUnderWay) this.#busy.add(of);
  }

  #put(to: AcceptorId, contents: readonly Keyed[], then: () => void): void {
    this.#contents.put(to, contents, "forEver", (trouble) => {
      if (trouble === undefined) then();
      else if (trouble.why === "lost") this.#options.lost(to);
      else this.#options.alarm({ invariant: 6, detail: trouble.detail });
    });
  }

  /** What the Head claims first, all of it acknowledged; only then the Head (invariant 4). */
  #advance(of: AcceptorId, head: Head, raised: Head): void {
    const { requests, lost, applied, progress } = this.#options;
    requests.ask(of, [{ verb: "advance", key: HEAD, head: raised }], (_, outcome) => {
      const now = outcome.outcome === "applied" ? outcome.item : outcome.by;
      if (now?.kind !== "head") return lost(of);
      this.#busy.delete(of);
      this.noteHead(of, now);
      progress?.({ acceptor: of, covered: now.covered, of: applied() });
      if (outcome.outcome === "applied" && isTruncatedSince(head, now))
        this.#trimming.trim(of, head, now, () => {});
      this.work();
    });
  }
}
