/**
 * The gateway behind a Lambda's URL, in the VPC where the leaders are. It learns of them from the directory alone: with
 * the registry down, commands go on. Whoever may call it may use machines, and no more: it signs that for the leaders.
 * For anything else a caller brings a token of the registry's.
 */
import { Hono } from "hono";
import { handle, type LambdaContext, type LambdaEvent } from "hono/aws-lambda";
import { Invalid, OutcomeUnknown, type TheseusError, Unavailable } from "../../shared/errors.ts";
import { DirectoryLeaders } from "../../shared/runtime/gateway/directory-leaders.ts";
import { Forwarder } from "../../shared/runtime/gateway/forward.ts";
import { ofDeployment } from "../../shared/runtime/http/deployment-guard.ts";
import { problemFor, problemResponse } from "../../shared/runtime/http/problem.ts";
import type { Bindings } from "../../shared/runtime/http/routes.ts";
import { minter } from "../../shared/runtime/tokens/signers.ts";
import { problemOf } from "../../shared/wire.ts";
import { openDirectory } from "./environment.ts";
import { functionLog, once } from "./log.ts";

/** Lambda's own limit, of the answer as JSON with its headers. */
const ANSWER_BYTES_MAX = 6 * 1024 * 1024 - 64 * 1024;

const log = functionLog("gateway");
const report = (err: unknown) => log.error({ event: "error", err });

const gateway = once(async () => {
  const directory = openDirectory();
  const leaders = new DirectoryLeaders(directory);
  const deployment = await directory.deployment();
  const privateKey = await directory.privateKey("gateway");
  const mint = minter({ by: "gateway", privateKey, deployment, now: Date.now });
  const token = (machine: string) => mint(machine, "use").token;
  const forwarder = new Forwarder(leaders, report, { deployment, token });
  const guarded = ofDeployment<Bindings["Bindings"]>(forwarder.app, deployment);
  return { leaders, fetch: (request: Request) => guarded.fetch(request, {}) };
});

const app = new Hono();
app.onError((error) => problemResponse(problemFor(error, report)));
app.all("/v1/machines/:machine/:id/inbox/*", () =>
  problemResponse(
    problemOf(
      new Invalid(
        "invalid_request",
        "an inbox is a stream without an end, which a function cannot pass on: connect to a leader (GET /v1/status lists them)",
      ),
    ),
  ),
);
app.all("*", async (c) => {
  const { leaders, fetch } = await gateway();
  await leaders.refresh();
  return fetch(c.req.raw);
});
const answer = handle(app);

export async function handler(
  event: LambdaEvent,
  context: LambdaContext,
): Promise<Awaited<ReturnType<typeof answer>>> {
  try {
    const answered = await answer(event, context);
    return isTooLarge(answered) ? problemOnly(tooLarge(event)) : answered;
  } catch (error) {
    report(error);
    return problemOnly(brokenOff(event));
  }
}

/** Lambda would drop it without a word. */
function isTooLarge(answered: { readonly body: string }): boolean {
  // A character of the body has six bytes in JSON at most.
  const mayBe = 6 * answered.body.length > ANSWER_BYTES_MAX;
  return mayBe && Buffer.byteLength(JSON.stringify(answered)) > ANSWER_BYTES_MAX;
}

function tooLarge(event: LambdaEvent): TheseusError {
  const detail = `the answer is larger than the ${ANSWER_BYTES_MAX} bytes that a function may give: connect to a leader`;
  return isRead(event) ? new Invalid("too_large", detail) : new OutcomeUnknown("outcome_unknown", detail);
}

/** What came of it so far must not look whole. */
function brokenOff(event: LambdaEvent): TheseusError {
  const detail = "the answer broke off: try again";
  return isRead(event)
    ? new Unavailable("unavailable", detail)
    : new OutcomeUnknown("outcome_unknown", detail);
}

function isRead({ requestContext }: LambdaEvent): boolean {
  return "http" in requestContext && requestContext.http.method === "GET";
}

function problemOnly(error: TheseusError) {
  const problem = problemOf(error);
  const headers = { "content-type": "application/problem+json" };
  return { statusCode: problem.status, headers, body: JSON.stringify(problem), isBase64Encoded: false };
}
