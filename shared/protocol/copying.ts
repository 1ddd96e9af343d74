/**
 * Copying from table to table what is no longer in memory (PROTOCOL §5 step 2, §7 step 2): chunks from a table that
 * has them; and where the next one was truncated, the snapshot in its place, part by part.
 *
 * A source that cannot show what its Head claims is asked for nothing more; one that was truncated meanwhile shows
 * a newer Head and is asked for its snapshot.
 */
import type { Head, Value } from "./acceptor.ts";
import {
  CHUNKS_PER_REQUEST,
  type Contents,
  chunkKeys,
  isTruncatedSince,
  type Keyed,
  REQUEST_CHARACTERS_MAX,
  type Trouble,
} from "./contents.ts";
import type { AcceptorId } from "./quorum.ts";
import { type ChunkNumber, type Geometry, lastSlotOf, type Slot } from "./slot.ts";
import { partKeys } from "./snapshot.ts";

/** How far a table is: the slots that it covers, of those that it is to cover; and how much of a snapshot it has. */
export interface Progress {
  readonly acceptor: AcceptorId;
  readonly covered: Slot;
  readonly of: Slot;
  /** While a snapshot is copied to it. */
  readonly parts?: { readonly copied: number; readonly of: number };
}

export interface CopyingOptions {
  readonly contents: Contents;
  readonly geometry: Geometry;
  readonly applied: () => Slot;
  /** `then` when all of it is acknowledged. */
  readonly put: (to: AcceptorId, contents: readonly Keyed[], then: () => void) => void;
  readonly progress: (progress: Progress) => void;
}

/** One lot of parts is read while the one before it is put. */
const LOTS_UNDER_WAY = 2;

/** Of small ones. */
const CHUNKS_PER_REQUEST_MAX = 128;

/** The Head that a table deserves now; undefined: it got nothing, and another try may be better. */
type Copied = (raised?: Head) => void;

export class Copying {
  readonly #options: CopyingOptions;
  /** The Heads of all tables that may be copied from; the first is asked first. */
  readonly #sources = new Map<AcceptorId, Head>();
  /** Tables that could not show what their Head claims. */
  readonly #unfit = new Set<AcceptorId>();
  #chunksPerRequest = CHUNKS_PER_REQUEST;

  constructor(options: CopyingOptions) {
    this.#options = options;
  }

  noteSource(of: AcceptorId, head: Head): void {
    const known = this.#sources.get(of);
    if (known === undefined || isNewer(head, known)) this.#sources.set(of, head);
  }

  /** Copies some of what `to` lacks behind `head`. False: no table has what it needs next. */
  copy(to: AcceptorId, head: Head, done: Copied): boolean {
    const { geometry } = this.#options;
    const next = lastSlotOf(geometry, (head.covered / geometry.chunkSlots) as ChunkNumber);
    const found = [...this.#sources].find(([id, other]) => other.covered >= next && !this.#unfit.has(id));
    if (found === undefined) return false;
    const [source, shown] = found;
    if (shown.snapshotSlot >= next) this.#copySnapshot(source, shown, to, head, done);
    else this.#copyChunks(source, shown, to, head, done);
    return true;
  }

  #copyChunks(source: AcceptorId, shown: Head, to: AcceptorId, head: Head, done: Copied): void {
    const { contents, geometry, applied, put } = this.#options;
    const first = (head.covered / geometry.chunkSlots) as ChunkNumber;
    const through = Math.min(shown.covered, applied()) as Slot;
    const keys = chunkKeys(geometry, first, through, this.#chunksPerRequest);
    contents.read(source, keys, (read) => {
      if ("why" in read) return this.#passOver(source, shown, read, done);
      this.#noteSize(read);
      const copies = read.map((content, index) => ({ key: keys[index] as Keyed["key"], content }));
      const covered = lastSlotOf(geometry, (first + read.length - 1) as ChunkNumber);
      put(to, copies, () => done({ ...head, covered }));
    });
  }

  /** The next chunks are as large as these. */
  #noteSize(read: readonly Value[]): void {
    const characters = read.reduce((sum, { text }) => sum + text.length, 0);
    const most = Math.floor((REQUEST_CHARACTERS_MAX * read.length) / characters);
    this.#chunksPerRequest = Math.min(Math.max(most, CHUNKS_PER_REQUEST), CHUNKS_PER_REQUEST_MAX);
  }

  #copySnapshot(source: AcceptorId, shown: Head, to: AcceptorId, head: Head, done: Copied): void {
    const { contents, put, progress, applied } = this.#options;
    const { snapshot, snapshotSlot } = shown;
    const all = partKeys(snapshot).length;
    let [copied, underWay] = [0, 0];
    /** What waits for a put. */
    let goOn: (() => void) | undefined;
    contents.readParts(
      source,
      snapshot,
      (parts, readOn) => {
        underWay++;
        put(to, parts, () => {
          underWay--;
          copied += parts.length;
          progress({ acceptor: to, covered: head.covered, of: applied(), parts: { copied, of: all } });
          goOn?.();
        });
        goOn = () => {
          if (underWay >= LOTS_UNDER_WAY) return;
          goOn = undefined;
          readOn();
        };
        goOn();
      },
      (trouble) => {
        if (trouble !== undefined) return this.#passOver(source, shown, trouble, done);
        goOn = () => {
          if (copied === all) done({ kind: "head", covered: snapshotSlot, snapshotSlot, snapshot });
        };
        goOn();
      },
    );
  }

  /** One that does not answer is the last to be asked again. */
  #passOver(source: AcceptorId, shown: Head, { why }: Trouble, done: Copied): void {
    if (why === "missing")
      return this.#options.contents.head(source, (now) => {
        if ("why" in now) return this.#passOver(source, shown, now, done);
        if (isTruncatedSince(shown, now)) this.noteSource(source, now);
        else this.#unfit.add(source);
        done();
      });
    if (why !== "unanswered") this.#unfit.add(source);
    const head = this.#sources.get(source) as Head;
    this.#sources.delete(source);
    this.#sources.set(source, head);
    done();
  }
}

/** A Head never decreases (invariant 3), so of two sightings the higher one is newer. */
export function isNewer(head: Head, known: Head): boolean {
  return head.covered > known.covered || head.snapshotSlot > known.snapshotSlot;
}
