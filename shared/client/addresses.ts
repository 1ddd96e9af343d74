/**
 * Where to send a machine's requests: to its leader as far as that is known, else in turn to every address
 * that was learnt, and to those that were given, which are never forgotten.
 */
import { formatAddress, parseAddress } from "./pinned.ts";

/** Machines whose leader is remembered; the one learnt first is forgotten first, and costs one redirect. */
const LEADERS_MAX = 10_000;

export interface Origins {
  /** Addresses to begin with; the list may change. */
  list(): readonly string[];
  /** Somebody did not answer, or not well: a list that can be renewed should be. */
  failed(): void;
}

export class Addresses {
  readonly #origins: Origins;
  readonly #leaders = new Map<string, string>();
  readonly #learnt = new Set<string>();
  #turn = 0;

  constructor(origins: Origins) {
    this.#origins = origins;
  }

  /** Undefined while nobody is known. */
  pick(machine: string): string | undefined {
    const known = [...this.#learnt, ...this.#origins.list()];
    return this.#leaders.get(machine) ?? known[this.#turn % known.length];
  }

  answered(machine: string, address: string): void {
    this.#leaders.delete(machine);
    this.#leaders.set(machine, address);
    if (this.#leaders.size > LEADERS_MAX) this.#leaders.delete(this.#leaders.keys().next().value as string);
  }

  /** `leader` is what a server said; anything that is no address is ignored. */
  redirected(machine: string, leader: string): void {
    const address = addressIn(leader);
    if (address === undefined) return;
    this.#learnt.add(address);
    this.answered(machine, address);
  }

  failed(machine: string, address: string): void {
    if (this.#leaders.get(machine) === address) this.#leaders.delete(machine);
    this.#learnt.delete(address);
    this.#turn++;
    this.#origins.failed();
  }
}

/** With the certificate that it names. Undefined when a text is no address of an HTTP server. */
export function addressIn(text: string): string | undefined {
  const address = parseAddress(text);
  return address === undefined ? undefined : formatAddress(address);
}
