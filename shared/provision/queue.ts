/**
 * The port of the queue that wakes the provisioner. At least once and in any order: a message that was received and not
 * deleted in time is received again, by anybody; one that was received too often is set aside as a dead letter, so that
 * what cannot be carried out holds nothing else up.
 */
export interface Message {
  readonly body: string;
  /** Names this receipt of it. */
  readonly receipt: string;
}

/** A queue is made with these; with SQS they are the queue's attributes. */
export interface QueueOptions {
  /** For so long nobody else receives a message that was received. */
  readonly visibilityMs: number;
  /** Received so often and not deleted, it is a dead letter. */
  readonly receivesMax: number;
}

export interface Queue {
  /**
   * Kept for good when it resolves. `body`: not empty, and without control characters, as JSON is. `delayMs`: nobody
   * receives it before; SQS allows 15 minutes.
   */
  send(body: string, delayMs?: number): Promise<void>;
  /** Up to `max` messages; waits up to `waitMs` for the first, and no longer once `signal` is aborted. */
  receive(max: number, waitMs: number, signal?: AbortSignal): Promise<readonly Message[]>;
  /** By the latest receipt of a message it is gone for good; an older one may do nothing. */
  delete(receipt: string): Promise<void>;
  close(): Promise<void>;
}
