/**
 * Truncation (PROTOCOL §5): gives every full acceptor a snapshot in place of the chunks that it stands for. Each
 * table for itself: put the parts, read them back, and only when they are the ones that the name says advance the
 * Head; and only when that is acknowledged delete what it makes superfluous.
 *
 * Any process may do it at any time, and several at once, with the state of slots that it has executed. A crash
 * anywhere leaves garbage and never a claim without what it claims. Of two different snapshots of one slot the
 * second is refused, and its parts are deleted again.
 */
import { type Digest, HEAD, type Head, type Outcome } from "./acceptor.ts";
import type { Configuration } from "./configuration.ts";
import { Contents, type Trouble } from "./contents.ts";
import { type AcceptorId, QuorumSystem } from "./quorum.ts";
import { type Ask, patience, type RequestInput, Requests, type Retry } from "./requests.ts";
import type { Geometry } from "./slot.ts";
import { partKeys, type Snapshot } from "./snapshot.ts";
import { Trimming } from "./trimming.ts";

export type TruncationInput = { readonly input: "truncate" } | RequestInput;

export type TruncationEffect =
  | Ask
  | Retry
  /** No table is busy any more. */
  | ({ readonly effect: "truncated" } & Truncated);

export interface Truncated {
  /** Their Heads have this snapshot, another one of its slot, or a newer one. */
  readonly truncated: readonly AcceptorId[];
  /** The others, and why; they may be tried again, with the very same snapshot. */
  readonly left: readonly { readonly acceptor: AcceptorId; readonly why: string }[];
}

export interface TruncationOptions {
  /** The active one, as far as is known: whatever it is, what is claimed is true. */
  readonly configuration: Configuration;
  readonly geometry: Geometry;
  readonly digest: Digest;
  /** Of a state that was executed from chosen values, and of nothing else. */
  readonly snapshot: Snapshot;
}

export class Truncation {
  readonly #options: TruncationOptions;
  readonly #requests: Requests;
  readonly #contents: Contents;
  readonly #trimming: Trimming;
  readonly #busy: Set<AcceptorId>;
  readonly #truncated: AcceptorId[] = [];
  readonly #left: { acceptor: AcceptorId; why: string }[] = [];
  #effects: TruncationEffect[] = [];

  /** @throws RangeError unless the snapshot's slot ends a chunk. */
  constructor(options: TruncationOptions) {
    const { snapshot, geometry, digest, configuration } = options;
    if (snapshot.slot === 0 || snapshot.slot % geometry.chunkSlots !== 0)
      throw new RangeError(`slot ${snapshot.slot} does not end a chunk: no chunk could follow its snapshot`);
    this.#options = options;
    this.#requests = new Requests((effect) => this.#effects.push(effect));
    this.#contents = new Contents({ requests: this.#requests, digest });
    this.#trimming = new Trimming({ requests: this.#requests, geometry });
    this.#busy = new Set(new QuorumSystem(configuration.quorums).full);
  }

  step(input: TruncationInput): readonly TruncationEffect[] {
    this.#effects = [];
    if (input.input === "truncate") for (const acceptor of this.#busy) this.#begin(acceptor);
    else this.#requests.input(input);
    return this.#effects;
  }

  #begin(of: AcceptorId): void {
    this.#contents.head(of, (head) => {
      if ("why" in head) return this.#leave(of, head);
      // Somebody else did it; perhaps not to the end.
      if (head.snapshotSlot >= this.#options.snapshot.slot) this.#trim(of, head, head);
      else this.#putParts(of);
    });
  }

  #putParts(of: AcceptorId): void {
    this.#contents.putParts(of, this.#options.snapshot, (trouble) => {
      if (trouble === undefined) this.#verify(of);
      else this.#leave(of, trouble);
    });
  }

  /** What is to be deleted was written once and verified then; so is what takes its place. */
  #verify(of: AcceptorId): void {
    this.#contents.readParts(
      of,
      this.#options.snapshot.name,
      (_, next) => next(),
      (trouble) => {
        if (trouble === undefined) this.#replaceSnapshot(of);
        else this.#leave(of, trouble);
      },
    );
  }

  /** The Head as it is by now says what will be superfluous. */
  #replaceSnapshot(of: AcceptorId): void {
    this.#contents.head(of, (head) => {
      if ("why" in head) this.#leave(of, head);
      else if (head.snapshotSlot >= this.#options.snapshot.slot) this.#giveWay(of, head);
      else this.#advance(of, head);
    });
  }

  #advance(of: AcceptorId, before: Head): void {
    const { name, slot } = this.#options.snapshot;
    const covered = Math.max(before.covered, slot) as Head["covered"];
    const head: Head = { kind: "head", covered, snapshotSlot: slot, snapshot: name };
    this.#requests.ask(
      of,
      [{ verb: "advance", key: HEAD, head }],
      (_, outcome) => this.#onAdvanced(of, before, outcome),
      patience(() => this.#leave(of, { why: "unanswered", detail: "the table does not answer" })),
    );
  }

  #onAdvanced(of: AcceptorId, before: Head, outcome: Outcome): void {
    const { name, slot } = this.#options.snapshot;
    const now =
      outcome.outcome === "applied" ? outcome.item : outcome.outcome === "refused" ? outcome.by : undefined;
    if (now?.kind !== "head") this.#leave(of, { why: "lost", detail: "the table is lost" });
    else if (now.snapshotSlot < slot) this.#advance(of, now);
    else if (now.snapshot === name) this.#trim(of, before, now);
    else this.#giveWay(of, now);
  }

  /** Somebody was first. Another snapshot than this one: the Head can never name this one any more. */
  #giveWay(of: AcceptorId, now: Head): void {
    const { name } = this.#options.snapshot;
    if (now.snapshot === name) this.#trim(of, now, now);
    else this.#trimming.drop(of, partKeys(name), () => this.#finish(of));
  }

  #trim(of: AcceptorId, before: Head, now: Head): void {
    this.#trimming.trim(of, before, now, () => this.#finish(of));
  }

  #finish(of: AcceptorId): void {
    this.#truncated.push(of);
    this.#end(of);
  }

  #leave(acceptor: AcceptorId, { detail }: Trouble): void {
    this.#left.push({ acceptor, why: detail });
    this.#end(acceptor);
  }

  #end(of: AcceptorId): void {
    this.#busy.delete(of);
    if (this.#busy.size > 0) return;
    this.#effects.push({ effect: "truncated", truncated: this.#truncated, left: this.#left });
  }
}
