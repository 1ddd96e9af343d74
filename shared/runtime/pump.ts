/**
 * The leader's pump: commands in, batches out. It sends at once when nothing is under way; otherwise it
 * fills the next slot for about half of the observed latency, or until the slot is full, so that a burst
 * becomes few large slots instead of many small ones that wait for each other's stragglers (TARGETS §1).
 */
import type { TheseusError } from "../errors.ts";
import { BATCH_BYTES_MAX } from "../limits.ts";
import type { Leader } from "../protocol/leader.ts";
import type { Reply } from "../protocol/session.ts";
import type { Ports } from "./ports.ts";

/** A command waiting to be proposed or executed; `command` is encoded. */
export interface Pending {
  readonly command: string;
  readonly done: (result: Reply | TheseusError) => void;
}

/** Slots under way at once: a local disk gains nothing from more, and DynamoDB little. */
const SLOTS_IN_FLIGHT_MAX = 4;
/** Commands waiting for a slot; beyond this callers are told to come back later. */
const QUEUE_MAX = 20_000;
/** Commands in one slot: keeps the execution of a slot short. */
const BATCH_COMMANDS_MAX = 1_024;
/** How much a new latency counts in the running average. */
const LATENCY_WEIGHT = 0.2;

export class Pump {
  readonly #ports: Ports;
  readonly #propose: (batch: readonly Pending[]) => void;
  #leader: Leader | undefined;
  #queue: Pending[] = [];
  #latencyMs = 1;
  #proposedAt: number[] = [];
  #lastProposedAt = Number.NEGATIVE_INFINITY;
  #timer: (() => void) | undefined;
  #isPumping = false;

  constructor(ports: Ports, propose: (batch: readonly Pending[]) => void) {
    this.#ports = ports;
    this.#propose = propose;
  }

  get size(): number {
    return this.#queue.length;
  }

  open(leader: Leader): void {
    this.#leader = leader;
    this.#proposedAt = [];
    this.#lastProposedAt = Number.NEGATIVE_INFINITY;
  }

  /** Stops, and gives back what was never proposed. */
  close(): readonly Pending[] {
    const queue = this.#queue;
    this.#queue = [];
    this.#leader = undefined;
    this.#timer?.();
    this.#timer = undefined;
    return queue;
  }

  /** These were proposed in vain, before everything that waits: they wait again, for whoever leads next. */
  putBack(pendings: readonly Pending[]): void {
    const queue = this.close();
    this.#queue = [...pendings, ...queue];
  }

  /** False: the queue is full. */
  queue(pending: Pending): boolean {
    if (this.#queue.length >= QUEUE_MAX) return false;
    this.#queue.push(pending);
    return true;
  }

  /** The oldest slot under way was executed. */
  executed(): void {
    const proposedAt = this.#proposedAt.shift();
    if (proposedAt === undefined) return;
    const latencyMs = this.#ports.elapsed() - proposedAt;
    this.#latencyMs += LATENCY_WEIGHT * (latencyMs - this.#latencyMs);
  }

  /** Proposes whatever is due; called whenever something may have become due. */
  pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    while (this.#queue.length > 0 && this.#leader?.admits === true && this.#isDue(this.#leader)) {
      const now = this.#ports.elapsed();
      this.#lastProposedAt = now;
      this.#proposedAt.push(now);
      this.#propose(this.#take());
    }
    this.#isPumping = false;
  }

  #isDue(leader: Leader): boolean {
    if (leader.inFlight === 0) return true;
    if (leader.inFlight >= SLOTS_IN_FLIGHT_MAX) return false;
    if (this.#slotIsFull()) return true;
    const waitMs = this.#lastProposedAt + this.#latencyMs / 2 - this.#ports.elapsed();
    if (waitMs <= 0) return true;
    this.#timer ??= this.#ports.after(waitMs, () => {
      this.#timer = undefined;
      this.pump();
    });
    return false;
  }

  #slotIsFull(): boolean {
    if (this.#queue.length >= BATCH_COMMANDS_MAX) return true;
    let bytes = 0;
    return this.#queue.some(({ command }) => {
      bytes += command.length;
      return bytes >= BATCH_BYTES_MAX;
    });
  }

  #take(): readonly Pending[] {
    let bytes = 0;
    let count = 0;
    for (const { command } of this.#queue) {
      bytes += Buffer.byteLength(command) + 1;
      if (count > 0 && (bytes > BATCH_BYTES_MAX || count === BATCH_COMMANDS_MAX)) break;
      count++;
    }
    return this.#queue.splice(0, count);
  }
}
