/**
 * Ending the lower ballots of a configuration and learning what they have chosen (PROTOCOL §4 steps 2–3): fence,
 * Heads, S and H. A leader does it with a ballot of its own configuration; whoever reconfigures does it with the
 * first ballot of the next one (§7 step 3).
 */
import { type Digest, HEAD, type Head, type Outcome, type Verb } from "./acceptor.ts";
import type { Ballot } from "./ballot.ts";
import type { Configuration } from "./configuration.ts";
import { Fence, type Vote } from "./fence.ts";
import type { Alarm } from "./invariant.ts";
import { type Installed, Learner } from "./learner.ts";
import type { RecentLog } from "./log.ts";
import type { AcceptorId, QuorumSystem } from "./quorum.ts";
import type { Requests } from "./requests.ts";
import type { Geometry, Slot } from "./slot.ts";

/**
 * Why it could not be done: a higher ballot was seen; too few acceptors are left; a table that has to be learned
 * from is damaged; or something impossible happened.
 */
export type Failure =
  | { readonly why: "fenced"; readonly by: Ballot }
  | { readonly why: "noQuorum"; readonly lost: readonly AcceptorId[] }
  | { readonly why: "damaged"; readonly acceptor: AcceptorId; readonly detail: string }
  | { readonly why: "alarm"; readonly alarm: Alarm };

export interface RecoveryOptions {
  readonly configuration: Configuration;
  readonly quorums: QuorumSystem;
  readonly ballot: Ballot;
  readonly geometry: Geometry;
  readonly digest: Digest;
  readonly log: RecentLog;
  readonly requests: Requests;
  /** Acceptors that are not asked. Those that turn out to be lost are told to `lose`, which adds to it. */
  readonly lost: ReadonlySet<AcceptorId>;
  readonly lose: (acceptor: AcceptorId) => void;
  readonly sawHead: (of: AcceptorId, head: Head) => void;
  readonly knowsHead: (of: AcceptorId) => boolean;
  readonly learned: (slot: Slot, text: string) => void;
  readonly installed: (snapshot: Installed) => void;
  /** All through the highest Head is learned; `tailEnd` is H. */
  readonly recovered: (tailEnd: Slot) => void;
  readonly failed: (failure: Failure) => void;
}

export class Recovery {
  readonly #options: RecoveryOptions;
  readonly #fence: Fence;
  readonly #learner: Learner;
  /** Acceptors whose chunks could not be read while they were needed. */
  readonly #unreadable = new Set<AcceptorId>();
  #phase: "new" | "fencing" | "rereading" | "learning" | "over" = "new";
  /** H: the last slot that may hold an older ballot's vote. */
  #tailEnd: Slot = 0 as Slot;
  #headsWereReadAgain = false;

  constructor(options: RecoveryOptions) {
    const { configuration, quorums, geometry, ballot, lost, log } = options;
    this.#options = options;
    this.#fence = new Fence(configuration, quorums, geometry, ballot, lost);
    this.#learner = new Learner({ ...options, applied: () => log.last });
  }

  /** The vote whose value must be voted in a slot of the tail; undefined: all values are safe in it. */
  voteFor(slot: Slot): Vote | undefined {
    return this.#fence.voteFor(slot);
  }

  /** Step 2. */
  start(): void {
    const { quorums, lost, requests, knowsHead } = this.#options;
    this.#phase = "fencing";
    for (const acceptor of quorums.acceptors.filter((each) => !lost.has(each)))
      requests.ask(
        acceptor,
        this.#fence.verbs(acceptor),
        (verb, outcome) => this.#onFenced("fencing", acceptor, verb, outcome),
        () => this.#phase === "fencing" || !knowsHead(acceptor),
      );
  }

  #onFenced(
    phase: "fencing" | "rereading",
    of: AcceptorId,
    verb: Verb,
    outcome: Exclude<Outcome, { outcome: "unknown" }>,
  ): void {
    if (outcome.outcome === "refused" && outcome.by === undefined) this.#options.lose(of);
    if (outcome.outcome === "applied" && outcome.item?.kind === "head")
      this.#options.sawHead(of, outcome.item);
    if (this.#phase !== phase) return;
    this.#fence.record(of, verb, outcome);
    if (this.#fence.beatenBy !== undefined) this.#fail({ why: "fenced", by: this.#fence.beatenBy });
    else if (this.#fence.hopeless) this.#fail({ why: "noQuorum", lost: [...this.#options.lost] });
    else if (this.#fence.complete) this.#learn();
  }

  /** Step 3: S from the Heads or the own applied slot, H from the promise replies. */
  #learn(): void {
    this.#phase = "learning";
    const { log, geometry } = this.#options;
    const [source, head] = this.#highestHead();
    const covered = Math.max(head.covered, log.last) as Slot;
    this.#tailEnd = Math.max(covered, this.#fence.highestVoted) as Slot;
    // From the last full chunk, since that is what a reconfiguration can cover: its lanes hold K slots above it.
    const lastChunkEnd = Math.floor(covered / geometry.chunkSlots) * geometry.chunkSlots;
    const isBeyondWindow = this.#tailEnd > lastChunkEnd + geometry.lanes;
    if (isBeyondWindow && !this.#headsWereReadAgain) return this.#readHeadsAgain();
    if (isBeyondWindow) {
      const detail = `a vote for slot ${this.#tailEnd} is more than K above the Heads' ${lastChunkEnd}`;
      return this.#fail({ why: "alarm", alarm: { invariant: 7, detail } });
    }
    this.#learner.learn(source, head, (trouble) => {
      if (trouble === undefined) this.#recover();
      else if (trouble.why === "unanswered") this.#goOnWithout(source);
      else this.#fail({ why: "damaged", acceptor: source, detail: trouble.detail });
    });
  }

  #highestHead(): [AcceptorId, Head] {
    const byCovered = [...this.#fence.heads].sort(([, one], [, other]) => other.covered - one.covered);
    const highest = byCovered[0];
    if (highest === undefined) throw new Error("a read quorum of witnesses only: QuorumSpec forbids it");
    return highest;
  }

  /** A table that shows its Head and not its chunks: its Head does not count; those of the others will do. */
  #goOnWithout(source: AcceptorId): void {
    this.#unreadable.add(source);
    this.#fence.loseHead(source);
    if (this.#fence.hopeless)
      this.#fail({ why: "noQuorum", lost: [...this.#options.lost, ...this.#unreadable] });
    else this.#readHeadsAgain();
  }

  /**
   * The Heads were read before the promises were in and are older than the votes: read a quorum afresh.
   * The promise replies stay as they are: a later one could show a vote that these Heads do not know.
   */
  #readHeadsAgain(): void {
    const { quorums, lost, requests } = this.#options;
    this.#headsWereReadAgain = true;
    this.#phase = "rereading";
    this.#fence.heads.clear();
    const isAsked = (each: AcceptorId) => !lost.has(each) && !this.#unreadable.has(each);
    for (const acceptor of quorums.full.filter(isAsked))
      requests.ask(
        acceptor,
        [{ verb: "read", key: HEAD }],
        (verb, outcome) => this.#onFenced("rereading", acceptor, verb, outcome),
        () => this.#phase === "rereading",
      );
  }

  /** No value of the tail may be damaged: what is voted again must be what was proposed. */
  #recover(): void {
    const { log, digest, recovered } = this.#options;
    // A table that was truncated meanwhile may have shown a successor's slots.
    this.#tailEnd = Math.max(this.#tailEnd, log.last) as Slot;
    for (let slot = (log.last + 1) as Slot; slot <= this.#tailEnd; slot++) {
      const vote = this.#fence.voteFor(slot);
      if (vote !== undefined && digest(vote.value.text) !== vote.value.digest)
        return this.#fail({
          why: "damaged",
          acceptor: vote.of,
          detail: `the vote for slot ${slot} is damaged`,
        });
    }
    this.#phase = "over";
    recovered(this.#tailEnd);
  }

  #fail(failure: Failure): void {
    this.#phase = "over";
    this.#options.failed(failure);
  }
}
