/**
 * A quorum system as the checkers see it: sets of acceptors as bits, worked out from the specification
 * alone, so that a fault in the product's quorum.ts does not hide itself.
 */
import type { AcceptorId, Family, QuorumSpec } from "../../../shared/protocol/quorum.ts";

/** A set of acceptors: bit n stands for the acceptor of index n. */
export type Bits = number;

export class Families {
  readonly all: Bits;
  readonly witnesses: Bits;
  /** The read quorums that contain no smaller one. */
  readonly reads: readonly Bits[];
  readonly #spec: QuorumSpec;
  readonly #isRead: readonly boolean[];
  readonly #isWrite: readonly boolean[];

  constructor(spec: QuorumSpec) {
    this.#spec = spec;
    this.all = (1 << spec.acceptors.length) - 1;
    this.witnesses = this.bitsOf(spec.witnesses);
    const subsets = Array.from({ length: this.all + 1 }, (_, bits) => bits);
    this.#isRead = subsets.map((bits) => this.#holds(spec.read, bits));
    this.#isWrite = subsets.map((bits) => this.#holds(spec.write, bits));
    const reads = subsets.filter((bits) => this.#isRead[bits]);
    this.reads = reads.filter((bits) => !reads.some((other) => other !== bits && (other & bits) === other));
  }

  isRead(of: Bits): boolean {
    return this.#isRead[of] === true;
  }

  isWrite(of: Bits): boolean {
    return this.#isWrite[of] === true;
  }

  meetsEveryRead(of: Bits): boolean {
    return this.reads.every((read) => (read & of) !== 0);
  }

  /** None of an acceptor that does not belong to it. */
  bitsOf(acceptors: readonly AcceptorId[]): Bits {
    const bitOf = (acceptor: AcceptorId): Bits => {
      const index = this.#spec.acceptors.indexOf(acceptor);
      return index < 0 ? 0 : 1 << index;
    };
    return acceptors.reduce((bits, acceptor) => bits | bitOf(acceptor), 0);
  }

  #holds(family: Family, of: Bits): boolean {
    if ("sets" in family) return family.sets.some((set) => (this.bitsOf(set) & ~of) === 0);
    const weightOf = (acceptor: AcceptorId, index: number): number =>
      (of >> index) & 1 ? (family.weights?.[acceptor] ?? 1) : 0;
    return this.#spec.acceptors.map(weightOf).reduce((sum, weight) => sum + weight, 0) >= family.atLeast;
  }
}
