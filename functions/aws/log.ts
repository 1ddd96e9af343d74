/** The same JSON lines as every part's, written before the function can be frozen. */
import { type Logger, pino } from "pino";

export function functionLog(part: string): Logger {
  const base = { part, deployment: process.env.THESEUS_DEPLOYMENT };
  return pino({ base, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination({ fd: 1, sync: true }));
}

/** What a function made once and keeps while it is warm; a failure is not kept. */
export function once<Result>(make: () => Promise<Result>): () => Promise<Result> {
  let made: Promise<Result> | undefined;
  return () => {
    made ??= make().catch((error: unknown) => {
      made = undefined;
      throw error;
    });
    return made;
  };
}
