/**
 * One part of a deployment as an operating-system process: it logs one JSON line per event, says when it is
 * ready and where, and stops cleanly on SIGTERM, SIGINT, or when the process that started it is gone.
 */
import { type Logger, pino } from "pino";

export interface Running {
  readonly url: string;
  close(): Promise<void>;
}

/**
 * Runs until it is told to stop; exits 1, with one clear line, when it cannot start. `stopping`: aborted when it is told
 * to stop, which whoever waits for something while it starts has to see.
 */
export async function runPart(
  part: string,
  start: (log: Logger, stopping: AbortSignal) => Promise<Running>,
): Promise<void> {
  // Whoever read the log is gone: there is nobody to tell, and a line that waits to be written must not keep this alive.
  process.stdout.on("error", () => process.exit(1));
  const base = { part, pid: process.pid };
  const log = pino({ base, timestamp: pino.stdTimeFunctions.isoTime }, process.stdout);
  const told = Promise.withResolvers<string>();
  const stopping = new AbortController();
  listen((why) => {
    told.resolve(why);
    stopping.abort(new Error(why));
  });
  try {
    const running = await start(log, stopping.signal);
    log.info({ event: "ready", url: running.url }, `${part} is ready at ${running.url}`);
    const why = await told.promise;
    log.info({ event: "stopping", why }, `stopping: ${why}`);
    await running.close();
    process.exit(0);
  } catch (error) {
    if (stopping.signal.aborted && error === stopping.signal.reason) {
      log.info({ event: "stopping", why: stopping.signal.reason.message }, "stopped while it started");
      process.exit(0);
    }
    log.fatal({ event: "failed", err: error }, error instanceof Error ? error.message : String(error));
    process.exit(1);
  }
}

/** From the first moment: a parent that dies while this process starts must not leave it behind. */
function listen(stop: (why: string) => void): void {
  const isChild = process.connected;
  process.on("SIGTERM", () => stop("SIGTERM"));
  // Ctrl-C reaches a whole group of processes; of those the parent stops its parts itself, in their order.
  process.on("SIGINT", () => {
    if (!isChild) stop("SIGINT");
  });
  process.on("disconnect", () => stop("the process that started this one is gone"));
}
