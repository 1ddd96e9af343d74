/**
 * Whose tokens count at a leader: a few names whose keys it was given when it started, and the leader processes on
 * record. Those are learnt from the directory, and from the registry where that does not know one, and remembered:
 * with both of them down the processes that know each other go on.
 */
import type { LeaderServer } from "../../protocol/registry.ts";
import { PEER_LIFE_MAX_MS } from "./credentials.ts";
import type { Signatory } from "./token.ts";

/** What is known is looked up again after so long, for those who are not trusted any more; nobody waits for that. */
const RENEW_AFTER_MS = 60_000;
/** Names that nobody knows cost one look-up in so long, however many come. */
const ASK_AGAIN_MS = 1_000;

export interface SignatoriesOptions {
  /** By name. */
  readonly given: ReadonlyMap<string, Signatory>;
  /** The processes that live, as far as is known there; may be out of date. */
  readonly hinted: () => Promise<readonly LeaderServer[]>;
  /** Those that live. */
  readonly recorded: () => Promise<readonly LeaderServer[]>;
}

export class Signatories {
  readonly #options: SignatoriesOptions;
  #leaders: ReadonlyMap<string, LeaderServer> = new Map();
  #askedAt = Number.NEGATIVE_INFINITY;
  #asking: Promise<void> | undefined;

  constructor(options: SignatoriesOptions) {
    this.#options = options;
  }

  /** A process's name is its process id. Undefined: nobody of that name is known. */
  async of(by: string): Promise<Signatory | undefined> {
    const given = this.#options.given.get(by);
    if (given !== undefined) return given;
    const age = performance.now() - this.#askedAt;
    if (!this.#leaders.has(by)) await (age < ASK_AGAIN_MS ? this.#asking : this.#ask(by));
    else if (age > RENEW_AFTER_MS) void this.#ask(by);
    const leader = this.#leaders.get(by);
    return leader && { publicKey: leader.publicKey, right: "peer", lifeMaxMs: PEER_LIFE_MAX_MS };
  }

  #ask(by: string): Promise<void> {
    this.#asking ??= this.#renew(by).finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #renew(by: string): Promise<void> {
    this.#askedAt = performance.now();
    const hinted = await byProcess(this.#options.hinted);
    if (hinted?.has(by)) {
      this.#leaders = hinted;
      return;
    }
    const recorded = await byProcess(this.#options.recorded);
    // A hint that is too old to know one is too old to forget another by.
    this.#leaders = recorded ?? new Map([...this.#leaders, ...(hinted ?? [])]);
  }
}

/** Undefined: it did not answer. */
async function byProcess(
  leaders: () => Promise<readonly LeaderServer[]>,
): Promise<ReadonlyMap<string, LeaderServer> | undefined> {
  const found = await leaders().catch(() => undefined);
  return found && new Map(found.map((leader) => [leader.process, leader]));
}
