import { describe, expect, it } from "vitest";
import { faultOfHistory, type Operation, type Sequential, toJsonLines } from "./linearizable.ts";

/** A counter: a command adds its input and returns the sum. */
function counter(): Sequential {
  let sum = 0;
  return {
    execute: (input) => {
      sum += input as number;
      return sum;
    },
    read: () => sum,
  };
}

function command(times: readonly [number, number], slot: number, output: number, ok = true): Operation {
  return { client: "a", call: times[0], return: times[1], slot, index: 0, input: 1, output, ok };
}

function read(times: readonly [number, number], asOf: number, output: number): Operation {
  return { client: "b", call: times[0], return: times[1], asOf, input: null, output, ok: true };
}

describe("faultOfHistory", () => {
  it("accepts operations that overlap, in whatever order the log has them", () => {
    const history = [command([0, 10], 2, 2), command([1, 9], 1, 1), read([2, 3], 0, 0), read([2, 11], 2, 2)];
    expect(faultOfHistory(history, counter())).toBeUndefined();
  });

  it("refuses an answer that the log does not give", () => {
    expect(faultOfHistory([command([0, 1], 1, 2)], counter())).toMatch(/should have been answered 1/);
  });

  it("refuses a read from before a command that had returned when it was called", () => {
    expect(faultOfHistory([command([0, 1], 1, 1), read([2, 3], 0, 0)], counter())).toMatch(/returned before/);
  });

  it("refuses a read that goes back behind another read", () => {
    const history = [command([0, 9], 1, 1), read([1, 2], 1, 1), read([3, 4], 0, 0)];
    expect(faultOfHistory(history, counter())).toMatch(/returned before/);
  });

  it("refuses two commands in the wrong order, one read beside them or not", () => {
    const history = [command([5, 6], 1, 1), read([0, 9], 1, 1), command([0, 1], 2, 2)];
    expect(faultOfHistory(history, counter())).toMatch(/returned before/);
  });

  it("lets a command whose outcome is unknown have its effect, late as it may be", () => {
    const history = [command([0, 1], 1, Number.NaN, false), read([5, 6], 1, 1), read([2, 3], 0, 0)];
    expect(faultOfHistory(history, counter())).toBeUndefined();
  });

  it("refuses an unknown command that had its effect before it was called", () => {
    const history = [command([5, 6], 1, Number.NaN, false), read([0, 1], 1, 1)];
    expect(faultOfHistory(history, counter())).toMatch(/returned before/);
  });

  it("says that reads of the same slot may be in either order", () => {
    expect(faultOfHistory([read([3, 4], 0, 0), read([0, 1], 0, 0)], counter())).toBeUndefined();
  });
});

describe("toJsonLines", () => {
  it("writes one operation a line", () => {
    expect(toJsonLines([command([0, 1], 1, 1), read([2, 3], 1, 1)]).split("\n")).toHaveLength(3);
  });
});
