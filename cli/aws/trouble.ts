/** What AWS, or whatever answers in its place, would not do, as an error whose message a person can act on. */
import type { AwsPlace } from "../../shared/aws/clients.ts";
import { Forbidden, TheseusError, Unavailable } from "../../shared/errors.ts";

const NO_CREDENTIALS: ReadonlySet<string> = new Set([
  "CredentialsProviderError",
  "ExpiredToken",
  "ExpiredTokenException",
  "InvalidClientTokenId",
  "InvalidSignatureException",
  "SignatureDoesNotMatch",
  "UnrecognizedClientException",
]);
const NO_RIGHT: ReadonlySet<string> = new Set([
  "AccessDenied",
  "AccessDeniedException",
  "UnauthorizedOperation",
]);
const NOBODY_THERE: ReadonlySet<unknown> = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
]);

/** `action` as IAM has it: "cloudformation:DescribeStacks". An error that is not the AWS client's is passed through. */
export function awsTrouble(cause: unknown, action: string, place: AwsPlace): unknown {
  if (!(cause instanceof Error) || cause instanceof TheseusError) return cause;
  const { code, name, message } = cause as Error & { code?: unknown };
  const at = "aws" in place ? "AWS" : place.endpoint;
  const why = message === "" ? name : message;
  if (NOBODY_THERE.has(code)) {
    const nextMove =
      "aws" in place ? "is this machine online?" : "start the emulator, or correct AWS_ENDPOINT_URL";
    return new Unavailable("unavailable", `nothing answers at ${at} (${why}): ${nextMove}`, { cause });
  }
  if (NO_CREDENTIALS.has(name)) {
    const nextMove = "log in (aws sso login, aws login), or set AWS_PROFILE";
    return new Forbidden("forbidden", `there are no valid credentials for AWS (${why}): ${nextMove}`, {
      cause,
    });
  }
  if (NO_RIGHT.has(name))
    return new Forbidden("forbidden", `these credentials may not ${action}: ${why}`, { cause });
  if (!("$metadata" in cause)) return cause;
  return new Unavailable("unavailable", `${at} will not do that (${action}): ${name}: ${why}`, { cause });
}
