/** A clock that stands still unless it is moved, for what is measured in days. */

/** Timers that run when they are told to, and everything that follows from one before the next. */
export class Clock {
  nowMs = 0;
  readonly #timers = new Set<{ readonly atMs: number; readonly call: () => void }>();

  after(ms: number, call: () => void): () => void {
    const timer = { atMs: this.nowMs + ms, call };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  async run(forMs: number): Promise<void> {
    const untilMs = this.nowMs + forMs;
    for (;;) {
      await new Promise(setImmediate);
      const due = [...this.#timers].filter(({ atMs }) => atMs <= untilMs);
      const [next] = due.sort((one, other) => one.atMs - other.atMs);
      if (next === undefined) break;
      this.#timers.delete(next);
      this.nowMs = next.atMs;
      next.call();
    }
    this.nowMs = untilMs;
  }
}
