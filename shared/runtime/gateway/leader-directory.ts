/**
 * The leaders' addresses as the registry lists them. With the registry down the last list stays in use:
 * nothing on a command's path may depend on the registry.
 */

import { addressIn, type Origins } from "../../client/addresses.ts";
import { jsonOf } from "../../client/answers.ts";
import { Exchange } from "../../client/exchange.ts";

/** While it is in use, the list is at most this old; an unused one is left alone. */
const AGE_MS_MAX = 2_000;
const ANSWER_MS_MAX = 2_000;

export class LeaderDirectory implements Origins {
  readonly #given: readonly string[];
  readonly #registry: string | undefined;
  readonly #exchange = new Exchange();
  readonly #closed = new AbortController();
  #listed: readonly string[] = [];
  #askedAt = Number.NEGATIVE_INFINITY;
  #asking: Promise<void> | undefined;

  /** `given` are known without a registry, and never forgotten. */
  constructor(given: readonly string[], registry: string | undefined) {
    this.#given = given;
    this.#registry = registry;
  }

  list(): readonly string[] {
    if (performance.now() - this.#askedAt > AGE_MS_MAX) void this.renew();
    return [...this.#given, ...this.#listed];
  }

  failed(): void {
    void this.renew();
  }

  /** Asks the registry; several who want it at once share one question. Never rejects. */
  renew(): Promise<void> {
    if (this.#registry === undefined || this.#closed.signal.aborted) return Promise.resolve();
    this.#asking ??= this.#ask(this.#registry).finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  close(): void {
    this.#closed.abort();
    this.#exchange.close();
  }

  async #ask(registry: string): Promise<void> {
    this.#askedAt = performance.now();
    const patience = { deadlineMs: ANSWER_MS_MAX, patienceMs: ANSWER_MS_MAX, giveUp: () => true };
    const request = { method: "GET", path: "/v1/servers" };
    try {
      const answer = await this.#exchange.run(registry, request, patience, this.#closed.signal);
      this.#listed = addressesIn(jsonOf(answer));
    } catch {
      // The registry is down or not itself: the last list is the best one there is.
    }
  }
}

/** Without those that are no addresses. @throws TypeError when it is no list of servers. */
function addressesIn(answer: unknown): readonly string[] {
  const { leaders } = answer as { leaders: readonly { address: string }[] };
  return leaders.flatMap(({ address }) => addressIn(address) ?? []);
}
