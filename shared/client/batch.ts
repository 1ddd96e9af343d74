/**
 * Many small requests as few large ones: what is added in one turn of the event loop, and what queues up
 * while requests are in flight, goes out as one POST of an array. Nobody waits for company: when nothing is
 * in flight, a request leaves at once.
 */

import { backoffMs } from "../backoff.ts";
import { type ErrorCode, OutcomeUnknown, Unavailable } from "../errors.ts";
import { ELEMENTS_MAX, isProblem } from "../wire.ts";
import { type Carried, failureIn, jsonOf } from "./answers.ts";
import { afterUnknown, withoutDoubt } from "./doubt.ts";
import { Expectation } from "./expectation.ts";
import type { Transport } from "./transport.ts";

/** One on its way and one being executed keep a leader busy; more would only make batches smaller. */
const REQUESTS_IN_FLIGHT_MAX = 2;
/** Even at three bytes a character it is below the server's limit for a body. */
const CHARACTERS_MAX = 1_000_000;

/** An element that leadership ended under has no definite answer, though its request has one: it is sent again. */
const SENT_AGAIN: ReadonlySet<ErrorCode> = new Set(["not_leader", "unavailable", "outcome_unknown"]);

interface Element {
  readonly text: string;
  readonly deadline: number;
  readonly expectation: Expectation<unknown>;
  /** From then on it may be executed at any time. */
  wasSent: boolean;
  /** An attempt had an unknown outcome. */
  isInDoubt: boolean;
  attempts: number;
}

export class Batcher {
  readonly #transport: Transport;
  readonly #machine: string;
  readonly #path: string;
  readonly #queue: Element[] = [];
  #inFlight = 0;
  #isScheduled = false;

  /** What is added must be harmless to repeat: sessions by nonce, commands by session and sequence. */
  constructor(transport: Transport, machine: string, path: string) {
    this.#transport = transport;
    this.#machine = machine;
    this.#path = path;
  }

  /**
   * The element's own answer. `text` is JSON; `isInDoubt`: it was sent before, with an unknown outcome.
   * @throws OutcomeUnknown when it may have been executed; Unavailable when it was not and may be sent again,
   * if its session is forgotten (unknown_session) in another one; else the error of the element's problem.
   */
  add(text: string, deadlineMs: number, isInDoubt = false): Promise<unknown> {
    const late = () =>
      element.wasSent
        ? new OutcomeUnknown("outcome_unknown", `no answer within ${deadlineMs} ms`)
        : new Unavailable("unavailable", `could not be sent within ${deadlineMs} ms`);
    const deadline = performance.now() + deadlineMs;
    const element: Element = {
      text,
      deadline,
      expectation: new Expectation(deadlineMs, late),
      wasSent: isInDoubt,
      isInDoubt,
      attempts: 0,
    };
    this.#queue.push(element);
    this.#schedule();
    return element.expectation.promise;
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    // After the callbacks of this turn, so that all who were answered together ask again together.
    setImmediate(() => {
      this.#isScheduled = false;
      while (this.#inFlight < REQUESTS_IN_FLIGHT_MAX && this.#queue.length > 0) this.#post(this.#take());
    });
  }

  #take(): readonly Element[] {
    let characters = 0;
    let count = 0;
    for (const { text } of this.#queue.slice(0, ELEMENTS_MAX)) {
      characters += text.length;
      if (count > 0 && characters > CHARACTERS_MAX) break;
      count++;
    }
    return this.#queue.splice(0, count).filter(({ expectation }) => !expectation.isSettled);
  }

  async #post(elements: readonly Element[]): Promise<void> {
    if (elements.length === 0) return;
    for (const element of elements) element.wasSent = true;
    this.#inFlight++;
    try {
      const answer = await this.#answer(elements);
      for (const element of elements) element.isInDoubt ||= answer.isInDoubt === true;
      this.#deliver(elements, jsonOf(answer));
    } catch (error) {
      for (const element of elements) fail(element, error as Error);
    }
    this.#inFlight--;
    this.#schedule();
  }

  #answer(elements: readonly Element[]): Promise<Carried> {
    return this.#transport.call({
      machine: this.#machine,
      request: {
        method: "POST",
        path: this.#path,
        headers: { "content-type": "application/json" },
        body: `[${elements.map(({ text }) => text).join(",")}]`,
      },
      deadlineMs: Math.max(...elements.map(({ deadline }) => deadline)) - performance.now(),
      mayRepeat: () => true,
    });
  }

  #deliver(elements: readonly Element[], answers: unknown): void {
    if (!Array.isArray(answers) || answers.length !== elements.length)
      throw new OutcomeUnknown("outcome_unknown", "the server's answers do not match what was asked");
    for (const [index, element] of elements.entries()) {
      const answer: unknown = answers[index];
      if (!hasCode(answer)) element.expectation.resolve(answer);
      else if (isProblem(answer) && SENT_AGAIN.has(answer.code)) {
        element.isInDoubt ||= answer.code === "outcome_unknown";
        this.#sendAgain(element);
      } else fail(element, failureIn(answer));
    }
  }

  /** Until its deadline, which its expectation keeps. */
  #sendAgain(element: Element): void {
    setTimeout(
      () => {
        this.#queue.push(element);
        this.#schedule();
      },
      backoffMs(++element.attempts, Math.random),
    );
  }
}

function fail({ expectation, isInDoubt }: Element, error: Error): void {
  expectation.reject(isInDoubt ? afterUnknown(error) : withoutDoubt(error));
}

/** As only problems have, also those that this version does not know. */
function hasCode(answer: unknown): boolean {
  return typeof answer === "object" && answer !== null && "code" in answer;
}
