/**
 * A fair lock with fencing tokens. Whoever asks first is served first; whoever loses the lock without
 * noticing (a long pause, a broken network) is kept out by its old token: what the lock protects accepts
 * a request only with a token at least as large as any it has seen.
 *
 * A lease ends by the log's time, and the log has time only when a command comes: an expired holder loses
 * the lock to the next command of anybody. A client that waits asks again, or reads its inbox.
 */
import { defineMachine, type Refusal, refuse } from "theseus";
import { z } from "zod";

const client = z.string().min(1).max(100);
const leaseMs = z.int().positive().max(3_600_000).default(30_000);
const token = z.int().positive();

/** Refuses a new waiter rather than let the state grow without end. */
const WAITING_MAX = 1_000;

interface Holder {
  readonly client: string;
  readonly token: number;
  /** Milliseconds since 1970, as `context.time`. */
  readonly expires: number;
}

interface Lock {
  holder: Holder | null;
  /** Those who wait, first come first; the lease of each begins when its turn comes. */
  queue: { readonly client: string; readonly leaseMs: number }[];
  lastToken: number;
}

interface Grant {
  readonly token: number;
  readonly expires: number;
}

type Notify = (client: string, grant: Grant) => void;

export const lock = defineMachine({
  name: "lock",
  version: 1,
  command: z.discriminatedUnion("type", [
    z.object({ type: z.literal("acquire"), client, leaseMs }),
    z.object({ type: z.literal("renew"), token, leaseMs }),
    z.object({ type: z.literal("release"), token }),
  ]),
  init: (): Lock => ({ holder: null, queue: [], lastToken: 0 }),
  apply(lock, command, { time, notify }) {
    if (lock.holder !== null && lock.holder.expires <= time) pass(lock, time, notify);
    switch (command.type) {
      case "acquire":
        return acquire(lock, command.client, command.leaseMs, time);
      case "renew":
        if (lock.holder?.token !== command.token) return refuse("Not The Holder");
        lock.holder = { ...lock.holder, expires: time + command.leaseMs };
        return grantOf(lock.holder);
      case "release":
        if (lock.holder?.token !== command.token) return refuse("Not The Holder");
        pass(lock, time, notify);
        return "Released";
    }
  },
  queries: {
    holder: ({ holder }) => holder,
    queue: ({ queue }) => queue.map((waiting) => waiting.client),
  },
});

/** The client's token, or its place in the queue from 1. Asking twice is asking once. */
function acquire(
  lock: Lock,
  client: string,
  leaseMs: number,
  time: number,
): Grant | { readonly position: number } | Refusal<"Queue Full"> {
  if (lock.holder === null) return grant(lock, client, leaseMs, time);
  if (lock.holder.client === client) return grantOf(lock.holder);
  let index = lock.queue.findIndex((waiting) => waiting.client === client);
  if (index < 0) {
    if (lock.queue.length >= WAITING_MAX) return refuse("Queue Full");
    index = lock.queue.push({ client, leaseMs }) - 1;
  }
  return { position: index + 1 };
}

/** To the first in the queue, who is told; to nobody when nobody waits. */
function pass(lock: Lock, time: number, notify: Notify): void {
  const next = lock.queue.shift();
  lock.holder = null;
  if (next !== undefined) notify(next.client, grant(lock, next.client, next.leaseMs, time));
}

/** Tokens only grow: 2^53 of them outlast any lock. */
function grant(lock: Lock, client: string, leaseMs: number, time: number): Grant {
  lock.holder = { client, token: ++lock.lastToken, expires: time + leaseMs };
  return grantOf(lock.holder);
}

function grantOf({ token, expires }: Holder): Grant {
  return { token, expires };
}
