/**
 * Work on many machines, a few at a time, and the one used most recently first: after a failover a thousand
 * machines would otherwise wait for each other's fsyncs, those that nobody asks for before those that somebody does.
 */
import type { Ports } from "../ports.ts";

/** What has a turn; `usedAt` counts when the turn is given, so what is asked for meanwhile comes first. */
interface Waiting {
  readonly usedAt: number;
}

export class Turns {
  readonly #atOnce: number;
  readonly #turnMsMax: number;
  readonly #ports: Ports;
  readonly #waiting: { readonly of: Waiting; readonly start: () => Promise<void> }[] = [];
  #running = 0;

  /** After `turnMsMax` the next one starts though the work goes on: one that is stuck must not hold up the others. */
  constructor(atOnce: number, turnMsMax: number, ports: Ports) {
    this.#atOnce = atOnce;
    this.#turnMsMax = turnMsMax;
    this.#ports = ports;
  }

  /** Settles as the work does. */
  run(of: Waiting, work: () => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ of, start: () => work().then(resolve, reject) });
      this.#next();
    });
  }

  #next(): void {
    while (this.#running < this.#atOnce && this.#waiting.length > 0) {
      this.#running++;
      const pass = once(() => {
        this.#running--;
        this.#next();
      });
      const cancel = this.#ports.after(this.#turnMsMax, pass);
      void this.#mostRecentlyUsed().finally(() => {
        cancel();
        pass();
      });
    }
  }

  /** Started. */
  #mostRecentlyUsed(): Promise<void> {
    let best = 0;
    for (const [index, { of }] of this.#waiting.entries())
      if (of.usedAt > (this.#waiting[best]?.of.usedAt ?? 0)) best = index;
    const [next] = this.#waiting.splice(best, 1);
    return next?.start() ?? Promise.resolve();
  }
}

function once(call: () => void): () => void {
  let isDone = false;
  return () => {
    if (!isDone) call();
    isDone = true;
  };
}
