/**
 * Virtual time: one queue of events, ordered by time and then by when they were scheduled. Nothing in a
 * run happens except by an event of this queue, and nothing waits for the real clock.
 */
export interface Scheduled {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
  cancelled: boolean;
}

export class Scheduler {
  /** Events that ran. */
  events = 0;
  #now = 0;
  #order = 0;
  /** A binary heap. */
  readonly #heap: Scheduled[] = [];

  /** Milliseconds since the run began. */
  get now(): number {
    return this.#now;
  }

  after(delayMs: number, run: () => void): Scheduled {
    const scheduled = { at: this.#now + delayMs, order: this.#order++, run, cancelled: false };
    this.#rise(scheduled);
    return scheduled;
  }

  /** Runs the next event; false: there is none. */
  step(): boolean {
    for (let next = this.#pop(); next !== undefined; next = this.#pop()) {
      if (next.cancelled) continue;
      this.#now = next.at;
      this.events++;
      next.run();
      return true;
    }
    return false;
  }

  #rise(entry: Scheduled): void {
    const heap = this.#heap;
    let index = heap.length;
    heap.push(entry);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent] as Scheduled;
      if (!isBefore(entry, above)) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = entry;
  }

  #pop(): Scheduled | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (heap.length > 0 && last !== undefined) this.#sink(last);
    return first;
  }

  #sink(entry: Scheduled): void {
    const heap = this.#heap;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Scheduled, heap[child] as Scheduled))
        child++;
      if (!isBefore(heap[child] as Scheduled, entry)) break;
      heap[index] = heap[child] as Scheduled;
      index = child;
    }
    heap[index] = entry;
  }
}

function isBefore(one: Scheduled, other: Scheduled): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order);
}
