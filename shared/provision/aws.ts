/** How the queue on AWS is used. */

/** A signed request expires after five minutes, and none is under way for long; SQS delays no longer (PROTOCOL §11). */
export const AWS_DRAIN_MS = 15 * 60_000;
