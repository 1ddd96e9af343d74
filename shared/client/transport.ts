/**
 * A request, carried until it has a definite answer: to the machine's leader, through failover, until a
 * deadline. Never executed (refused, redirected, no connection) is always tried again; an unknown outcome
 * only where repeating the very same request is harmless.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { backoffMs } from "../backoff.ts";
import { OutcomeUnknown, type TheseusError, Unavailable } from "../errors.ts";
import { Addresses, type Origins } from "./addresses.ts";
import { type Carried, problemIn } from "./answers.ts";
import { type Answer, Exchange, ExchangeFailed, type Outgoing, type Patience } from "./exchange.ts";

/**
 * How long a silent server is waited for before the same request goes elsewhere; doubled with each unknown
 * outcome, since a server that is only slow must not be buried under repetitions.
 */
const PATIENCE_MS = 500;

/** Only commands can be executed once too often: reads change nothing, and a nonce opens one session. */
const COMMANDS = /\/commands(\?|$)/;

export interface Call {
  /** `name/id`: whose leader is wanted; "" when any server will do. */
  readonly machine: string;
  readonly request: Outgoing;
  readonly deadlineMs: number;
  /** Whether executing the same request twice does no more than once. */
  mayRepeat(): boolean;
  readonly signal?: AbortSignal | undefined;
}

type Outcome =
  | { readonly outcome: "answered"; readonly answer: Answer }
  | { readonly outcome: "refused"; readonly why: string; readonly leader?: string | undefined }
  | { readonly outcome: "unknown"; readonly why: string; readonly answer?: Answer };

export class Transport {
  readonly #addresses: Addresses;
  readonly #exchange = new Exchange();
  readonly #closed = new AbortController();

  constructor(origins: Origins) {
    this.#addresses = new Addresses(origins);
  }

  /** Aborted when the transport is closed. */
  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  /**
   * The definite answer, or a server's own problem that says "unknown" of what may not be repeated.
   * @throws Unavailable when it was not executed by the deadline; OutcomeUnknown when it may have been.
   */
  async call(call: Call): Promise<Carried> {
    const { machine } = call;
    const deadline = performance.now() + call.deadlineMs;
    const signal = call.signal === undefined ? this.closed : AbortSignal.any([this.closed, call.signal]);
    let unknowns = 0;
    let wasRedirected = false;
    for (let attempt = 1; ; attempt++) {
      const address = this.#addresses.pick(machine);
      const patience = {
        deadlineMs: deadline - performance.now(),
        patienceMs: PATIENCE_MS * 2 ** unknowns,
        giveUp: call.mayRepeat,
      };
      const outcome = await this.#attempt(call, address, patience, signal);
      if (outcome.outcome === "answered")
        return { ...outcome.answer, isInDoubt: unknowns > 0 && COMMANDS.test(call.request.path) };
      if (outcome.outcome === "unknown" && !call.mayRepeat()) {
        if (outcome.answer !== undefined) return outcome.answer;
        throw gaveUp(call, outcome.why, true);
      }
      if (outcome.outcome === "unknown") unknowns++;
      // Two servers that name each other must not be asked in a tight circle.
      const goesOn: boolean = outcome.outcome === "refused" && outcome.leader !== undefined && !wasRedirected;
      wasRedirected = goesOn;
      const waitMs = goesOn ? 0 : backoffMs(attempt, Math.random);
      if (signal.aborted || performance.now() + waitMs >= deadline)
        throw gaveUp(call, outcome.why, unknowns > 0);
      await sleep(waitMs, undefined, { signal }).catch(() => {});
    }
  }

  /** Everything under way ends, its outcome being unknown. */
  close(): void {
    this.#closed.abort();
    this.#exchange.close();
  }

  async #attempt(
    { machine, request, mayRepeat }: Call,
    address: string | undefined,
    patience: Patience,
    signal: AbortSignal,
  ): Promise<Outcome> {
    if (address === undefined) return { outcome: "refused", why: "no server is known" };
    let outcome: Outcome;
    try {
      const connection = mayRepeat() ? "kept" : "own";
      outcome = judge(await this.#exchange.run(address, request, patience, signal, connection));
    } catch (error) {
      if (!(error instanceof ExchangeFailed)) throw error;
      outcome = { outcome: error.neverSent ? "refused" : "unknown", why: `${address}: ${error.message}` };
    }
    this.#remember(machine, address, outcome);
    return outcome;
  }

  #remember(machine: string, address: string, outcome: Outcome): void {
    if (outcome.outcome === "answered") this.#addresses.answered(machine, address);
    else this.#addresses.failed(machine, address);
    const leader = leaderIn(outcome);
    if (leader !== undefined) this.#addresses.redirected(machine, leader);
  }
}

/** A refusal may name the leader; an answer may, when it came by way of somebody else. */
function leaderIn(outcome: Outcome): string | undefined {
  if (outcome.outcome === "refused") return outcome.leader;
  const named = outcome.answer?.headers["theseus-leader"];
  return typeof named === "string" ? named : undefined;
}

/** Only our own problem says "never executed": a 503 of some balancer in between says nothing. */
function judge(answer: Answer): Outcome {
  if (answer.status !== 421 && answer.status < 500) return { outcome: "answered", answer };
  const problem = problemIn(answer);
  const why = problem?.detail ?? `HTTP status ${answer.status}`;
  const isRefusal = answer.status === 421 || problem?.code === "unavailable";
  if (isRefusal) return { outcome: "refused", why, leader: problem?.leader };
  return problem === undefined ? { outcome: "unknown", why } : { outcome: "unknown", why, answer };
}

/** A read that was answered too late changed nothing: there is nothing to be unsure of. */
function gaveUp({ request }: Call, why: string, mayBeExecuted: boolean): TheseusError {
  const isRead = request.method === "GET" || /\/queries\/[^/]*$/.test(request.path.split("?")[0] ?? "");
  return mayBeExecuted && !isRead
    ? new OutcomeUnknown("outcome_unknown", `no definite answer; it may have been executed (${why})`)
    : new Unavailable("unavailable", `not executed; try again later (${why})`);
}
