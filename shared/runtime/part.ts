/**
 * One part of a deployment as an operating-system process: it logs one JSON line per event, says when it is
 * ready and where, and stops cleanly on SIGTERM, SIGINT, or when the process that started it is gone.
 */
import { type Logger, pino } from "pino";

export interface Running {
  readonly url: string;
  close(): Promise<void>;
}

/** Runs until it is told to stop; exits 1, with one clear line, when it cannot start. */
export async function runPart(part: string, start: (log: Logger) => Promise<Running>): Promise<void> {
  const log = pino({ base: { part, pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime });
  try {
    const running = await start(log);
    stopWhenTold(log, running);
    log.info({ event: "ready", url: running.url }, `${part} is ready at ${running.url}`);
  } catch (error) {
    log.fatal({ event: "failed", err: error }, error instanceof Error ? error.message : String(error));
    process.exit(1);
  }
}

function stopWhenTold(log: Logger, running: Running): void {
  let isStopping = false;
  const stop = (why: string): void => {
    if (isStopping) return;
    isStopping = true;
    log.info({ event: "stopping", why }, `stopping: ${why}`);
    running.close().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ event: "failed", err: error }, "could not stop cleanly");
        process.exit(1);
      },
    );
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  process.on("disconnect", () => stop("the process that started this one is gone"));
}
