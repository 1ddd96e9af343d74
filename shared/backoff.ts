/**
 * Randomised exponential back-off: rivals that collided once must not collide again in step, and a table
 * that is throttled or restarting must not be hammered.
 */
export const BACKOFF_MS_MIN = 5;
export const BACKOFF_MS_MAX = 1_000;

/** Milliseconds before try number `attempt` (from 1): between half and all of a doubling delay. */
export function backoffMs(attempt: number, random: () => number): number {
  const ceiling = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** Math.min(attempt, 20));
  return ceiling * (0.5 + 0.5 * random());
}
