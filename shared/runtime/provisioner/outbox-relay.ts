/** From the registry's outbox into the queue: at least once, by whoever has something to say. */
import type { OutboxRequest } from "../../protocol/outbox.ts";
import type { Queue } from "../../provision/queue.ts";
import { messageText } from "./message.ts";

export interface RelayOptions {
  readonly queue: Queue;
  /** How long a retired table is left alone (PROTOCOL §11): until no request of a deposed leader can reach it any more. */
  readonly drainMs: number;
}

export async function send(
  { queue, drainMs }: RelayOptions,
  requests: Iterable<OutboxRequest>,
): Promise<void> {
  for (const { request, type } of requests)
    await queue.send(messageText({ request }), type === "deleteAcceptor" ? drainMs : 0);
}

/** Sends what this process has not sent yet. What it failed to send it sends with the next command, or the sweeper does. */
export class OutboxRelay {
  readonly #options: RelayOptions;
  #sent: ReadonlySet<string> = new Set();
  #sending = Promise.resolve();

  constructor(options: RelayOptions) {
    this.#options = options;
  }

  relay(outbox: ReadonlyMap<string, OutboxRequest>): Promise<void> {
    this.#sending = this.#sending.catch(() => {}).then(() => this.#send(outbox));
    return this.#sending;
  }

  async #send(outbox: ReadonlyMap<string, OutboxRequest>): Promise<void> {
    const requests = [...outbox.values()];
    await send(
      this.#options,
      requests.filter(({ request }) => !this.#sent.has(request)),
    );
    this.#sent = new Set(requests.map(({ request }) => request));
  }
}
