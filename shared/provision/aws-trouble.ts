/** What a service of AWS did not do, in a sentence for whoever runs the deployment: what, where, why, and the next move. */
import { Unavailable } from "../errors.ts";

export interface Asked {
  /** What cannot be done for that: "a table cannot be made". */
  readonly what: string;
  readonly service: "DynamoDB" | "SQS" | "ECS";
  /** As policies spell it: "dynamodb:CreateTable". */
  readonly action: string;
  readonly region: string;
}

const NO_RIGHT: ReadonlySet<string> = new Set(["AccessDeniedException", "AccessDenied"]);
const NOBODY: ReadonlySet<string> = new Set([
  "CredentialsProviderError",
  "ExpiredTokenException",
  "InvalidClientTokenId",
  "InvalidSignatureException",
  "UnrecognizedClientException",
]);
const LIMITED: ReadonlySet<string> = new Set(["LimitExceededException", "OverLimit"]);
const MISSING: ReadonlySet<string> = new Set([
  "ClusterNotFoundException",
  "QueueDoesNotExist",
  "ServiceNotActiveException",
  "ServiceNotFoundException",
]);
const THROTTLED: ReadonlySet<string> = new Set(["ThrottlingException", "RequestThrottled", "Throttling"]);
const SERVER_TROUBLE = 500;

/** Tried again by whoever receives the message next, so it is never more than unavailable. */
export function awsTrouble(asked: Asked, cause: unknown): Unavailable {
  const { what, service, region } = asked;
  const sentence = `${what}: ${whyOf(asked, cause)} (${service} in ${region}: ${wordsOf(cause)})`;
  return new Unavailable("unavailable", sentence, { cause });
}

function whyOf({ service, action, region }: Asked, cause: unknown): string {
  const { name = "", code, $metadata } = (cause ?? {}) as Partial<ServiceError>;
  if (NO_RIGHT.has(name)) return `the role may not do ${action} there: put it into the role's policy`;
  if (NOBODY.has(name)) return "the credentials are no good there: see whose they are, and until when";
  if (LIMITED.has(name))
    return `a quota of the account is used up in ${region}: remove what nobody needs, or have it raised in Service Quotas`;
  if (MISSING.has(name)) return "it is not there: deploy the stack again, or set the right name";
  if (THROTTLED.has(name)) return "too much is asked at once there: it is tried again";
  const status = $metadata?.httpStatusCode;
  const isSilent = status === undefined && (code !== undefined || /Timeout|Abort/.test(name));
  if (isSilent || (status ?? 0) >= SERVER_TROUBLE)
    return `${service} does not answer there: it is tried again; if that lasts, see the health of ${region}, and the network`;
  return "it is tried again, and is a dead letter in the end";
}

interface ServiceError {
  readonly name: string;
  readonly code: unknown;
  readonly $metadata: { readonly httpStatusCode?: number };
}

function wordsOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const { name, message, code } = cause as Error & { code?: unknown };
  return [name === "Error" ? code : name, message].filter(Boolean).join(": ");
}
