import { expect, test } from "vitest";
import { GONE, type Outcome, UNKNOWN } from "../../shared/protocol/acceptor.ts";
import type { AcceptorId } from "../../shared/protocol/quorum.ts";
import {
  ANSWERS_KEPT,
  SILENT_AFTER_MS,
  SLOW_FACTOR,
  SLOW_MS_MIN,
  TableHealth,
} from "../../shared/runtime/repair/table-health.ts";

const [A, B, C] = ["a", "b", "c"] as unknown as [AcceptorId, AcceptorId, AcceptorId];
const APPLIED: Outcome = { outcome: "applied" };

/** A clock that stands still unless it is moved, and tables that take as long as they are told. */
class Watch {
  nowMs = 0;
  readonly health = new TableHealth(() => this.nowMs);

  ask(acceptor: AcceptorId, tookMs: number, outcome = APPLIED): void {
    const answered = this.health.asked(acceptor);
    this.nowMs += tookMs;
    answered([outcome]);
  }

  askOften(acceptor: AcceptorId, tookMs: number, times = ANSWERS_KEPT): void {
    for (let time = 0; time < times; time++) this.ask(acceptor, tookMs);
  }

  get complaints() {
    return Object.fromEntries(this.health.complaints());
  }
}

test("a table that says it is gone is gone, whatever else it says", () => {
  const watch = new Watch();
  watch.ask(A, 1, GONE);
  watch.ask(A, 1);
  expect(watch.complaints).toEqual({ a: "gone" });
});

test("a table that was found damaged is as good as gone", () => {
  const watch = new Watch();
  watch.ask(A, 1);
  watch.health.distrust(A);
  watch.ask(A, 1);
  expect(watch.complaints).toEqual({ a: "gone" });
});

test("a table that owes an answer is silent, once another has answered what was asked later", () => {
  const watch = new Watch();
  watch.health.asked(A);
  watch.nowMs += SILENT_AFTER_MS;
  expect(watch.complaints).toEqual({});
  watch.ask(B, 1);
  expect(watch.complaints).toEqual({ a: "silent" });
});

test("an answer that is owed for a short time, or that came, is no silence", () => {
  const watch = new Watch();
  const answered = watch.health.asked(A);
  watch.nowMs += SILENT_AFTER_MS - 2;
  watch.ask(B, 1);
  expect(watch.complaints).toEqual({});
  watch.nowMs += 10;
  answered([APPLIED]);
  expect(watch.complaints).toEqual({});
});

test("an unknown outcome is no answer; any later answer makes up for it", () => {
  const watch = new Watch();
  watch.ask(A, SILENT_AFTER_MS, UNKNOWN);
  watch.ask(B, 1);
  expect(watch.complaints).toEqual({ a: "silent" });
  watch.ask(A, 1);
  expect(watch.complaints).toEqual({});
});

test("a table is slow by comparison, and only then", () => {
  const watch = new Watch();
  const slow = SLOW_MS_MIN + 1;
  watch.askOften(A, slow);
  watch.askOften(B, 1);
  // Two alone: who says which of them is as it should be?
  expect(watch.complaints).toEqual({});
  watch.askOften(C, 1);
  expect(watch.complaints).toEqual({ a: "slow" });
  watch.askOften(A, 1);
  expect(watch.complaints).toEqual({});
});

test("all of them slow, or one slow now and then, is nobody's fault", () => {
  const watch = new Watch();
  for (const table of [A, B, C]) watch.askOften(table, 10 * SLOW_MS_MIN);
  expect(watch.complaints).toEqual({});
  const quick = new Watch();
  quick.askOften(B, 1);
  quick.askOften(C, 1);
  quick.askOften(A, 1, ANSWERS_KEPT / 2 + 1);
  quick.askOften(A, 10 * SLOW_MS_MIN, ANSWERS_KEPT / 2 - 1);
  expect(quick.complaints).toEqual({});
});

test("what is within the factor of the others, or below what a flush may take, is not slow", () => {
  const within = new Watch();
  within.askOften(A, SLOW_FACTOR * SLOW_MS_MIN);
  within.askOften(B, SLOW_MS_MIN);
  within.askOften(C, SLOW_MS_MIN);
  expect(within.complaints).toEqual({});
  const small = new Watch();
  small.askOften(A, SLOW_MS_MIN - 1);
  small.askOften(B, 1);
  small.askOften(C, 1);
  expect(small.complaints).toEqual({});
});
