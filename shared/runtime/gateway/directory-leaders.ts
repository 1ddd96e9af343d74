/**
 * The leaders' addresses as the deployment's directory lists them, for a gateway that is frozen between requests: the
 * list is looked at when a request comes, and nothing is done in between. With the directory out of reach the last list
 * stays in use.
 */
import { addressIn, type Origins } from "../../client/addresses.ts";
import type { Directory } from "../directory.ts";

/** While it is in use, the list is at most this old. */
const AGE_MS_MAX = 2_000;

export class DirectoryLeaders implements Origins {
  readonly #directory: Pick<Directory, "leaders">;
  readonly #now: () => number;
  #listed: readonly string[] = [];
  #askedAt = Number.NEGATIVE_INFINITY;
  #asking: Promise<void> | undefined;

  /** `now`: milliseconds of a clock that goes on while the process is frozen. */
  constructor(directory: Pick<Directory, "leaders">, now: () => number = Date.now) {
    this.#directory = directory;
    this.#now = now;
  }

  list(): readonly string[] {
    return this.#listed;
  }

  failed(): void {
    void this.#renew();
  }

  /** Before each request. Never rejects. */
  async refresh(): Promise<void> {
    const age = this.#now() - this.#askedAt;
    if (this.#listed.length === 0 || age < 0 || age > AGE_MS_MAX) await this.#renew();
  }

  #renew(): Promise<void> {
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #ask(): Promise<void> {
    this.#askedAt = this.#now();
    try {
      const leaders = await this.#directory.leaders();
      this.#listed = leaders.flatMap(({ address }) => addressIn(address) ?? []);
    } catch {
      // The last list is the best one there is.
    }
  }
}
