/**
 * What an error says of a command. Once an attempt at it had an unknown outcome it may have been executed, or may
 * be yet: a later attempt that was refused says so of itself alone, and only the machine's own word ends the doubt.
 */
import { type ErrorCode, OutcomeUnknown, TheseusError, Unavailable } from "../errors.ts";

/** The machine's own word on this very command. */
const WORD_OF_MACHINE: ReadonlySet<ErrorCode> = new Set(["apply_failed", "stale_sequence"]);

/** The error of a command whose earlier attempt may have been executed. */
export function afterUnknown(error: Error): TheseusError {
  if (error instanceof OutcomeUnknown) return error;
  if (error instanceof TheseusError && WORD_OF_MACHINE.has(error.code)) return error;
  const detail = `an earlier attempt may have been executed; the last one was not answered (${error.message})`;
  return new OutcomeUnknown("outcome_unknown", detail, { cause: error });
}

/** The error of a command no earlier attempt of which can have been executed: a forgotten session executes nothing. */
export function withoutDoubt(error: Error): Error {
  if (!(error instanceof TheseusError) || error.code !== "unknown_session") return error;
  return new Unavailable("unknown_session", "the session is forgotten; the command was not executed", {
    cause: error,
  });
}
