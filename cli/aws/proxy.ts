/**
 * An address on this machine that signs what it is asked and forwards it to the gateway's function, so that curl, and
 * every command here, can speak to a deployment on AWS. What operators may do needs a token, which the registry's
 * function gives to whoever may call it. Pages of other origins are refused, as everywhere on loopback.
 */
import type { Fetch } from "../../shared/aws/signed-fetch.ts";
import { ExchangeFailed } from "../../shared/client/exchange.ts";
import { Invalid, OutcomeUnknown, Unavailable } from "../../shared/errors.ts";
import { BODY_BYTES_MAX } from "../../shared/limits.ts";
import { problemFor, problemResponse, type Report } from "../../shared/runtime/http/problem.ts";
import { type Served, serve } from "../../shared/runtime/http/serve.ts";
import { TOKEN_HEADER } from "../../shared/runtime/tokens/token.ts";
import { OperatorTokens } from "./operator-tokens.ts";

export interface ProxyOptions {
  /** The addresses of the gateway's and of the registry's function. */
  readonly gateway: string;
  readonly registry: string;
  /** 0: any free one. */
  readonly port: number;
  readonly fetch: Fetch;
  readonly report: Report;
}

const PROBLEM = /^application\/problem\+json\b/;

/** They concern one connection, or are set anew for the next one; and nobody here undoes a compression. */
const NOT_FORWARDED: ReadonlySet<string> = new Set([
  "accept-encoding",
  "authorization",
  "connection",
  "content-length",
  "expect",
  "host",
  "keep-alive",
  "origin",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "user-agent",
]);

export function startProxy({ gateway, registry, port, fetch, report }: ProxyOptions): Promise<Served> {
  const tokens = new OperatorTokens(registry, fetch);
  const forward = async (request: Request) => {
    const { pathname, search } = new URL(request.url);
    const { method } = request;
    const token = await tokens.for(pathname);
    const headers = {
      ...forwarded(request.headers),
      ...(token === undefined ? {} : { [TOKEN_HEADER]: token }),
    };
    const body = await bodyOf(request);
    return answerOf(await say(fetch, new URL(`${pathname}${search}`, gateway), { method, headers, ...body }));
  };
  return serve(
    { fetch: (request) => forward(request).catch((error) => problemResponse(problemFor(error, report))) },
    { port, report },
  );
}

async function bodyOf(request: Request): Promise<{ readonly body?: string }> {
  if (request.method === "GET" || request.method === "HEAD") return {};
  if (Number(request.headers.get("content-length")) > BODY_BYTES_MAX)
    throw new Invalid("too_large", `a body has at most ${BODY_BYTES_MAX} bytes`);
  return { body: await request.text() };
}

/** @throws Unavailable when it was never sent; OutcomeUnknown when nobody knows. */
async function say(fetch: Fetch, url: URL, init: Parameters<Fetch>[1]): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (cause) {
    if (!(cause instanceof Error) || !("syscall" in cause)) throw cause;
    const failure = new ExchangeFailed(cause);
    const message = `${url.origin} cannot be reached (${failure.message})`;
    if (failure.neverSent) throw new Unavailable("unavailable", message, { cause });
    throw new OutcomeUnknown("outcome_unknown", message, { cause });
  }
}

/** Lambda itself says with 429 that it did not execute anything; it knows nothing of our problems. */
function answerOf(answer: Response): Response {
  if (answer.status === 429 && !PROBLEM.test(answer.headers.get("content-type") ?? ""))
    throw new Unavailable("unavailable", "the gateway's function is throttled: try again");
  return new Response(answer.body, { status: answer.status, headers: forwarded(answer.headers) });
}

function forwarded(headers: Headers): Record<string, string> {
  return Object.fromEntries([...headers].filter(([name]) => !NOT_FORWARDED.has(name)));
}
