/**
 * Archiving (PROTOCOL §5 step 1): copying chosen values from the cells, which are reused, into chunks,
 * which stay. One task per full acceptor, off the commit path: `put` a chunk, await, `advance` the Head.
 *
 * Only applied slots are archived, and a table's Head is raised only from a value that this very table
 * showed. A table that lags gets what is no longer in memory from a table that has it.
 */
import { HEAD, type Head, type Item, type Value, type Verb } from "./acceptor.ts";
import type { Alarm } from "./invariant.ts";
import type { Digest } from "./learner.ts";
import type { RecentLog } from "./log.ts";
import type { AcceptorId, QuorumSystem } from "./quorum.ts";
import { patience, type Requests, type Settle } from "./requests.ts";
import { type ChunkNumber, firstSlotOf, type Geometry, lastSlotOf, type Slot } from "./slot.ts";
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
}

export class Archive {
  readonly #options: ArchiveOptions;
  /** The Heads of the tables that are archived to, as they themselves last showed them. */
  readonly #heads = new Map<AcceptorId, Head>();
  /** The Heads of all tables that a chunk may be copied from; the first is asked first. */
  readonly #sources = new Map<AcceptorId, Head>();
  readonly #busy = new Set<AcceptorId>();
  /** Tables that could not show a chunk that their Head claims. */
  readonly #unfit = new Set<AcceptorId>();

  constructor(options: ArchiveOptions) {
    this.#options = options;
  }

  /** A Head never decreases (invariant 3), so of two sightings the higher one is newer. */
  noteHead(of: AcceptorId, head: Head): void {
    const known = this.#heads.get(of);
    if (known === undefined || head.covered > known.covered) this.#heads.set(of, head);
    this.noteSource(of, head);
  }

  /** A table that is not archived to, and that chunks may be copied from: one of another configuration. */
  noteSource(of: AcceptorId, head: Head): void {
    const known = this.#sources.get(of);
    if (known === undefined || head.covered > known.covered) this.#sources.set(of, head);
  }

  knowsHead(of: AcceptorId): boolean {
    return this.#heads.has(of);
  }

  /** Whether every one of these tables is known to cover `slot`. */
  allCover(acceptors: readonly AcceptorId[], slot: Slot): boolean {
    return acceptors.every((acceptor) => (this.#heads.get(acceptor)?.covered ?? -1) >= slot);
  }

  /** After `work`: a table should cover `slot`, and no table is left that can show the chunk it needs next. */
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
    const { geometry, log, digest } = this.#options;
    const values = log.range(firstSlotOf(geometry, chunk), lastSlotOf(geometry, chunk));
    if (values === undefined) return this.#copy(of, head, chunk);
    this.#busy.add(of);
    const text = encodeChunk(chunk, values);
    this.#put(of, head, chunk, { text, digest: digest(text) });
  }

  /** Fetches the chunk from a table that covers it; when that fails, the next `work` tries another. */
  #copy(of: AcceptorId, head: Head, chunk: ChunkNumber): void {
    const { geometry, digest } = this.#options;
    const last = lastSlotOf(geometry, chunk);
    const sources = [...this.#sources].filter(([id, other]) => other.covered >= last && !this.#unfit.has(id));
    const source = sources[0]?.[0];
    if (source === undefined) return;
    this.#busy.add(of);
    const onRead = (item: Item | undefined): void => {
      if (item?.kind === "content" && digest(item.content.text) === item.content.digest)
        return this.#put(of, head, chunk, item.content);
      this.#unfit.add(source);
      this.#busy.delete(of);
    };
    const giveUp = (): void => {
      this.#putLast(source);
      this.#busy.delete(of);
    };
    this.#ask(source, { verb: "read", key: { kind: "chunk", chunk } }, onRead, patience(giveUp));
  }

  /** One that does not answer is the last to be asked again. */
  #putLast(source: AcceptorId): void {
    const head = this.#sources.get(source) as Head;
    this.#sources.delete(source);
    this.#sources.set(source, head);
  }

  /** The chunk first, acknowledged; only then the Head that claims it (invariant 4). */
  #put(of: AcceptorId, head: Head, chunk: ChunkNumber, content: Value): void {
    this.#ask(of, { verb: "put", key: { kind: "chunk", chunk }, content }, (item, applied) => {
      if (applied) return this.#advance(of, head, chunk);
      if (item === undefined) return this.#options.lost(of);
      this.#options.alarm({ invariant: 6, detail: `chunk ${chunk} of ${of} holds other values` });
    });
  }

  #advance(of: AcceptorId, head: Head, chunk: ChunkNumber): void {
    const covered = lastSlotOf(this.#options.geometry, chunk);
    this.#ask(of, { verb: "advance", key: HEAD, head: { ...head, covered } }, (item) => {
      if (item?.kind !== "head") return this.#options.lost(of);
      this.#busy.delete(of);
      this.noteHead(of, item);
      this.work();
    });
  }

  /** `item`: what stands there now, or what refused. */
  #ask(
    of: AcceptorId,
    verb: Verb,
    settle: (item: Item | undefined, applied: boolean) => void,
    wanted?: () => boolean,
  ): void {
    const onOutcome: Settle = (_, outcome) => {
      const applied = outcome.outcome === "applied";
      settle(applied ? outcome.item : outcome.by, applied);
    };
    this.#options.requests.ask(of, [verb], onOutcome, wanted);
  }
}
