/** The world as a driver meets it in production: stores, timers, clocks, the system's random source. */
import { createHash, randomInt } from "node:crypto";
import { GONE, UNKNOWN } from "../protocol/acceptor.ts";
import type { AcceptorId } from "../protocol/quorum.ts";
import type { AcceptorStore } from "../storage/store.ts";
import type { Ports } from "./ports.ts";

const RANDOM_STEPS = 2 ** 32;

/** `storeOf`: the store of an acceptor; undefined when nobody knows where it is, so it refuses everything. */
export function productionPorts(storeOf: (acceptor: AcceptorId) => AcceptorStore | undefined): Ports {
  return {
    ask(acceptor, machine, verbs, done) {
      const store = storeOf(acceptor);
      if (store === undefined) queueMicrotask(() => done(verbs.map(() => GONE)));
      else
        store.execute(machine, verbs).then(done, () => {
          // The port's contract says it never rejects; if one does, what happened is unknown.
          done(verbs.map(() => UNKNOWN));
        });
    },
    after(delayMs, call) {
      const timer = setTimeout(call, delayMs);
      return () => clearTimeout(timer);
    },
    now: () => Date.now(),
    elapsed: () => performance.now(),
    random: () => randomInt(RANDOM_STEPS) / RANDOM_STEPS,
    digest: sha256,
  };
}

/** As hexadecimal. */
export function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
