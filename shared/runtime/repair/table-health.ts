/**
 * How the tables are doing, as one process sees them: who is gone, who is silent, and who is merely slow, by comparison
 * with the others (the talk's SIFT). A table is complained of only while others do well: when all are slow, or none
 * answers, the trouble is as likely here as there.
 *
 * It only watches what is asked anyway. Whether a complaint becomes a suspicion is the registry's decision.
 */
import type { Outcome } from "../../protocol/acceptor.ts";
import type { Suspicion } from "../../protocol/pool.ts";
import type { AcceptorId } from "../../protocol/quorum.ts";

/** An answer that is owed for so long is missed, if another table answered something that was asked later. */
export const SILENT_AFTER_MS = 3_000;
/** The latest answers that a table's pace is the median of; fewer than half of them say nothing. */
export const ANSWERS_KEPT = 32;
/** Below this nobody is slow: a flush that meets another one takes as long. */
export const SLOW_MS_MIN = 100;
/** Times the pace of the table in the middle. */
export const SLOW_FACTOR = 8;
/** Only so many tables in all are compared with: one alone is no measure. */
const OTHERS_MIN = 2;

interface Record {
  isGone: boolean;
  /** When the questions that are still to be answered were asked, oldest first; an unknown outcome is no answer. */
  readonly owed: Set<{ readonly askedMs: number }>;
  /** When the newest question that it answered was asked. */
  answeredMs: number;
  readonly tookMs: number[];
}

export class TableHealth {
  readonly #now: () => number;
  readonly #records = new Map<AcceptorId, Record>();

  /** `now`: milliseconds of a clock that never jumps. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** A question is on its way; the returned function is told what came back. */
  asked(acceptor: AcceptorId): (outcomes: readonly Outcome[]) => void {
    const record = this.#record(acceptor);
    const question = { askedMs: this.#now() };
    record.owed.add(question);
    return (outcomes) => {
      record.isGone ||= outcomes.some((outcome) => outcome.outcome === "refused" && outcome.gone === true);
      // It stays owed until the table answers anything that was asked later.
      if (outcomes.every(({ outcome }) => outcome === "unknown")) return;
      for (const owed of record.owed) if (owed.askedMs <= question.askedMs) record.owed.delete(owed);
      record.answeredMs = Math.max(record.answeredMs, question.askedMs);
      record.tookMs.push(this.#now() - question.askedMs);
      if (record.tookMs.length > ANSWERS_KEPT) record.tookMs.shift();
    };
  }

  /** It showed something else than it was given: whatever it answers, it is no acceptor any more. */
  distrust(acceptor: AcceptorId): void {
    this.#record(acceptor).isGone = true;
  }

  /** What is wrong with each table that something is wrong with. */
  complaints(): ReadonlyMap<AcceptorId, Suspicion> {
    const complaints = new Map<AcceptorId, Suspicion>();
    for (const [acceptor, record] of this.#records) {
      const complaint = this.#complaint(record);
      if (complaint !== undefined) complaints.set(acceptor, complaint);
    }
    return complaints;
  }

  #record(acceptor: AcceptorId): Record {
    const known = this.#records.get(acceptor);
    if (known !== undefined) return known;
    const record: Record = {
      isGone: false,
      owed: new Set(),
      answeredMs: Number.NEGATIVE_INFINITY,
      tookMs: [],
    };
    this.#records.set(acceptor, record);
    return record;
  }

  #complaint(record: Record): Suspicion | undefined {
    if (record.isGone) return "gone";
    if (this.#isSilent(record)) return "silent";
    return this.#isSlow(record) ? "slow" : undefined;
  }

  #isSilent(record: Record): boolean {
    const [oldest] = record.owed;
    if (oldest === undefined || this.#now() - oldest.askedMs < SILENT_AFTER_MS) return false;
    return [...this.#records.values()].some((other) => other !== record && other.answeredMs > oldest.askedMs);
  }

  #isSlow(record: Record): boolean {
    const pace = paceOf(record);
    if (pace === undefined || pace < SLOW_MS_MIN) return false;
    const others = [...this.#records.values()]
      .filter((other) => other !== record)
      .flatMap((other) => paceOf(other) ?? []);
    return others.length >= OTHERS_MIN && pace > SLOW_FACTOR * median(others);
  }
}

function paceOf({ isGone, tookMs }: Record): number | undefined {
  return isGone || tookMs.length < ANSWERS_KEPT / 2 ? undefined : median(tookMs);
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] as number;
}
