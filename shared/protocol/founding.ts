/**
 * Founding a configuration: `create` makes its cells, and the machine's Head, on every acceptor, before
 * the configuration is active (PROTOCOL §7 step 1, §9). Only then may a missing cell be a refusal for ever.
 *
 * Any process may do it, and several at once: creating what exists changes nothing.
 */
import { HEAD, type Outcome, type Verb } from "./acceptor.ts";
import type { Configuration } from "./configuration.ts";
import { type AcceptorId, QuorumSystem } from "./quorum.ts";
import { type Ask, type RequestInput, Requests, type Retry } from "./requests.ts";
import { allLanes, type Geometry } from "./slot.ts";

export type FoundingInput =
  | { readonly input: "found" }
  | RequestInput
  /** Waited long enough for all: quorums of both kinds will do, and the rest refuse until replaced. */
  | { readonly input: "hurry" };

export type FoundingEffect =
  | Ask
  | Retry
  | { readonly effect: "founded"; readonly on: readonly AcceptorId[] }
  | { readonly effect: "cannotFound"; readonly lost: readonly AcceptorId[] };

/** What makes one acceptor part of a configuration. A witness has no Head. */
function foundingVerbs(
  { number }: Configuration,
  quorums: QuorumSystem,
  geometry: Geometry,
  of: AcceptorId,
): readonly Verb[] {
  const cells = allLanes(geometry).map((lane): Verb => {
    return { verb: "create", key: { kind: "cell", configuration: number, lane } };
  });
  return quorums.witnesses.has(of) ? cells : [...cells, { verb: "create", key: HEAD }];
}

interface FoundingInPassing {
  readonly configuration: Configuration;
  readonly quorums: QuorumSystem;
  readonly geometry: Geometry;
  readonly requests: Requests;
}

/**
 * A leader that walks forward founds what it is about to lead (§8): an acceptor is asked nothing else before it has
 * all its cells, and nobody waits for it.
 */
export function foundInPassing(
  { configuration, quorums, geometry, requests }: FoundingInPassing,
  acceptors: readonly AcceptorId[],
): void {
  for (const acceptor of acceptors) {
    const verbs = foundingVerbs(configuration, quorums, geometry, acceptor);
    let missing = verbs.length;
    requests.ask(acceptor, verbs, () => {
      if (--missing === 0) requests.release(acceptor);
    });
    requests.hold(acceptor);
  }
}

export class Founding {
  readonly #configuration: Configuration;
  readonly #geometry: Geometry;
  readonly #quorums: QuorumSystem;
  readonly #requests: Requests;
  readonly #missing = new Map<AcceptorId, number>();
  readonly #created = new Set<AcceptorId>();
  readonly #lost = new Set<AcceptorId>();
  #effects: FoundingEffect[] = [];
  #hurried = false;
  #over = false;

  constructor(configuration: Configuration, geometry: Geometry) {
    this.#configuration = configuration;
    this.#geometry = geometry;
    this.#quorums = new QuorumSystem(configuration.quorums);
    this.#requests = new Requests((effect) => this.#effects.push(effect));
  }

  step(input: FoundingInput): readonly FoundingEffect[] {
    this.#effects = [];
    if (this.#over) return [];
    if (input.input === "found") this.#found();
    else if (input.input === "outcome") this.#requests.outcome(input.request, input.outcomes);
    else if (input.input === "resend") this.#requests.resend(input.request);
    else this.#hurried = true;
    this.#conclude();
    return this.#effects;
  }

  #found(): void {
    for (const acceptor of this.#quorums.acceptors) {
      const verbs = foundingVerbs(this.#configuration, this.#quorums, this.#geometry, acceptor);
      this.#missing.set(acceptor, verbs.length);
      this.#requests.ask(acceptor, verbs, (_, outcome) => this.#onCreated(acceptor, outcome));
    }
  }

  #onCreated(acceptor: AcceptorId, outcome: Outcome): void {
    if (outcome.outcome === "refused") this.#lost.add(acceptor);
    const missing = (this.#missing.get(acceptor) as number) - 1;
    this.#missing.set(acceptor, missing);
    if (missing === 0 && !this.#lost.has(acceptor)) this.#created.add(acceptor);
  }

  /** Quorums of both kinds, and full acceptors that rule U can count on: witnesses alone would stop after K slots (§10). */
  get #isEnough(): boolean {
    const full = this.#quorums.full.filter((acceptor) => this.#created.has(acceptor));
    const canServe =
      this.#quorums.hasReadQuorum(this.#created) && this.#quorums.hasWriteQuorum(this.#created);
    return canServe && this.#quorums.meetsEveryReadQuorum(new Set(full));
  }

  #conclude(): void {
    const created = this.#created;
    const all = created.size === this.#quorums.acceptors.length;
    const settled = created.size + this.#lost.size === this.#quorums.acceptors.length;
    if (all || (this.#isEnough && (settled || this.#hurried))) {
      this.#over = true;
      this.#effects.push({ effect: "founded", on: [...created] });
    } else if (settled) {
      this.#over = true;
      this.#effects.push({ effect: "cannotFound", lost: [...this.#lost] });
    }
  }
}
