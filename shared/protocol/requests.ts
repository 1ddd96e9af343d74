/**
 * Requests under way: what was asked of which acceptor, and what to do with each outcome.
 *
 * An unknown outcome is not an answer. The verb stays outstanding and the identical one is asked again
 * when the driver's back-off has passed (PROTOCOL §1), unless nobody wants it any more.
 */
import type { Outcome, Verb } from "./acceptor.ts";
import type { AcceptorId } from "./quorum.ts";

export type RequestId = number & { readonly brand: "RequestId" };

/** Say the verbs to the acceptor and bring back one outcome for each, in order. */
export interface Ask {
  readonly effect: "ask";
  readonly request: RequestId;
  readonly of: AcceptorId;
  readonly verbs: readonly Verb[];
}

/** Bring back `resend` for this request after a back-off. */
export interface Retry {
  readonly effect: "retry";
  readonly request: RequestId;
  /** How often it was asked so far: the back-off grows with it. */
  readonly attempt: number;
}

/** What the driver brings back: an outcome for each verb that was asked, or the end of a back-off. */
export type RequestInput =
  | { readonly input: "outcome"; readonly request: RequestId; readonly outcomes: readonly Outcome[] }
  | { readonly input: "resend"; readonly request: RequestId };

/** Told once for each verb, with an outcome that is not unknown. */
export type Settle = (verb: Verb, outcome: Exclude<Outcome, { outcome: "unknown" }>) => void;

/** How often is asked what another acceptor could answer as well. */
export const TRIES_MAX = 6;

/** `wanted` for such a request: after the last try nobody wants it any more, and `giveUp` is called. */
export function patience(giveUp: () => void): () => boolean {
  let tries = 1;
  return () => {
    if (tries++ < TRIES_MAX) return true;
    giveUp();
    return false;
  };
}

interface Request {
  readonly of: AcceptorId;
  readonly wanted: () => boolean;
  readonly settle: Settle;
  verbs: readonly Verb[];
  attempts: number;
}

export class Requests {
  readonly #emit: (effect: Ask | Retry) => void;
  readonly #requests = new Map<RequestId, Request>();
  /** What waits until an acceptor has done something else. */
  readonly #held = new Map<AcceptorId, readonly RequestId[]>();
  #last = 0;
  #closed = false;

  constructor(emit: (effect: Ask | Retry) => void) {
    this.#emit = emit;
  }

  ask(of: AcceptorId, verbs: readonly Verb[], settle: Settle, wanted: () => boolean = () => true): void {
    const request = ++this.#last as RequestId;
    this.#requests.set(request, { of, verbs, settle, wanted, attempts: 1 });
    const held = this.#held.get(of);
    if (held === undefined) this.#emit({ effect: "ask", request, of, verbs });
    else this.#held.set(of, [...held.filter((each) => this.#isWanted(each)), request]);
  }

  /** What is asked of this acceptor from now on waits until it is released. */
  hold(of: AcceptorId): void {
    this.#held.set(of, []);
  }

  release(of: AcceptorId): void {
    const held = this.#held.get(of) ?? [];
    this.#held.delete(of);
    for (const request of held) this.resend(request);
  }

  input(input: RequestInput): void {
    if (input.input === "outcome") this.outcome(input.request, input.outcomes);
    else this.resend(input.request);
  }

  /** A second answer to one request changes nothing: it was settled by the first. */
  outcome(id: RequestId, outcomes: readonly Outcome[]): void {
    const request = this.#requests.get(id);
    if (request === undefined) return;
    this.#requests.delete(id);
    const { verbs } = request;
    request.verbs = verbs.filter((_, index) => outcomes[index]?.outcome === "unknown");
    if (request.verbs.length > 0) {
      this.#requests.set(id, request);
      this.#emit({ effect: "retry", request: id, attempt: request.attempts++ });
    }
    verbs.forEach((verb, index) => {
      const outcome = outcomes[index];
      if (!this.#closed && outcome !== undefined && outcome.outcome !== "unknown")
        request.settle(verb, outcome);
    });
  }

  /** Nobody is told anything from here on. */
  close(): void {
    this.#closed = true;
    this.#requests.clear();
  }

  resend(id: RequestId): void {
    const request = this.#requests.get(id);
    if (request !== undefined && this.#isWanted(id))
      this.#emit({ effect: "ask", request: id, of: request.of, verbs: request.verbs });
  }

  /** What nobody wants any more is forgotten. */
  #isWanted(id: RequestId): boolean {
    if (this.#requests.get(id)?.wanted() === true) return true;
    this.#requests.delete(id);
    return false;
  }
}
