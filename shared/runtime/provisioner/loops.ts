/** What a provisioner's process does all the time. In a function, the platform does it instead. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Message, Queue } from "../../provision/queue.ts";

type Report = (error: unknown) => void;

/** Messages handled at once; one that hangs holds up no more than these. */
const BATCH = 10;
const WAIT_MS = 1_000;
/** The queue cannot be used: a full disk, or no right. */
const TROUBLE_MS = 1_000;

/**
 * Handles what comes until it is stopped; resolves when nothing is under way any more. What fails stays in the queue,
 * comes again, and is a dead letter in the end.
 */
export async function serveQueue(
  queue: Queue,
  handle: (body: string) => Promise<void>,
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  const handleOne = async ({ body, receipt }: Message): Promise<void> => {
    try {
      await handle(body);
      await queue.delete(receipt);
    } catch (error) {
      report(error);
    }
  };
  while (!signal.aborted) {
    try {
      await Promise.all((await queue.receive(BATCH, WAIT_MS, signal)).map(handleOne));
    } catch (error) {
      report(error);
      await pause(TROUBLE_MS, signal);
    }
  }
}

/** Does it again and again, one after another; resolves when it is stopped and the last one is over. */
export async function repeat(
  everyMs: number,
  act: () => Promise<void>,
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await act().catch(report);
    await pause(everyMs, signal);
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  // Aborting it rejects, which ends the pause as well.
  await sleep(ms, undefined, { signal }).catch(() => {});
}
