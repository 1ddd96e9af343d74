/**
 * At most once (PROTOCOL §6; invariant 10): what a machine remembers about whom it has answered.
 *
 * A session is opened by a log command and is named by that command's log position. It has one
 * outstanding command; its last sequence and reply are stored. Idempotency keys are the same promise for
 * callers without a session, kept for a window of the log only. Both are forgotten by log position, never
 * by a clock, so every replica forgets the same ones at the same slot.
 */

import type { FrozenSessions } from "./frozen.ts";
import type { Succession } from "./horizontal.ts";
import type { Slot } from "./slot.ts";
import type { Sequence, SessionId } from "./value.ts";

/** Sessions per machine: the least recently used one is forgotten when one more is opened. */
export const SESSIONS_MAX = 16_384;
/** Idempotency keys per machine: a key is good for this many keyed commands of the log. */
export const KEYS_MAX = 100_000;

/** What executing one command came to. `response` is JSON text, fixed at execution. */
export type Reply =
  | { readonly reply: "response"; readonly slot: Slot; readonly response: string; readonly refused?: true }
  /** `apply` threw; the state is as it was before. */
  | { readonly reply: "failed"; readonly slot: Slot; readonly error: string }
  | { readonly reply: "opened"; readonly slot: Slot; readonly session: SessionId }
  /** Of a reconfiguration command: what the state says after it, and why it was void if it was. */
  | {
      readonly reply: "reconfiguration";
      readonly slot: Slot;
      readonly succession: Succession;
      readonly void?: string;
    }
  /** Evicted or never opened: the outcome of this sequence is unknown, and it was not executed now. */
  | { readonly reply: "unknownSession"; readonly slot: Slot }
  /** A later sequence was executed already; this one was ignored. */
  | { readonly reply: "staleSequence"; readonly slot: Slot };

interface Session {
  readonly nonce: string;
  sequence: Sequence;
  reply: Reply | undefined;
}

export class Sessions {
  /** In order of last use: the first is the next to be forgotten. */
  readonly #sessions = new Map<SessionId, Session>();
  readonly #byNonce = new Map<string, SessionId>();
  readonly #keys = new Map<string, Reply>();

  /** A nonce that is still present gets its session again; that is a use, so it is not the next to be forgotten. */
  open(nonce: string, slot: Slot, index: number): SessionId {
    const present = this.#byNonce.get(nonce);
    if (present !== undefined) {
      this.#use(present);
      return present;
    }
    const id = `${slot}-${index}` as SessionId;
    this.#sessions.set(id, { nonce, sequence: 0 as Sequence, reply: undefined });
    this.#byNonce.set(nonce, id);
    if (this.#sessions.size > SESSIONS_MAX) this.#forgetLeastRecentlyUsed();
    return id;
  }

  /** The reply that a command of a session has coming without being executed; undefined: execute it. */
  settled(id: SessionId, sequence: Sequence, slot: Slot): Reply | undefined {
    const session = this.#sessions.get(id);
    if (session === undefined) return { reply: "unknownSession", slot };
    if (sequence > session.sequence) return undefined;
    if (sequence === session.sequence && session.reply !== undefined) return session.reply;
    return { reply: "staleSequence", slot };
  }

  remember(id: SessionId, sequence: Sequence, reply: Reply): void {
    const session = this.#use(id);
    session.sequence = sequence;
    session.reply = reply;
  }

  settledKey(key: string): Reply | undefined {
    return this.#keys.get(key);
  }

  rememberKey(key: string, reply: Reply): void {
    this.#keys.set(key, reply);
    if (this.#keys.size > KEYS_MAX) this.#keys.delete(this.#keys.keys().next().value as string);
  }

  freeze(): FrozenSessions {
    const sessions = [...this.#sessions].map(
      ([id, { nonce, sequence, reply }]) => [id, nonce, sequence, reply ?? null] as const,
    );
    return { sessions, keys: [...this.#keys] };
  }

  static thaw({ sessions, keys }: FrozenSessions): Sessions {
    const thawed = new Sessions();
    for (const [id, nonce, sequence, reply] of sessions) {
      thawed.#sessions.set(id, { nonce, sequence, reply: reply ?? undefined });
      thawed.#byNonce.set(nonce, id);
    }
    for (const [key, reply] of keys) thawed.#keys.set(key, reply);
    return thawed;
  }

  #use(id: SessionId): Session {
    const session = this.#sessions.get(id) as Session;
    this.#sessions.delete(id);
    this.#sessions.set(id, session);
    return session;
  }

  #forgetLeastRecentlyUsed(): void {
    const [id, session] = this.#sessions.entries().next().value as [SessionId, Session];
    this.#sessions.delete(id);
    this.#byNonce.delete(session.nonce);
  }
}
