/**
 * Fencing a configuration (PROTOCOL §4 step 2): promises for every lane, and the Heads, each from a read
 * quorum; the quorums may differ by lane. After it nothing new below the ballot is chosen, in any slot.
 */
import { type Cell, HEAD, type Head, type Item, type Outcome, type Value, type Verb } from "./acceptor.ts";
import type { Ballot } from "./ballot.ts";
import type { Configuration } from "./configuration.ts";
import type { AcceptorId, QuorumSystem } from "./quorum.ts";
import { allLanes, type Geometry, type Lane, laneOf, type Slot } from "./slot.ts";

/** A vote, and the acceptor whose cell shows it. */
export interface Vote {
  readonly of: AcceptorId;
  readonly ballot: Ballot;
  readonly value: Value;
}

export class Fence {
  /** The highest ballot that beat this one, if any did. */
  beatenBy: Ballot | undefined;
  readonly heads = new Map<AcceptorId, Head>();
  readonly #quorums: QuorumSystem;
  readonly #configuration: Configuration;
  readonly #ballot: Ballot;
  readonly #geometry: Geometry;
  readonly #promised = new Map<Lane, Set<AcceptorId>>();
  readonly #cells = new Map<Lane, { readonly of: AcceptorId; readonly cell: Cell }[]>();
  /** Acceptors without a cell that they should have: they forgot, or they are gone. */
  readonly #lost: Set<AcceptorId>;
  /** Full acceptors whose Head is gone. */
  readonly #headless: Set<AcceptorId>;

  /** `lost`: acceptors that will not be asked. */
  constructor(
    configuration: Configuration,
    quorums: QuorumSystem,
    geometry: Geometry,
    ballot: Ballot,
    lost: ReadonlySet<AcceptorId>,
  ) {
    this.#lost = new Set(lost);
    this.#headless = new Set(lost);
    this.#configuration = configuration;
    this.#quorums = quorums;
    this.#geometry = geometry;
    this.#ballot = ballot;
    for (const lane of allLanes(geometry)) {
      this.#promised.set(lane, new Set());
      this.#cells.set(lane, []);
    }
  }

  /** What to say to one acceptor. A witness has no Head. */
  verbs(of: AcceptorId): readonly Verb[] {
    const promises = allLanes(this.#geometry).map((lane): Verb => {
      const key = { kind: "cell", configuration: this.#configuration.number, lane } as const;
      return { verb: "promise", key, ballot: this.#ballot };
    });
    return this.#quorums.witnesses.has(of) ? promises : [...promises, { verb: "read", key: HEAD }];
  }

  record(of: AcceptorId, verb: Verb, outcome: Exclude<Outcome, { outcome: "unknown" }>): void {
    if (outcome.outcome === "refused") {
      if (verb.key.kind === "head") this.#headless.add(of);
      this.#recordRefusal(of, outcome.by);
    } else if (outcome.item?.kind === "head") this.heads.set(of, outcome.item);
    else if (outcome.item?.kind === "cell" && verb.key.kind === "cell") {
      this.#promised.get(verb.key.lane)?.add(of);
      this.#cells.get(verb.key.lane)?.push({ of, cell: outcome.item });
    }
  }

  /** The acceptor's Head counts no longer: what it claims cannot be read. */
  loseHead(of: AcceptorId): void {
    this.heads.delete(of);
    this.#headless.add(of);
  }

  get complete(): boolean {
    return this.#lanesArePromised && this.#headsAreRead;
  }

  /** A read quorum can no longer be had, of promises or of Heads: too many acceptors are lost. */
  get hopeless(): boolean {
    return !this.#quorums.canReadWithout(this.#lost) || !this.#quorums.canReadWithout(this.#headless);
  }

  /** The highest slot that any promise reply shows voted. */
  get highestVoted(): Slot {
    let highest = 0;
    for (const cells of this.#cells.values())
      for (const { cell } of cells) highest = Math.max(highest, cell.slot);
    return highest as Slot;
  }

  /** The vote whose value must be voted in a slot: that of the largest ballot; undefined: all values are safe. */
  voteFor(slot: Slot): Vote | undefined {
    let largest: Vote | undefined;
    for (const { of, cell } of this.#cells.get(laneOf(this.#geometry, slot)) ?? [])
      if (cell.slot === slot && cell.vote !== undefined && (!largest || cell.vote.ballot > largest.ballot))
        largest = { of, ...cell.vote };
    return largest;
  }

  get #lanesArePromised(): boolean {
    return [...this.#promised.values()].every((by) => this.#quorums.hasReadQuorum(by));
  }

  /** A witness counts as answered and shows none. */
  get #headsAreRead(): boolean {
    return this.#quorums.hasReadQuorum(new Set([...this.heads.keys(), ...this.#quorums.witnesses]));
  }

  #recordRefusal(of: AcceptorId, by: Item | undefined): void {
    if (by === undefined) this.#lost.add(of);
    else if (by.kind === "cell") {
      if (this.beatenBy === undefined || by.promised > this.beatenBy) this.beatenBy = by.promised;
    }
  }
}
