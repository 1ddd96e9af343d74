import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  ACCEPTORS_MAX,
  type AcceptorId,
  type Family,
  faultOf,
  majority,
  type QuorumSpec,
  QuorumSystem,
} from "../../shared/protocol/quorum.ts";
import { forAll } from "./for-all.ts";

const ids = (count: number) => Array.from({ length: count }, (_, index) => `a${index}` as AcceptorId);
const A = (...indexes: number[]) => indexes.map((index) => `a${index}` as AcceptorId);

/** All subsets, smallest first by bits. */
function subsets(of: readonly AcceptorId[]): Set<AcceptorId>[] {
  return Array.from(
    { length: 2 ** of.length },
    (_, bits) => new Set(of.filter((_, index) => (bits >> index) & 1)),
  );
}

/** A family, written out: every set that is a quorum. */
function quorumsOf(family: Family, acceptors: readonly AcceptorId[]): Set<AcceptorId>[] {
  return subsets(acceptors).filter((subset) => {
    if ("sets" in family) return family.sets.some((set) => new Set(set).isSubsetOf(subset));
    const weights = [...subset].map((id) => family.weights?.[id] ?? 1);
    return weights.reduce((sum, weight) => sum + weight, 0) >= family.atLeast;
  });
}

function anyFamily(acceptors: readonly AcceptorId[], weight: fc.Arbitrary<number>): fc.Arbitrary<Family> {
  return fc.oneof(
    fc.record({ atLeast: fc.integer({ min: 0, max: acceptors.length + 1 }) }),
    fc.record({
      atLeast: fc.integer({ min: 0, max: 8 }),
      weights: fc.dictionary(fc.constantFrom(...acceptors), weight),
    }),
    fc.record({ sets: fc.array(fc.subarray([...acceptors]), { maxLength: 4 }) }),
  );
}

function anySpec(weight: fc.Arbitrary<number>): fc.Arbitrary<QuorumSpec> {
  return fc.integer({ min: 1, max: 5 }).chain((count) => {
    const acceptors = ids(count);
    return fc.record({
      acceptors: fc.constant(acceptors),
      witnesses: fc.oneof(fc.constant([]), fc.subarray(acceptors)),
      read: anyFamily(acceptors, weight),
      write: anyFamily(acceptors, weight),
    });
  });
}

describe("a specification", () => {
  function isSound({ acceptors, witnesses, read, write }: QuorumSpec): boolean {
    const [reads, writes] = [quorumsOf(read, acceptors), quorumsOf(write, acceptors)];
    return (
      reads.length > 0 &&
      writes.length > 0 &&
      reads.every((one) => !one.isSubsetOf(new Set(witnesses))) &&
      reads.every((one) => writes.every((other) => !one.isDisjointFrom(other)))
    );
  }

  forAll(
    "is accepted if and only if every read quorum meets every write quorum, and none is of witnesses only",
    [anySpec(fc.integer({ min: 0, max: 5 }))],
    (spec) => {
      const fault = faultOf(spec);
      expect(fault === undefined, fault).toBe(isSound(spec));
      if (fault === undefined) expect(new QuorumSystem(spec).acceptors).toBe(spec.acceptors);
      else expect(() => new QuorumSystem(spec)).toThrow(new RangeError(fault));
    },
    2_000,
  );

  forAll(
    "is never accepted unsound, whatever its weights",
    [anySpec(fc.oneof(fc.integer({ min: -4, max: 5 }), fc.constant(Number.NaN), fc.constant(0.5)))],
    (spec) => {
      if (faultOf(spec) === undefined) expect(isSound(spec)).toBe(true);
    },
    2_000,
  );

  it.each<[string, Partial<QuorumSpec>, string]>([
    ["no acceptors", { acceptors: [] }, "a configuration needs at least one acceptor"],
    ["too many", { acceptors: ids(ACCEPTORS_MAX + 1) }, "a configuration has at most 15 acceptors"],
    ["one twice", { acceptors: A(0, 1, 0) }, "an acceptor is named twice"],
    ["a strange witness", { witnesses: A(9) }, "a9 is not one of the configuration's acceptors"],
    ["a stranger in a set", { read: { sets: [A(0, 8)] } }, "a8 is not one of the configuration's acceptors"],
    [
      "a stranger's weight",
      { write: { atLeast: 1, weights: { a7: 1 } } },
      "a7 is not one of the configuration's acceptors",
    ],
    [
      "too many witnesses",
      { witnesses: A(1, 2) },
      "witnesses alone are a read quorum, and they keep no state to read",
    ],
    [
      "nothing as a read quorum",
      { read: { atLeast: 0 } },
      "witnesses alone are a read quorum, and they keep no state to read",
    ],
    ["no read quorum", { read: { atLeast: 4 } }, "no set of these acceptors is a read quorum"],
    ["no write quorum", { write: { sets: [] } }, "no set of these acceptors is a write quorum"],
    [
      "quorums that miss",
      { read: { sets: [A(0)] }, write: { sets: [A(1, 2)] } },
      "read quorum {a0} misses write quorum {a1, a2}",
    ],
  ])("with %s is refused in words", (_, part, fault) => {
    expect(faultOf({ ...majority(ids(3)), ...part })).toBe(fault);
  });

  it.each([-1, Number.NaN, Number.POSITIVE_INFINITY])(
    "with the weight %d is refused: more would not be more",
    (weight) => {
      const weights = { a0: weight, a1: 3 };
      expect(faultOf({ ...majority(ids(3)), read: { atLeast: 2, weights } })).toMatch("weight");
      expect(faultOf({ ...majority(ids(3)), write: { atLeast: 2, weights } })).toMatch("weight");
    },
  );

  it("with a negative weight would seem sound: {a0, a1} and {a3, a4} miss each other, and no two halves do", () => {
    const family: Family = { atLeast: 2, weights: { a2: -1 } };
    const spec = { acceptors: ids(5), witnesses: [], read: family, write: family };
    expect(isSound(spec)).toBe(false);
    expect(faultOf(spec)).toBe("a weight is a number from 0 on, not -1: more acceptors must not be less");
  });

  it("of the most acceptors is checked", () => {
    expect(faultOf(majority(ids(ACCEPTORS_MAX)))).toBeUndefined();
  });
});

describe("majorities", () => {
  it.each([
    [1, 1],
    [2, 2],
    [3, 2],
    [4, 3],
    [5, 3],
    [15, 8],
  ])("of %d are any %d", (count, size) => {
    const quorums = new QuorumSystem(majority(ids(count)));
    for (const has of [quorums.hasReadQuorum, quorums.hasWriteQuorum]) {
      expect(has.call(quorums, new Set(ids(size)))).toBe(true);
      expect(has.call(quorums, new Set(ids(size - 1)))).toBe(false);
    }
  });
});

describe("a quorum system", () => {
  const soundSpec = anySpec(fc.integer({ min: 0, max: 5 })).filter((spec) => faultOf(spec) === undefined);
  const withSubset = soundSpec.chain((spec) =>
    fc.tuple(
      fc.constant(spec),
      fc.subarray([...spec.acceptors]).map((chosen) => new Set(chosen)),
    ),
  );

  forAll(
    "knows its quorums, and what meets every read quorum, as written out",
    [withSubset],
    ([spec, chosen]) => {
      const quorums = new QuorumSystem(spec);
      const isOneOf = (all: Set<AcceptorId>[]) =>
        all.some((each) => each.size === chosen.size && each.isSubsetOf(chosen));
      const [reads, writes] = [quorumsOf(spec.read, spec.acceptors), quorumsOf(spec.write, spec.acceptors)];
      const left = new Set(spec.acceptors.filter((id) => !chosen.has(id)));
      expect(quorums.hasReadQuorum(chosen)).toBe(isOneOf(reads));
      expect(quorums.hasWriteQuorum(chosen)).toBe(isOneOf(writes));
      expect(quorums.meetsEveryReadQuorum(chosen)).toBe(reads.every((read) => !read.isDisjointFrom(chosen)));
      expect(quorums.canReadWithout(chosen)).toBe(reads.some((read) => read.isSubsetOf(left)));
      expect(quorums.canWriteWithout(chosen)).toBe(writes.some((write) => write.isSubsetOf(left)));
    },
  );

  forAll("a write quorum meets every read quorum", [soundSpec], (spec) => {
    const quorums = new QuorumSystem(spec);
    for (const write of quorumsOf(spec.write, spec.acceptors))
      expect(quorums.meetsEveryReadQuorum(write)).toBe(true);
  });

  it("does not count a stranger", () => {
    const quorums = new QuorumSystem(majority(ids(3)));
    expect(quorums.hasWriteQuorum(new Set(A(0, 8, 9)))).toBe(false);
    expect(quorums.canWriteWithout(new Set(A(0, 8, 9)))).toBe(true);
  });

  it("of a grid: a row meets every column", () => {
    const quorums = new QuorumSystem({
      acceptors: ids(6),
      witnesses: [],
      read: { sets: [A(0, 1, 2), A(3, 4, 5)] },
      write: { sets: [A(0, 3), A(1, 4), A(2, 5)] },
    });
    expect(quorums.hasWriteQuorum(new Set(A(1, 4)))).toBe(true);
    expect(quorums.hasWriteQuorum(new Set(A(0, 1, 2)))).toBe(false);
    expect(quorums.hasReadQuorum(new Set(A(0, 1, 2)))).toBe(true);
    expect(quorums.meetsEveryReadQuorum(new Set(A(0, 4)))).toBe(true);
    expect(quorums.meetsEveryReadQuorum(new Set(A(0, 1)))).toBe(false);
  });

  it("of weights: by weight and not by number", () => {
    const weights = { a0: 3 };
    const quorums = new QuorumSystem({
      acceptors: ids(4),
      witnesses: [],
      read: { atLeast: 4, weights },
      write: { atLeast: 3, weights },
    });
    expect(quorums.hasWriteQuorum(new Set(A(0)))).toBe(true);
    expect(quorums.hasWriteQuorum(new Set(A(1, 2)))).toBe(false);
    expect(quorums.hasReadQuorum(new Set(A(1, 2, 3)))).toBe(false);
    expect(quorums.meetsEveryReadQuorum(new Set(A(0)))).toBe(true);
  });

  it("knows who is full and who is a witness", () => {
    const quorums = new QuorumSystem({ ...majority(ids(3)), witnesses: A(1) });
    expect(quorums.full).toEqual(A(0, 2));
    expect([...quorums.witnesses]).toEqual(A(1));
  });
});
