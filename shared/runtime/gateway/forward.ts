/**
 * The gateway's work: the same HTTP interface on one address, each request forwarded as it is to whoever
 * leads its machine. What was never executed is tried again elsewhere; what may have been, only if the
 * request makes repetition harmless, and otherwise its caller is told that the outcome is unknown.
 */
import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders } from "node:http";
import { type Context, Hono } from "hono";
import type { Origins } from "../../client/addresses.ts";
import type { Answer, Outgoing } from "../../client/exchange.ts";
import { Transport } from "../../client/transport.ts";
import { DEPLOYMENT_HEADER } from "../http/deployment-guard.ts";
import { problemFor, problemResponse, type Report } from "../http/problem.ts";
import { bytesOf } from "../http/requests.ts";
import { type Bindings, get, limitBody } from "../http/routes.ts";
import type { ServerBindings } from "../http/serve.ts";
import { ANY_MACHINE, TOKEN_HEADER } from "../tokens/token.ts";
import { doubted } from "./doubted.ts";
import { isRepeatable } from "./repeatable.ts";

/** Below the 30 s of the client and of most balancers, so that the caller hears what happened. */
const DEADLINE_MS = 15_000;

const MACHINE = /^\/v1\/machines\/([^/?]+\/[^/?]+)/;

/** They concern one connection, or are set anew for the next one; credentials are the gateway's to see, and nobody's after it. */
const NOT_FORWARDED: ReadonlySet<string> = new Set([
  "authorization",
  "connection",
  "content-length",
  "expect",
  "host",
  "keep-alive",
  "origin",
  "proxy-authenticate",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "x-amz-security-token",
]);

export interface ForwarderOptions {
  readonly deadlineMs?: number;
  /** Named in what is forwarded, so that no leader of another deployment answers it (deployment-guard). */
  readonly deployment?: string | undefined;
  /** What leaders are shown for a caller who brings no token: for a machine (`name/id`), or any (ANY_MACHINE). */
  readonly token?: (machine: string) => string;
}

export class Forwarder {
  readonly app = new Hono<Bindings>();
  readonly #transport: Transport;
  readonly #deadlineMs: number;
  readonly #named: OutgoingHttpHeaders;
  readonly #token: ForwarderOptions["token"];

  constructor(
    leaders: Origins,
    report: Report = console.error,
    { deadlineMs = DEADLINE_MS, deployment, token }: ForwarderOptions = {},
  ) {
    this.#transport = new Transport(leaders);
    this.#token = token;
    this.#deadlineMs = deadlineMs;
    this.#named = deployment === undefined ? {} : { [DEPLOYMENT_HEADER]: deployment };
    this.app.onError((error) => problemResponse(problemFor(error, report)));
    get(this.app, "/v1/health", (c) => c.json({ status: "ok" }));
    this.app.all("*", limitBody, (c) => this.#forward(c));
  }

  close(): void {
    this.#transport.close();
  }

  async #forward(c: Context<Bindings>): Promise<Response> {
    const request = await outgoingOf(c, {
      ...this.#shown(c.req.path),
      ...forwarded(c.req.header()),
      ...this.#named,
    });
    const machine = MACHINE.exec(request.path)?.[1] ?? "";
    const repeatable = isRepeatable(request);
    const mayRepeat = () => repeatable;
    const carried = await this.#transport.call({ machine, request, deadlineMs: this.#deadlineMs, mayRepeat });
    const answer = carried.isInDoubt ? doubted(carried) : carried;
    const init = { status: answer.status, headers: forwarded(answer.headers) as Record<string, string> };
    return new Response(bodyOf(answer, c.env), init);
  }

  #shown(path: string): OutgoingHttpHeaders {
    const token = this.#token?.(MACHINE.exec(path)?.[1] ?? ANY_MACHINE);
    return token === undefined ? {} : { [TOKEN_HEADER]: token };
  }
}

async function outgoingOf(c: Context<Bindings>, headers: OutgoingHttpHeaders): Promise<Outgoing> {
  const { pathname, search } = new URL(c.req.url);
  const { method } = c.req;
  const body = method === "GET" || method === "HEAD" ? undefined : Buffer.from(await bytesOf(c));
  return { method, path: `${pathname}${search}`, headers, body };
}

function forwarded(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !NOT_FORWARDED.has(name)));
}

function bodyOf(
  { body, headers }: Answer,
  env: Partial<ServerBindings>,
): Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> {
  if (Buffer.isBuffer(body)) return new Uint8Array(body);
  // A log that was cut short must not look whole, so only an endless stream is ended for the server's sake.
  const isEndless = headers["content-type"]?.startsWith("text/event-stream") === true;
  return ReadableStream.from(through(body, isEndless ? env.closing : undefined, env.outgoing));
}

async function* through(
  stream: IncomingMessage,
  closing: AbortSignal | undefined,
  outgoing: ServerBindings["outgoing"] | undefined,
): AsyncGenerator<Uint8Array> {
  const leave = () => stream.destroy();
  closing?.addEventListener("abort", leave, { once: true });
  // Cancelling this generator would wait for the leader's next piece; the reader has left now.
  outgoing?.once("close", leave);
  try {
    yield* stream as AsyncIterable<Buffer>;
  } catch {
    // The leader broke off, and so must we: an orderly end would be a lie.
    if (!closing?.aborted) outgoing?.destroy();
  } finally {
    closing?.removeEventListener("abort", leave);
  }
}
