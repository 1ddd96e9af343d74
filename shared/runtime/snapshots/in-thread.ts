/** Starts the thread that takes a snapshot, and sees that it ends. */
import { Worker } from "node:worker_threads";
import type { SnapshotMessage, SnapshotOrder } from "./snapshot.worker.ts";
import type { Taken } from "./take-snapshot.ts";

/** No table answered it for so long, though it asks again: it hangs, or is freezing more than there is memory for. */
const SILENT_MS_MAX = 60_000;

const EXTENSION = import.meta.url.endsWith(".ts") ? "ts" : "js";
const WORKER = new URL(`./snapshot.worker.${EXTENSION}`, import.meta.url);

/** @throws Error with what went wrong in the thread; when it was silent for too long; and when the signal stopped it. */
export function takeInThread(order: SnapshotOrder, signal: AbortSignal): Promise<Taken> {
  return new Promise((resolve, reject) => {
    let taken: Taken | undefined;
    let trouble: unknown = new Error(`the thread that took a snapshot of ${order.machine} ended without one`);
    const worker = new Worker(WORKER, { workerData: order });
    const stop = (why: unknown): void => {
      trouble = why;
      void worker.terminate();
    };
    const onAbort = (): void => stop(signal.reason);
    const hangs = () => stop(new Error(`the thread that took a snapshot of ${order.machine} hung`));
    const silence = setTimeout(hangs, SILENT_MS_MAX);
    signal.addEventListener("abort", onAbort);
    worker.on("message", (message: SnapshotMessage) => {
      silence.refresh();
      if (message !== "progress") taken = message;
    });
    worker.on("error", (error) => {
      trouble = error;
    });
    worker.on("exit", () => {
      clearTimeout(silence);
      signal.removeEventListener("abort", onAbort);
      if (taken === undefined) reject(trouble);
      else resolve(taken);
    });
    if (signal.aborted) onAbort();
  });
}
