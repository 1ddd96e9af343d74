/**
 * A session has one outstanding command (PROTOCOL §6), so concurrent sends each take a session of their
 * own from a pool that grows as far as it is needed.
 */
import { randomUUID } from "node:crypto";
import { OutcomeUnknown, Unavailable } from "../errors.ts";
import type { SessionAnswer, SessionRequest } from "../wire.ts";
import type { Batcher } from "./batch.ts";
import { Expectation } from "./expectation.ts";

/** A machine remembers 16,384 sessions: sixty-four busy clients at once. */
const SESSIONS_MAX = 256;

/** In the hands of whoever sends: nobody else uses it meanwhile. */
export interface Session {
  readonly id: string;
  /** The last one used. Gaps are harmless, repetition with another command is not. */
  sequence: number;
}

export class SessionPool {
  readonly #openings: Batcher;
  readonly #deadlineMs: number;
  /** The one used last is used next, so that those not needed grow old together. */
  #free: Session[] = [];
  #waiters: Expectation<Session>[] = [];
  #opening = 0;
  #taken = 0;

  constructor(openings: Batcher, deadlineMs: number) {
    this.#openings = openings;
    this.#deadlineMs = deadlineMs;
  }

  /** @throws Unavailable at the deadline, or why no session can be opened. */
  async take(deadlineMs: number): Promise<Session> {
    const free = this.#free.pop();
    if (free !== undefined) {
      this.#taken++;
      return free;
    }
    const late = () => new Unavailable("unavailable", `no session within ${deadlineMs} ms; nothing was sent`);
    const waiter = new Expectation<Session>(deadlineMs, late);
    this.#waiters.push(waiter);
    this.#grow();
    return waiter.promise;
  }

  /** The command has a definite answer. */
  release(session: Session): void {
    this.#taken--;
    this.#offer(session);
  }

  /** The command has none: with another one sent in this session, nobody could ask for its outcome again. */
  drop(): void {
    this.#taken--;
    this.#grow();
  }

  /** The machine has forgotten a session: it forgets by age, and those that lie idle here are older. */
  dropForgotten(): void {
    this.#free = [];
    this.drop();
  }

  #offer(session: Session): void {
    const waiter = this.#nextWaiter();
    if (waiter === undefined) this.#free.push(session);
    else {
      this.#taken++;
      waiter.resolve(session);
    }
  }

  #nextWaiter(): Expectation<Session> | undefined {
    this.#waiters = this.#waiters.filter(({ isSettled }) => !isSettled);
    return this.#waiters.shift();
  }

  #grow(): void {
    const size = () => this.#opening + this.#taken + this.#free.length;
    while (this.#opening < this.#waiters.length && size() < SESSIONS_MAX) this.#open();
  }

  async #open(): Promise<void> {
    this.#opening++;
    try {
      const request: SessionRequest = { nonce: randomUUID() };
      const { session } = (await this.#openings.add(
        JSON.stringify(request),
        this.#deadlineMs,
      )) as SessionAnswer;
      this.#opening--;
      this.#offer({ id: session, sequence: 0 });
    } catch (error) {
      this.#opening--;
      this.#nextWaiter()?.reject(error instanceof OutcomeUnknown ? notOpened(error) : (error as Error));
      this.#grow();
    }
  }
}

/** Whether a session was opened may be unknown; that no command was sent in it is not. */
function notOpened(cause: OutcomeUnknown): Unavailable {
  return new Unavailable("unavailable", `no session could be opened (${cause.message})`, { cause });
}
