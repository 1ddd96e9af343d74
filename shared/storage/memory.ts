/**
 * A table in this process's memory, for tests and simulations: `decide` on a map, and nothing else.
 * It forgets everything with the process, so it is no acceptor for anything that matters.
 */
import { decide, GONE, type Item, keyText, type Outcome, type Verb } from "../protocol/acceptor.ts";
import type { MachineId } from "../protocol/configuration.ts";
import type { AcceptorStore } from "./store.ts";

export interface MemoryStore extends AcceptorStore {
  /** The table is lost, as a deleted one is: every verb is answered `GONE` from now on. */
  lose(): void;
}

export function memoryStore(): MemoryStore {
  const machines = new Map<MachineId, Map<string, Item>>();
  let lost = false;

  function execute(items: Map<string, Item>, verb: Verb): Outcome {
    const key = keyText(verb.key);
    const { outcome, next } = decide(verb, items.get(key));
    if (next === null) items.delete(key);
    else if (next !== undefined) items.set(key, next);
    return outcome;
  }

  return {
    async execute(machine, verbs) {
      if (lost) return verbs.map(() => GONE);
      const items = machines.get(machine) ?? new Map<string, Item>();
      machines.set(machine, items);
      return verbs.map((verb) => execute(items, verb));
    },
    async close() {},
    lose() {
      lost = true;
      machines.clear();
    },
  };
}
