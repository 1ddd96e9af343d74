/** What AWS, or whatever answers in its place, would not do, as an error whose message a person can act on. */
import type { AwsPlace } from "../../shared/aws/clients.ts";
import { Forbidden, Invalid, Unavailable } from "../../shared/errors.ts";

const NO_RIGHT: ReadonlySet<string> = new Set([
  "AccessDeniedException",
  "CredentialsProviderError",
  "ExpiredTokenException",
  "InvalidSignatureException",
  "UnrecognizedClientException",
]);
const NOBODY_THERE: ReadonlySet<unknown> = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
]);

/** An error that is not the AWS client's is passed through. */
export function dynamodbTrouble(cause: unknown, place: AwsPlace): unknown {
  if (!(cause instanceof Error)) return cause;
  const { code, name, message } = cause as Error & { code?: unknown };
  const at = "aws" in place ? "DynamoDB" : place.endpoint;
  const [why = ""] = (message || name).split("\n");
  if (NOBODY_THERE.has(code))
    return new Unavailable(
      "unavailable",
      `nothing answers at ${at} (${why}): start the emulator, or set AWS_ENDPOINT_URL to where it is`,
      { cause },
    );
  if (NO_RIGHT.has(name)) return new Forbidden("forbidden", `${at} refuses: ${name}: ${why}`, { cause });
  if (!("$metadata" in cause)) return cause;
  // DynamoDB says whose fault it is; whatever else answers there says nothing that the client can read.
  if (!("$fault" in cause) || !/Exception$/.test(name))
    return new Invalid(
      "invalid_request",
      `what answers at ${at} is not DynamoDB (${name}: ${why}): set AWS_ENDPOINT_URL to where it is`,
      { cause },
    );
  return new Unavailable("unavailable", `${at} will not do that: ${name}: ${why}`, { cause });
}
