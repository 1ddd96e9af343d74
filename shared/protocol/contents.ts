/**
 * Reading and writing what can be deleted, chunks and parts, and telling a table that was truncated meanwhile from
 * one that lacks what it claims (PROTOCOL §4 step 3). Nothing is handed on that its digest does not fit.
 */
import {
  type ChunkKey,
  type Content,
  type Digest,
  HEAD,
  type Head,
  type Outcome,
  type PartKey,
  type Value,
  type Verb,
} from "./acceptor.ts";
import type { AcceptorId } from "./quorum.ts";
import { patience, type Requests } from "./requests.ts";
import { type ChunkNumber, type Geometry, lastSlotOf, type Slot } from "./slot.ts";
import { nameOf, partKeys, type Snapshot, slotOf } from "./snapshot.ts";

/**
 * missing: it is not there; either the table was truncated meanwhile, and then its Head shows a newer snapshot, or
 * it lacks what it claims. taken: something else stands under this key, which its content should follow from.
 */
export interface Trouble {
  readonly why: "missing" | "damaged" | "taken" | "lost" | "unanswered";
  readonly detail: string;
}

export type ContentKey = ChunkKey | PartKey;

/** What to put. */
export interface Keyed {
  readonly key: ContentKey;
  readonly content: Value;
}

/** Chunks in one request: enough to hide the round trip, few enough to hold in memory. */
export const CHUNKS_PER_REQUEST = 16;
/** Parts in one request: 1 MB. */
const PARTS_PER_REQUEST = 4;
/** Text in one request, unless one item alone is more. */
export const REQUEST_CHARACTERS_MAX = 1024 * 1024;

export interface ContentsOptions {
  readonly requests: Requests;
  readonly digest: Digest;
}

const UNANSWERED: Trouble = { why: "unanswered", detail: "the table does not answer" };
const LOST: Trouble = { why: "lost", detail: "the table is lost" };

export class Contents {
  readonly #options: ContentsOptions;

  constructor(options: ContentsOptions) {
    this.#options = options;
  }

  head(of: AcceptorId, done: (read: Head | Trouble) => void): void {
    this.#options.requests.ask(
      of,
      [{ verb: "read", key: HEAD }],
      (_, outcome) => {
        const head = outcome.outcome === "applied" ? outcome.item : undefined;
        done(head?.kind === "head" ? head : LOST);
      },
      patience(() => done(UNANSWERED)),
    );
  }

  /** In one request, in their order. */
  read(of: AcceptorId, keys: readonly ContentKey[], done: (read: readonly Value[] | Trouble) => void): void {
    const read = new Map<Verb["key"], Value>();
    let trouble: Trouble | undefined;
    let unanswered = keys.length;
    this.#options.requests.ask(
      of,
      keys.map((key): Verb => ({ verb: "read", key })),
      ({ key }, outcome) => {
        const content = this.#verified(key as ContentKey, outcome);
        if ("why" in content) trouble ??= content;
        else read.set(key, content);
        if (--unanswered === 0) done(trouble ?? keys.map((each) => read.get(each) as Value));
      },
      patience(() => done(UNANSWERED)),
    );
  }

  /**
   * A snapshot's parts, few at a time: `take` calls `next` when it is done with them. Only when `done` is called
   * without trouble are they the parts of this snapshot.
   */
  readParts(
    of: AcceptorId,
    snapshot: string,
    take: (parts: readonly Keyed[], next: () => void) => void,
    done: (trouble?: Trouble) => void,
  ): void {
    const keys = partKeys(snapshot);
    const digests: string[] = [];
    const readOn = (): void => {
      const asked = keys.slice(digests.length, digests.length + PARTS_PER_REQUEST);
      if (asked.length === 0) return done(this.#misnamed(snapshot, digests));
      this.read(of, asked, (read) => {
        if ("why" in read) return done(read);
        digests.push(...read.map((part) => part.digest));
        take(
          asked.map((key, index) => ({ key, content: read[index] as Value })),
          readOn,
        );
      });
    };
    readOn();
  }

  /** All at once. `done` once: when all is acknowledged, or at the first trouble. */
  put(
    of: AcceptorId,
    contents: readonly Keyed[],
    insisting: "forAWhile" | "forEver",
    done: (trouble?: Trouble) => void,
  ): void {
    let missing = contents.length;
    let isOver = false;
    const finish = (trouble?: Trouble): void => {
      if (isOver) return;
      isOver = true;
      done(trouble);
    };
    for (const lot of lotsOf(contents))
      this.#options.requests.ask(
        of,
        lot.map(({ key, content }): Verb => ({ verb: "put", key, content })),
        ({ key }, outcome) => {
          if (outcome.outcome === "applied") {
            if (--missing === 0) finish();
          } else if (outcome.by === undefined) finish(LOST);
          else finish({ why: "taken", detail: `${inWords(key as ContentKey)} of ${of} holds other values` });
        },
        insisting === "forEver" ? undefined : patience(() => finish(UNANSWERED)),
      );
  }

  /** A snapshot's parts, few at a time. */
  putParts(of: AcceptorId, { name, parts }: Snapshot, done: (trouble?: Trouble) => void): void {
    const keyed = partKeys(name).map((key, part): Keyed => ({ key, content: parts[part] as Value }));
    const putOn = (from: number): void => {
      if (from >= keyed.length) return done();
      this.put(of, keyed.slice(from, from + PARTS_PER_REQUEST), "forAWhile", (trouble) => {
        if (trouble === undefined) putOn(from + PARTS_PER_REQUEST);
        else done(trouble);
      });
    };
    putOn(0);
  }

  #verified(key: ContentKey, outcome: Outcome): Value | Trouble {
    if (outcome.outcome !== "applied") return LOST;
    const { content } = (outcome.item ?? {}) as Partial<Content>;
    if (content === undefined) return { why: "missing", detail: `${inWords(key)} is missing` };
    if (this.#options.digest(content.text) !== content.digest)
      return { why: "damaged", detail: `${inWords(key)} is damaged` };
    return content;
  }

  #misnamed(snapshot: string, digests: readonly string[]): Trouble | undefined {
    if (nameOf(slotOf(snapshot), digests, this.#options.digest) === snapshot) return undefined;
    return { why: "damaged", detail: `snapshot ${snapshot} has other parts than its name says` };
  }
}

/** Whether a table was truncated between two sightings of its Head: then what was missing proves nothing. */
export function isTruncatedSince(before: Head, now: Head): boolean {
  return now.snapshotSlot > before.snapshotSlot;
}

/** The keys of the chunks from `first` to the one that ends with `through`, at most so many. */
export function chunkKeys(
  geometry: Geometry,
  first: ChunkNumber,
  through: Slot,
  most = Number.POSITIVE_INFINITY,
): readonly ChunkKey[] {
  const keys: ChunkKey[] = [];
  for (let chunk = first; lastSlotOf(geometry, chunk) <= through && keys.length < most; chunk++)
    keys.push({ kind: "chunk", chunk });
  return keys;
}

function inWords(key: ContentKey): string {
  return key.kind === "chunk" ? `chunk ${key.chunk}` : `part ${key.part} of snapshot ${key.snapshot}`;
}

function lotsOf(contents: readonly Keyed[]): readonly (readonly Keyed[])[] {
  const lots: Keyed[][] = [];
  let characters = Number.POSITIVE_INFINITY;
  for (const each of contents) {
    characters += each.content.text.length;
    if (characters > REQUEST_CHARACTERS_MAX) {
      lots.push([]);
      characters = each.content.text.length;
    }
    lots.at(-1)?.push(each);
  }
  return lots;
}
