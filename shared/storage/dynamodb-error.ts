/**
 * What an error of the DynamoDB client means for the table.
 *
 * gone: there is no such table, and it never comes back as the same one.
 * passing: throttled, timed out, cut off, or DynamoDB's own trouble: the outcome is unknown, and saying it again helps.
 * lasting: no right, a malformed request, a wrong key or endpoint: unknown as well, since a proxy or a half of a reply
 * may have produced it, but somebody has to be told.
 */
export type Meaning = "gone" | "passing" | "lasting";

const PASSING_NAMES: ReadonlySet<string> = new Set([
  "ProvisionedThroughputExceededException",
  "ThrottlingException",
  "RequestLimitExceeded",
  "TransactionConflictException",
  "ReplicatedWriteConflictException",
  "TimeoutError",
  "AbortError",
]);
/** Of a connection that stood, or nearly: one that is refused at once is a wrong endpoint, and worth a word. */
const PASSING_CODES: ReadonlySet<unknown> = new Set(["ECONNRESET", "EPIPE", "ETIMEDOUT", "ECONNABORTED"]);
const SERVER_TROUBLE = 500;

export function meaningOf(error: unknown): Meaning {
  if (!(error instanceof Error)) return "lasting";
  if (error.name === "ResourceNotFoundException") return "gone";
  const { code, $metadata } = error as { code?: unknown; $metadata?: { httpStatusCode?: number } };
  const isPassing =
    PASSING_NAMES.has(error.name) ||
    PASSING_CODES.has(code) ||
    ($metadata?.httpStatusCode ?? 0) >= SERVER_TROUBLE;
  return isPassing ? "passing" : "lasting";
}

/** Two errors of one kind are the same trouble, whatever times and names their messages have in them. */
export function kindOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code = "" } = error as { code?: unknown };
  return `${error.name} ${code}`;
}

/** For a person, without the request's content. */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.message === "" ? error.name : `${error.name}: ${error.message}`;
}
