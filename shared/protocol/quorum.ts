/**
 * Quorum systems: two families, each read quorum meeting each write quorum, and nothing more (PROTOCOL §1).
 *
 * Majorities, weights and explicit families are only ways to write the two families. Both are monotone
 * (more acceptors never make a quorum less of one), which is all that the functions below use.
 */
export type AcceptorId = string & { readonly brand: "AcceptorId" };

/** Weighted: any acceptors whose weights (1 unless given) reach `atLeast`. Sets: any superset of one of them. */
export type Family =
  | { readonly atLeast: number; readonly weights?: Readonly<Record<string, number>> }
  | { readonly sets: readonly (readonly AcceptorId[])[] };

/** A quorum system as data, as it stands in a configuration. */
export interface QuorumSpec {
  readonly acceptors: readonly AcceptorId[];
  /** Acceptors that vote and keep no state (§10): no chunks, no snapshots, no Head claim. */
  readonly witnesses: readonly AcceptorId[];
  readonly read: Family;
  readonly write: Family;
}

/** More acceptors than this help nobody, and the intersection check looks at every subset. */
export const ACCEPTORS_MAX = 15;

/** `n` acceptors, any ⌊n/2⌋+1 of which are a quorum of either kind: 2f+1 acceptors tolerate f losses. */
export function majority(acceptors: readonly AcceptorId[]): QuorumSpec {
  const atLeast = Math.floor(acceptors.length / 2) + 1;
  return { acceptors, witnesses: [], read: { atLeast }, write: { atLeast } };
}

/** f + 1 acceptors: write all, read any one (§10). One lost acceptor stops writes until reconfiguration. */
export function primaryBackup(acceptors: readonly AcceptorId[]): QuorumSpec {
  return { acceptors, witnesses: [], read: { atLeast: 1 }, write: { atLeast: acceptors.length } };
}

/** A majority whose last acceptor is a witness: it votes and keeps no state (§10). */
export function withWitness(acceptors: readonly AcceptorId[]): QuorumSpec {
  return { ...majority(acceptors), witnesses: acceptors.slice(-1) };
}

/** The ways to write a quorum system that have a name. */
export const MODES = { majority, primaryBackup, witness: withWitness } as const;
export type Mode = keyof typeof MODES;

/** The mode that gives these quorums; "quorums" for any others. */
export function modeOf(quorums: QuorumSpec): Mode | "quorums" {
  const written = JSON.stringify(quorums);
  const modes = Object.keys(MODES) as Mode[];
  return modes.find((mode) => JSON.stringify(MODES[mode](quorums.acceptors)) === written) ?? "quorums";
}

/** The same quorums with one acceptor in another's place, in whatever way they are written. */
export function replaceAcceptor(spec: QuorumSpec, old: AcceptorId, by: AcceptorId): QuorumSpec {
  const swapped = (ids: readonly AcceptorId[]) => ids.map((id) => (id === old ? by : id));
  const inFamily = (family: Family): Family => {
    if ("sets" in family) return { sets: family.sets.map(swapped) };
    const weights = Object.entries(family.weights ?? {}).map(([id, weight]) => [
      id === old ? by : id,
      weight,
    ]);
    return weights.length === 0 ? family : { ...family, weights: Object.fromEntries(weights) };
  };
  return {
    acceptors: swapped(spec.acceptors),
    witnesses: swapped(spec.witnesses),
    read: inFamily(spec.read),
    write: inFamily(spec.write),
  };
}

export class QuorumSystem {
  readonly acceptors: readonly AcceptorId[];
  readonly witnesses: ReadonlySet<AcceptorId>;
  readonly full: readonly AcceptorId[];
  readonly #spec: QuorumSpec;

  /** @throws RangeError naming what is wrong, and two quorums that miss each other if there are such. */
  constructor(spec: QuorumSpec) {
    const fault = faultOf(spec);
    if (fault !== undefined) throw new RangeError(fault);
    this.acceptors = spec.acceptors;
    this.witnesses = new Set(spec.witnesses);
    this.full = spec.acceptors.filter((acceptor) => !this.witnesses.has(acceptor));
    this.#spec = spec;
  }

  hasReadQuorum(of: ReadonlySet<AcceptorId>): boolean {
    return holds(this.#spec.read, this.acceptors, of);
  }

  hasWriteQuorum(of: ReadonlySet<AcceptorId>): boolean {
    return holds(this.#spec.write, this.acceptors, of);
  }

  /** Rule U's test: no read quorum fits into what is left over. By meeting, not by number (§10). */
  meetsEveryReadQuorum(acceptors: ReadonlySet<AcceptorId>): boolean {
    return !this.hasReadQuorum(this.#without(acceptors));
  }

  /** Whether a read quorum can still be had when these are lost. */
  canReadWithout(lost: ReadonlySet<AcceptorId>): boolean {
    return this.hasReadQuorum(this.#without(lost));
  }

  /** Whether a write quorum can still be had when these are lost. */
  canWriteWithout(lost: ReadonlySet<AcceptorId>): boolean {
    return this.hasWriteQuorum(this.#without(lost));
  }

  #without(acceptors: ReadonlySet<AcceptorId>): ReadonlySet<AcceptorId> {
    return new Set(this.acceptors.filter((acceptor) => !acceptors.has(acceptor)));
  }
}

/** What is wrong with a specification, in words for whoever wrote it; undefined when nothing is. */
export function faultOf(spec: QuorumSpec): string | undefined {
  const { acceptors } = spec;
  const all = new Set(acceptors);
  if (acceptors.length === 0) return "a configuration needs at least one acceptor";
  if (acceptors.length > ACCEPTORS_MAX) return `a configuration has at most ${ACCEPTORS_MAX} acceptors`;
  if (all.size !== acceptors.length) return "an acceptor is named twice";
  const stranger = [...spec.witnesses, ...named(spec.read), ...named(spec.write)].find((id) => !all.has(id));
  if (stranger !== undefined) return `${stranger} is not one of the configuration's acceptors`;
  const weight = [...weightsOf(spec.read), ...weightsOf(spec.write)].find(
    (each) => !(Number.isFinite(each) && each >= 0),
  );
  if (weight !== undefined)
    return `a weight is a number from 0 on, not ${weight}: more acceptors must not be less`;
  if (holds(spec.read, acceptors, new Set(spec.witnesses)))
    return "witnesses alone are a read quorum, and they keep no state to read";
  if (!holds(spec.read, acceptors, all)) return "no set of these acceptors is a read quorum";
  if (!holds(spec.write, acceptors, all)) return "no set of these acceptors is a write quorum";
  return missOf(spec);
}

/** A read quorum misses a write quorum if and only if some subset is one and its complement the other. */
function missOf(spec: QuorumSpec): string | undefined {
  const { acceptors } = spec;
  for (let subset = 0; subset < 1 << acceptors.length; subset++) {
    const chosen = acceptors.filter((_, index) => (subset >> index) & 1);
    const rest = acceptors.filter((_, index) => !((subset >> index) & 1));
    if (holds(spec.read, acceptors, new Set(chosen)) && holds(spec.write, acceptors, new Set(rest)))
      return `read quorum {${chosen.join(", ")}} misses write quorum {${rest.join(", ")}}`;
  }
  return undefined;
}

function holds(family: Family, acceptors: readonly AcceptorId[], of: ReadonlySet<AcceptorId>): boolean {
  if ("sets" in family) return family.sets.some((set) => set.every((acceptor) => of.has(acceptor)));
  const { weights } = family;
  let weight = 0;
  for (const acceptor of acceptors) if (of.has(acceptor)) weight += weights?.[acceptor] ?? 1;
  return weight >= family.atLeast;
}

function weightsOf(family: Family): readonly number[] {
  return "sets" in family ? [] : Object.values(family.weights ?? {});
}

function named(family: Family): readonly AcceptorId[] {
  return "sets" in family ? family.sets.flat() : (Object.keys(family.weights ?? {}) as AcceptorId[]);
}
