/** The drills' verdict can fail: each way to lose, repeat, invent or reorder a command is told. */
import { describe, expect, test } from "vitest";
import type { LogLine } from "../shared/wire.ts";
import { faultsOf } from "./support/history.ts";
import type { Operation } from "./support/linearizable.ts";

const deposit = (amount: number) => ({ type: "deposit", account: "a", amount });

function operation(amount: number, call: number, end: number, more: Partial<Operation> = {}): Operation {
  return { client: "c", call, return: end, input: deposit(amount), output: "OK", ok: true, ...more };
}

function total(asOf: number, output: number, call: number, end: number): Operation {
  return { client: "r", call, return: end, asOf, input: "total", output, ok: true };
}

/** One command a slot. */
function logOf(...amounts: readonly number[]): readonly LogLine[] {
  return amounts.map(
    (amount, index) =>
      ({
        slot: index + 1,
        ballot: "",
        configuration: 1,
        commands: [{ session: "1-0", sequence: amount, command: deposit(amount) }],
      }) as unknown as LogLine,
  );
}

describe("faultsOf", () => {
  const history = [operation(1, 0, 2), operation(2, 1, 4), total(2, 3, 5, 6)];

  test("finds nothing wrong with a right history", () => {
    expect(faultsOf(history, logOf(1, 2))).toEqual([]);
  });

  test("a repeated command counts once when its session says so, and is told when not", () => {
    const [first, second] = logOf(1, 2);
    const again = { ...(first as LogLine), slot: 3 as LogLine["slot"] };
    expect(faultsOf(history, [first, second, again] as LogLine[])).toEqual([]);
    const bare = { ...again, commands: [{ command: deposit(1) }] } as LogLine;
    expect(faultsOf(history, [first, second, bare] as LogLine[])[0]).toMatch(/executed 2 times/);
  });

  test("a lost command", () => {
    expect(faultsOf(history, logOf(1))[0]).toMatch(/acknowledged and is lost/);
  });

  test("a command that nobody sent", () => {
    expect(faultsOf(history, logOf(1, 2, 3))[0]).toMatch(/nobody sent the command of 3/);
  });

  test("a command of unknown outcome may be missing, and may be there", () => {
    const unknown = operation(3, 7, 9, { ok: false, output: "outcome_unknown" });
    expect(faultsOf([...history, unknown], logOf(1, 2))).toEqual([]);
    expect(faultsOf([...history, unknown], logOf(1, 2, 3))).toEqual([]);
  });

  test("a command that failed in any other way", () => {
    const failed = operation(3, 7, 9, { ok: false, output: "unavailable" });
    expect(faultsOf([...history, failed], logOf(1, 2))[0]).toMatch(/failed/);
  });

  test("a stale read, by its result and by real time", () => {
    expect(faultsOf([...history, total(2, 1, 7, 8)], logOf(1, 2))[0]).toMatch(/should have been answered 3/);
    expect(faultsOf([...history, total(1, 1, 7, 8)], logOf(1, 2))[0]).toMatch(/returned before/);
  });

  test("two commands out of order in real time", () => {
    const reordered = [operation(1, 0, 1), operation(2, 2, 3)];
    expect(faultsOf(reordered, logOf(2, 1))[0]).toMatch(/returned before/);
  });
});
