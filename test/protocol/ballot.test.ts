import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type BallotParts,
  ballotOf,
  birthBallot,
  type ConfigurationNumber,
  NO_PROCESS,
  type ProcessId,
  parseBallot,
} from "../../shared/protocol/ballot.ts";
import { forAll } from "./for-all.ts";

const MAX = Number.MAX_SAFE_INTEGER;
const processId = fc
  .array(fc.constantFrom(..."0123456789abcdef"), { minLength: 32, maxLength: 32 })
  .map((digits) => digits.join("") as ProcessId);
/** Small, near each power of two and of ten that may trip an order of texts, and near 2^53. */
const count = fc.oneof(
  fc.nat(20),
  fc.maxSafeNat(),
  fc.integer({ min: MAX - 20, max: MAX }),
  fc.tuple(fc.nat(52), fc.integer({ min: -1, max: 1 })).map(([bits, off]) => Math.max(0, 2 ** bits + off)),
);
const parts: fc.Arbitrary<BallotParts> = fc.record({
  configuration: count.map((number) => number as ConfigurationNumber),
  round: count,
  process: processId,
});
const textOf = ({ configuration, round, process }: BallotParts) => ballotOf(configuration, round, process);

/** The order of ⟨c, r, p⟩, lexicographic, number by number. */
function compare(one: BallotParts, other: BallotParts): number {
  if (one.configuration !== other.configuration) return one.configuration < other.configuration ? -1 : 1;
  if (one.round !== other.round) return one.round < other.round ? -1 : 1;
  return Math.sign(Number(BigInt(`0x${one.process}`) - BigInt(`0x${other.process}`)));
}

describe("the order of ballots is the order of their texts", () => {
  const related = fc.tuple(parts, parts, fc.nat(7)).map(([one, other, same]): [BallotParts, BallotParts] => [
    one,
    {
      configuration: same & 1 ? one.configuration : other.configuration,
      round: same & 2 ? one.round : other.round,
      process: same & 4 ? one.process : other.process,
    },
  ]);

  forAll(
    "for any two",
    [related],
    ([one, other]) => {
      const [text, otherText] = [textOf(one), textOf(other)];
      expect(text < otherText ? -1 : text > otherText ? 1 : 0).toBe(compare(one, other));
      expect(text).toHaveLength(otherText.length);
    },
    2_000,
  );

  it("near 2^53, and from 9 to 10, 15 to 16, 255 to 256", () => {
    const rounds = [0, 1, 9, 10, 15, 16, 99, 100, 255, 256, 2 ** 32 - 1, 2 ** 32, 2 ** 48, MAX - 1, MAX];
    const texts = rounds.map((round) =>
      ballotOf(7 as ConfigurationNumber, round, "f".repeat(32) as ProcessId),
    );
    expect([...texts].sort()).toEqual(texts);
    expect(new Set(texts).size).toBe(rounds.length);
  });

  it("configuration first, then round, then process", () => {
    const low = "0".repeat(32) as ProcessId;
    const high = "f".repeat(32) as ProcessId;
    const texts = [
      ballotOf(1 as ConfigurationNumber, 0, low),
      ballotOf(1 as ConfigurationNumber, 0, high),
      ballotOf(1 as ConfigurationNumber, 1, low),
      ballotOf(1 as ConfigurationNumber, MAX, high),
      ballotOf(2 as ConfigurationNumber, 0, low),
      ballotOf(2 as ConfigurationNumber, 1, low),
    ];
    expect([...texts].reverse().sort()).toEqual(texts);
  });
});

describe("texts", () => {
  forAll("come back as what they were made of", [parts], (given) => {
    expect(parseBallot(textOf(given))).toEqual(given);
    expect(textOf(parseBallot(textOf(given)))).toBe(textOf(given));
  });

  it("are these, for ever: tables keep them", () => {
    const process = "0123456789abcdef0123456789abcdef" as ProcessId;
    expect(ballotOf(1 as ConfigurationNumber, 2, process)).toBe(
      "00000000000001.00000000000002.0123456789abcdef0123456789abcdef",
    );
    expect(ballotOf(MAX as ConfigurationNumber, 255, process)).toBe(
      "1fffffffffffff.000000000000ff.0123456789abcdef0123456789abcdef",
    );
    expect(birthBallot(3 as ConfigurationNumber)).toBe(
      "00000000000003.00000000000000.00000000000000000000000000000000",
    );
  });

  it("the birth ballot is below every other of its configuration", () => {
    const born = birthBallot(3 as ConfigurationNumber);
    expect(parseBallot(born)).toEqual({ configuration: 3, round: 0, process: NO_PROCESS });
    expect(
      born < ballotOf(3 as ConfigurationNumber, 0, "00000000000000000000000000000001" as ProcessId),
    ).toBe(true);
    expect(born > ballotOf(2 as ConfigurationNumber, MAX, "f".repeat(32) as ProcessId)).toBe(true);
  });
});

describe("what does not fit is refused: a ballot that wraps would not be unique", () => {
  it.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, 2 ** 56])("the number %d", (number) => {
    const process = "a".repeat(32) as ProcessId;
    expect(() => ballotOf(number as ConfigurationNumber, 1, process)).toThrow(RangeError);
    expect(() => ballotOf(1 as ConfigurationNumber, number, process)).toThrow(RangeError);
  });

  it.each([
    "",
    "a".repeat(31),
    "a".repeat(33),
    "A".repeat(32),
    "g".repeat(32),
    `${"a".repeat(31)} `,
    `${"a".repeat(32)}\n`,
  ])("the process %j", (process) => {
    expect(() => ballotOf(1 as ConfigurationNumber, 1, process as ProcessId)).toThrow(RangeError);
  });

  it.each([
    "",
    "garbage",
    "1.2.3",
    `00000000000001.00000000000002.${"a".repeat(31)}`,
    `00000000000001.00000000000002.${"a".repeat(33)}`,
    `00000000000001.00000000000002.${"A".repeat(32)}`,
    `0000000000001.00000000000002.${"a".repeat(32)}`,
    `00000000000001-00000000000002-${"a".repeat(32)}`,
    ` 00000000000001.00000000000002.${"a".repeat(32)}`,
    `00000000000001.00000000000002.${"a".repeat(32)}\n`,
  ])("the text %j", (text) => {
    expect(() => parseBallot(text)).toThrow("not a ballot");
  });

  it.each(["20000000000000", "20000000000001", "ffffffffffffff"])(
    "a number above 2^53, which a double would round: %s",
    (digits) => {
      expect(() => parseBallot(`${digits}.00000000000001.${"a".repeat(32)}`)).toThrow("above 2^53");
      expect(() => parseBallot(`00000000000001.${digits}.${"a".repeat(32)}`)).toThrow("above 2^53");
    },
  );

  forAll("any other text", [fc.string()], (text) => {
    expect(() => parseBallot(text)).toThrow(RangeError);
  });
});
