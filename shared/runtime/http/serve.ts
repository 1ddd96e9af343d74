/**
 * An app on a port. Closing is clean: no new connections, event streams end (they see `closing`), requests
 * under way finish, and what has not finished at the deadline is cut off: its caller sees "unknown".
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { getRequestListener, RequestError } from "@hono/node-server";
import { Invalid } from "../../errors.ts";
import { isLoopback, refusalOf } from "./guard.ts";
import { problemFor, problemResponse, type Report } from "./problem.ts";

/** Well inside the 30 s that a container has between SIGTERM and SIGKILL. */
const CLOSE_DEADLINE_MS = 5_000;

/** What the server tells the app beside the request. */
export interface ServerBindings {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  /** Aborted when the server begins to close. */
  readonly closing: AbortSignal;
}

export interface App {
  fetch(request: Request, bindings: ServerBindings): Response | Promise<Response>;
}

export interface ServeOptions {
  /** 0: any free port. */
  readonly port: number;
  readonly host?: string;
  readonly report?: Report;
}

export interface Served {
  readonly url: string;
  readonly port: number;
  readonly server: Server;
  close(): Promise<void>;
}

/** @throws Error in words for people, when the port cannot be had. */
export async function serve(
  app: App,
  { port, host = "127.0.0.1", report = console.error }: ServeOptions,
): Promise<Served> {
  const closing = new AbortController();
  const server = createServer(listenerFor(app, isLoopback(host), closing.signal, report));
  // A kept-alive connection becomes idle, and so closable, only after its last answer.
  server.on("request", (_, outgoing: ServerResponse) =>
    outgoing.once("close", () => closing.signal.aborted && server.closeIdleConnections()),
  );
  await listen(server, port, host);
  const { port: bound } = server.address() as AddressInfo;
  const name = host.includes(":") ? `[${host}]` : host;
  return { url: `http://${name}:${bound}`, port: bound, server, close: () => close(server, closing) };
}

function listenerFor(app: App, onLoopback: boolean, closing: AbortSignal, report: Report) {
  return getRequestListener(
    (request, env) => {
      const { incoming, outgoing } = env as ServerBindings;
      const refusal = refusalOf(incoming.headers, onLoopback);
      if (refusal !== undefined) return problemResponse(problemFor(refusal, report));
      return app.fetch(request, { incoming, outgoing, closing });
    },
    { errorHandler: (error) => problemResponse(problemFor(asRequestFault(error), report)) },
  );
}

function asRequestFault(error: unknown): unknown {
  return error instanceof RequestError ? new Invalid("invalid_request", error.message) : error;
}

async function listen(server: Server, port: number, host: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen(port, host, resolve);
  try {
    await promise;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "EADDRINUSE") throw error;
    throw new Error(`port ${port} is in use; stop what listens there or choose another port`, {
      cause: error,
    });
  }
  server.off("error", reject);
}

async function close(server: Server, closing: AbortController): Promise<void> {
  if (closing.signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  closing.abort();
  const deadline = setTimeout(() => server.closeAllConnections(), CLOSE_DEADLINE_MS);
  await promise;
  clearTimeout(deadline);
}
