/**
 * Errors whose class names the caller's next move. On the wire they are RFC 9457 problem documents with
 * `code`, `retryable` and, where known, `leader` (http).
 *
 *   Invalid         the request is wrong and always will be: change it.
 *   Forbidden       the caller may not do this.
 *   Refused         not executed by this request, and repeating it will not help: `apply` threw, or a later
 *                   sequence was executed (what an earlier attempt came to is then no longer known).
 *   Unavailable     never executed: try again later, or at `leader`.
 *   OutcomeUnknown  it may have been executed: ask again with the same session and sequence (or idempotency
 *                   key); where the session is forgotten (unknown_session), nobody knows any more.
 *   VersionSkew     the other side speaks another version: upgrade one of them.
 */
export type ErrorCode =
  | "invalid_request"
  | "invalid_command"
  | "too_large"
  | "unknown_machine"
  | "unknown_query"
  | "not_found"
  | "trimmed"
  | "forbidden"
  | "stale_sequence"
  | "apply_failed"
  | "not_endorsed"
  | "query_failed"
  | "not_leader"
  | "unavailable"
  | "outcome_unknown"
  | "unknown_session"
  | "version_skew";

export interface ErrorOptions {
  /** The address of whoever leads the machine, when the error knows it. */
  readonly leader?: string | undefined;
  /** The slot that the command took, when it took one. */
  readonly slot?: number | undefined;
  /** The last slot that a snapshot took the place of. */
  readonly trimmedThrough?: number | undefined;
  readonly cause?: unknown;
}

export abstract class TheseusError extends Error {
  /** Stable, for programs; the message is for people and names the next move. */
  readonly code: ErrorCode;
  abstract readonly retryable: boolean;
  readonly leader: string | undefined;
  readonly slot: number | undefined;
  readonly trimmedThrough: number | undefined;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.leader = options.leader;
    this.slot = options.slot;
    this.trimmedThrough = options.trimmedThrough;
  }
}

export class Invalid extends TheseusError {
  readonly retryable = false;
}
export class Forbidden extends TheseusError {
  readonly retryable = false;
}
export class Refused extends TheseusError {
  readonly retryable = false;
}
export class Unavailable extends TheseusError {
  readonly retryable = true;
}
/** Retryable only with the same session and sequence (or idempotency key): otherwise it might happen twice. */
export class OutcomeUnknown extends TheseusError {
  readonly retryable: boolean = this.code !== "unknown_session";
}
export class VersionSkew extends TheseusError {
  readonly retryable = false;
}
