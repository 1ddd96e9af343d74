/**
 * Messages to clients other than the one that sent the command: the talk's second response
 * ("To Bob: $100 received from Alice"). Part of the replicated state; read by cursor, so a reader resumes.
 */

import type { FrozenInboxes } from "./frozen.ts";

/** Messages kept for one client; the oldest are forgotten first, at the same slot on every replica. */
export const INBOX_MESSAGES_MAX = 1_000;
/** Clients with an inbox; the one written to least recently is forgotten first. */
export const INBOXES_MAX = 10_000;

/** `cursor` counts a machine's messages from 1; `message` is JSON text. */
export interface Message {
  readonly cursor: number;
  readonly message: string;
}

export class Inboxes {
  readonly #inboxes = new Map<string, Message[]>();
  #cursor = 0;

  deliver(client: string, message: string): void {
    const inbox = this.#inboxes.get(client) ?? [];
    inbox.push({ cursor: ++this.#cursor, message });
    if (inbox.length > INBOX_MESSAGES_MAX) inbox.shift();
    this.#inboxes.delete(client);
    this.#inboxes.set(client, inbox);
    if (this.#inboxes.size > INBOXES_MAX) this.#inboxes.delete(this.#inboxes.keys().next().value as string);
  }

  /** The messages to `client` with a cursor above `after`, oldest first. */
  read(client: string, after: number): readonly Message[] {
    return (this.#inboxes.get(client) ?? []).filter((message) => message.cursor > after);
  }

  freeze(): FrozenInboxes {
    return { cursor: this.#cursor, inboxes: [...this.#inboxes] };
  }

  static thaw({ cursor, inboxes }: FrozenInboxes): Inboxes {
    const thawed = new Inboxes();
    thawed.#cursor = cursor;
    for (const [client, messages] of inboxes) thawed.#inboxes.set(client, [...messages]);
    return thawed;
  }
}
