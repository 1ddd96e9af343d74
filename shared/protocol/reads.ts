/**
 * Linearizable reads (PROTOCOL §6; invariant 10): *after* the request arrived, the leader reads the fence
 * cell on a write quorum; all present with a promise not above its ballot, and its applied state is the
 * newest there is. One check serves every read that was queued before the check started.
 */
import type { Cell, Outcome, Verb } from "./acceptor.ts";
import type { Ballot, ConfigurationNumber } from "./ballot.ts";
import type { AcceptorId, QuorumSystem } from "./quorum.ts";
import type { Requests } from "./requests.ts";
import { FENCE_LANE } from "./slot.ts";

export type ReadId = number & { readonly brand: "ReadId" };

export interface ReadsOptions {
  readonly requests: Requests;
  readonly quorums: QuorumSystem;
  readonly configuration: ConfigurationNumber;
  readonly ballot: Ballot;
  readonly passed: (reads: readonly ReadId[]) => void;
  readonly fenced: (by: Ballot) => void;
  readonly lost: (acceptor: AcceptorId) => void;
  readonly isLost: (acceptor: AcceptorId) => boolean;
}

export class Reads {
  readonly #options: ReadsOptions;
  #queued: ReadId[] = [];
  #checking = false;

  constructor(options: ReadsOptions) {
    this.#options = options;
  }

  queue(read: ReadId): void {
    this.#queued.push(read);
  }

  /** Starts a check for all queued reads, unless one is under way or there are none. */
  work(): void {
    if (this.#checking || this.#queued.length === 0) return;
    const { requests, quorums, configuration, isLost } = this.#options;
    const reads = this.#queued;
    this.#queued = [];
    this.#checking = true;
    const present = new Set<AcceptorId>();
    const verb: Verb = { verb: "read", key: { kind: "cell", configuration, lane: FENCE_LANE } };
    for (const acceptor of quorums.acceptors.filter((each) => !isLost(each)))
      requests.ask(
        acceptor,
        [verb],
        (_, outcome) => {
          if (!this.#isUnfenced(acceptor, outcome) || present.has(acceptor)) return;
          const passedBefore = quorums.hasWriteQuorum(present);
          present.add(acceptor);
          if (!passedBefore && quorums.hasWriteQuorum(present)) this.#pass(reads);
        },
        () => !quorums.hasWriteQuorum(present),
      );
  }

  #isUnfenced(acceptor: AcceptorId, outcome: Outcome): boolean {
    const cell = (outcome.outcome === "applied" ? outcome.item : undefined) as Cell | undefined;
    if (cell === undefined) {
      this.#options.lost(acceptor);
      return false;
    }
    if (cell.promised <= this.#options.ballot) return true;
    this.#options.fenced(cell.promised);
    return false;
  }

  #pass(reads: readonly ReadId[]): void {
    this.#checking = false;
    this.#options.passed(reads);
    this.work();
  }
}
