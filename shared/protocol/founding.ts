/**
 * Founding a configuration: `create` makes its cells, and the machine's Head, on every acceptor, before
 * the configuration is active (PROTOCOL §7 step 1, §9). Only then may a missing cell be a refusal for ever.
 *
 * Any process may do it, and several at once: creating what exists changes nothing.
 */
import { HEAD, type Outcome, type Verb } from "./acceptor.ts";
import type { Configuration } from "./configuration.ts";
import { type AcceptorId, QuorumSystem } from "./quorum.ts";
import { type Ask, type RequestId, Requests, type Retry } from "./requests.ts";
import { allLanes, type Geometry } from "./slot.ts";

export type FoundingInput =
  | { readonly input: "found" }
  | { readonly input: "outcome"; readonly request: RequestId; readonly outcomes: readonly Outcome[] }
  | { readonly input: "resend"; readonly request: RequestId }
  /** Waited long enough for all: quorums of both kinds will do, and the rest refuse until replaced. */
  | { readonly input: "hurry" };

export type FoundingEffect =
  | Ask
  | Retry
  | { readonly effect: "founded"; readonly on: readonly AcceptorId[] }
  | { readonly effect: "cannotFound"; readonly lost: readonly AcceptorId[] };

/** What makes one acceptor part of a configuration. A witness has no Head. */
export function foundingVerbs(
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

/** Quorums of both kinds, and full acceptors that rule U can count on: witnesses alone would stop after K slots (§10). */
function canServe(quorums: QuorumSystem, by: ReadonlySet<AcceptorId>): boolean {
  const full = quorums.full.filter((acceptor) => by.has(acceptor));
  const isQuorum = quorums.hasReadQuorum(by) && quorums.hasWriteQuorum(by);
  return isQuorum && quorums.meetsEveryReadQuorum(new Set(full));
}

export interface FoundingInPassing {
  readonly configuration: Configuration;
  readonly quorums: QuorumSystem;
  readonly geometry: Geometry;
  readonly requests: Requests;
  readonly lose: (acceptor: AcceptorId) => void;
}

/**
 * A leader that walks forward founds what it is about to lead (§8), and goes on once nobody has to be asked again
 * who is needed: whoever did not answer refuses until it is asked by the next one.
 */
export function foundInPassing(
  { configuration, quorums, geometry, requests, lose }: FoundingInPassing,
  acceptors: readonly AcceptorId[],
  done: () => void,
): void {
  const created = new Set<AcceptorId>();
  let unsettled = acceptors.length;
  const settle = (): void => {
    if (--unsettled === 0) done();
  };
  for (const acceptor of acceptors) {
    const outcomes: Outcome[] = [];
    const verbs = foundingVerbs(configuration, quorums, geometry, acceptor);
    const onCreated = (outcome: Outcome): void => {
      if (outcomes.push(outcome) < verbs.length) return;
      if (outcomes.every((each) => each.outcome === "applied")) created.add(acceptor);
      else lose(acceptor);
      settle();
    };
    const isNeeded = (): boolean => {
      if (!canServe(quorums, created)) return true;
      settle();
      return false;
    };
    requests.ask(acceptor, verbs, (_, outcome) => onCreated(outcome), isNeeded);
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

  #conclude(): void {
    const created = this.#created;
    const all = created.size === this.#quorums.acceptors.length;
    const settled = created.size + this.#lost.size === this.#quorums.acceptors.length;
    if (all || (canServe(this.#quorums, created) && (settled || this.#hurried))) {
      this.#over = true;
      this.#effects.push({ effect: "founded", on: [...created] });
    } else if (settled) {
      this.#over = true;
      this.#effects.push({ effect: "cannotFound", lost: [...this.#lost] });
    }
  }
}
