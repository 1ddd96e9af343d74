/**
 * A simulated table: items by key, changed only by the acceptor's own conditions (protocol/acceptor.ts).
 */
import {
  decide,
  GONE,
  type Item,
  type Key,
  keyText,
  type Outcome,
  type Verb,
} from "../../shared/protocol/acceptor.ts";
import type { AcceptorId } from "../../shared/protocol/quorum.ts";

/** Told of every item that a verb changed, before anybody else learns the outcome. */
export type Watch = (table: Table, key: Key, before: Item | undefined, after: Item | undefined) => void;

export class Table {
  readonly id: AcceptorId;
  readonly index: number;
  readonly items = new Map<string, Item>();
  /** Raised when the table is created again, empty, under the same name. */
  incarnation = 0;
  isLost = false;
  /** It has answered "there is no such cell or Head, or no table": it may be reported as lost. */
  hasRefused = false;
  /** How many times slower than the others. */
  slowness = 1;
  /** Requests do not arrive, or are executed and their replies do not arrive. */
  link: "both" | "none" | "inOnly" = "both";
  readonly #watch: Watch;

  constructor(id: AcceptorId, index: number, watch: Watch) {
    this.id = id;
    this.index = index;
    this.#watch = watch;
  }

  item(key: Key): Item | undefined {
    return this.items.get(keyText(key));
  }

  execute(verb: Verb): Outcome {
    if (this.isLost) {
      this.hasRefused = true;
      return GONE;
    }
    const name = keyText(verb.key);
    const before = this.items.get(name);
    const { outcome, next } = decide(verb, before);
    if (next === null) this.items.delete(name);
    else if (next !== undefined) this.items.set(name, next);
    if (next !== undefined) this.#watch(this, verb.key, before, next ?? undefined);
    if (outcome.outcome === "refused" && outcome.by === undefined) this.hasRefused = true;
    return outcome;
  }

  /** For ever: nothing of it comes back. */
  lose(): void {
    this.isLost = true;
    this.items.clear();
  }

  /** The name exists again and remembers nothing. */
  recreate(): void {
    this.isLost = false;
    this.incarnation++;
    this.items.clear();
  }
}
