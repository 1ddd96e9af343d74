/**
 * One HTTP request and its one outcome. node:http with kept-alive connections, since `fetch` costs three
 * times as much. A failure says whether the request can have reached anybody: a timeout is unknown, never
 * failure.
 */
import * as http from "node:http";
import * as https from "node:https";
import { NotConnected, PinningAgent, parseAddress } from "./pinned.ts";

/** An event stream is kept alive every 15 s: silence for longer means that its server is gone. */
const STREAM_SILENCE_MS = 45_000;

const STREAMED = /^(text\/event-stream|application\/x-ndjson)\b/;

/** What fails before a request can leave. The same error codes may come of reading, long after it was sent. */
const BEFORE_SENDING: ReadonlySet<unknown> = new Set(["connect", "getaddrinfo"]);

export interface Outgoing {
  readonly method: string;
  /** With its query string. */
  readonly path: string;
  readonly headers?: http.OutgoingHttpHeaders;
  readonly body?: string | Buffer | undefined;
}

/**
 * `kept`: a connection that other requests used. `own`: a new one. A kept one may turn out to be dead only after
 * the request was sent, which makes its outcome unknown; a new one to a dead server is refused, and nothing was sent.
 */
export type Connection = "kept" | "own";

/** Streams are handed on as they come; all else is read whole, so that half an answer counts as none. */
export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer | http.IncomingMessage;
}

export class ExchangeFailed extends Error {
  readonly neverSent: boolean;

  constructor(cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.neverSent = wasNeverSent(cause);
  }
}

/** A name with several addresses fails with an error for each. */
function wasNeverSent(cause: unknown): boolean {
  if (cause instanceof NotConnected) return true;
  if (cause instanceof AggregateError) return cause.errors.every(wasNeverSent);
  return BEFORE_SENDING.has((cause as NodeJS.ErrnoException).syscall);
}

export interface Patience {
  /** Until headers and, for what is no stream, the body are there. */
  readonly deadlineMs: number;
  /** After so long, `giveUp` is asked once whether to wait on. */
  readonly patienceMs: number;
  giveUp(): boolean;
}

export class Exchange {
  readonly #agents = {
    kept: { http: new http.Agent({ keepAlive: true }), https: new PinningAgent({ keepAlive: true }) },
    own: { http: new http.Agent(), https: new PinningAgent() },
  };

  /** @throws ExchangeFailed when there is no whole answer; Error for a text that is no address. */
  run(
    address: string,
    outgoing: Outgoing,
    patience: Patience,
    signal: AbortSignal,
    connection: Connection = "kept",
  ): Promise<Answer> {
    const known = parseAddress(address);
    if (known === undefined) throw new Error(`not the address of an HTTP server: ${address}`);
    const { origin, ...pin } = known;
    const scheme = origin.startsWith("https:") ? "https" : "http";
    const options = {
      method: outgoing.method,
      headers: { ...outgoing.headers, ...lengthOf(outgoing.body) },
      agent: this.#agents[connection][scheme],
      signal,
      ...pin,
    };
    const request = { http, https }[scheme].request(`${origin}${outgoing.path}`, options);
    return settle(request, outgoing.body, patience);
  }

  close(): void {
    for (const agents of Object.values(this.#agents))
      for (const agent of Object.values(agents)) agent.destroy();
  }
}

function lengthOf(body: string | Buffer | undefined): http.OutgoingHttpHeaders {
  return body === undefined ? {} : { "content-length": Buffer.byteLength(body) };
}

async function settle(
  request: http.ClientRequest,
  body: string | Buffer | undefined,
  { deadlineMs, patienceMs, giveUp }: Patience,
): Promise<Answer> {
  const abandon = () => request.destroy(new Error("no answer in time"));
  const patience = setTimeout(() => giveUp() && abandon(), Math.min(patienceMs, deadlineMs));
  const deadline = setTimeout(abandon, deadlineMs);
  try {
    const { promise, resolve, reject } = Promise.withResolvers<http.IncomingMessage>();
    request.on("response", resolve).on("error", reject).end(body);
    return await answerOf(await promise);
  } catch (cause) {
    throw new ExchangeFailed(cause);
  } finally {
    clearTimeout(patience);
    clearTimeout(deadline);
  }
}

async function answerOf(incoming: http.IncomingMessage): Promise<Answer> {
  const { statusCode: status = 0, headers } = incoming;
  if (STREAMED.test(headers["content-type"] ?? "")) {
    incoming.setTimeout(STREAM_SILENCE_MS, () => incoming.destroy(new Error("the stream fell silent")));
    return { status, headers, body: incoming };
  }
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk);
  return { status, headers, body: Buffer.concat(chunks) };
}
