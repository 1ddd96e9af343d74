/**
 * An app on a port. Closing is clean: no new connections, event streams end (they see `closing`), requests
 * under way finish, and what has not finished at the deadline is cut off: its caller sees "unknown".
 */
import { X509Certificate } from "node:crypto";
import * as http from "node:http";
import * as https from "node:https";
import type { AddressInfo } from "node:net";
import { getRequestListener, RequestError } from "@hono/node-server";
import { fingerprintOf, formatAddress } from "../../client/pinned.ts";
import { Invalid } from "../../errors.ts";
import { isLoopback, refusalOf } from "./guard.ts";
import { problemFor, problemResponse, type Report } from "./problem.ts";

/** Well inside the 30 s that a container has between SIGTERM and SIGKILL. */
const CLOSE_DEADLINE_MS = 5_000;

/** What the server tells the app beside the request. */
export interface ServerBindings {
  readonly incoming: http.IncomingMessage;
  readonly outgoing: http.ServerResponse;
  /** Aborted when the server begins to close. */
  readonly closing: AbortSignal;
}

export interface App {
  fetch(request: Request, bindings: ServerBindings): Response | Promise<Response>;
}

/** In PEM. */
export interface Certificate {
  readonly key: string;
  readonly cert: string;
}

export interface ServeOptions {
  /** 0: any free port. */
  readonly port: number;
  readonly host?: string;
  /** The name or address that others reach it by. Default: `host`. */
  readonly reachedAt?: string;
  /** With it the server speaks TLS, and its URL says by which certificate. Default: plain HTTP. */
  readonly certificate?: Certificate;
  readonly report?: Report;
}

export interface Served {
  readonly url: string;
  readonly port: number;
  readonly server: http.Server;
  close(): Promise<void>;
}

/** @throws Error in words for people, when the port cannot be had. */
export async function serve(
  app: App,
  { port, host = "127.0.0.1", reachedAt = host, certificate, report = console.error }: ServeOptions,
): Promise<Served> {
  const closing = new AbortController();
  const listener = listenerFor(app, isLoopback(host), closing.signal, report);
  const server =
    certificate === undefined ? http.createServer(listener) : https.createServer(certificate, listener);
  // A kept-alive connection becomes idle, and so closable, only after its last answer.
  server.on("request", (_, outgoing: http.ServerResponse) =>
    outgoing.once("close", () => closing.signal.aborted && server.closeIdleConnections()),
  );
  await listen(server, port, host);
  const { port: bound } = server.address() as AddressInfo;
  return {
    url: urlOf(reachedAt, bound, certificate),
    port: bound,
    server,
    close: () => close(server, closing),
  };
}

function urlOf(host: string, port: number, certificate: Certificate | undefined): string {
  const place = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  if (certificate === undefined) return `http://${place}`;
  return formatAddress({
    origin: `https://${place}`,
    certificate: fingerprintOf(new X509Certificate(certificate.cert)),
  });
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

async function listen(server: http.Server, port: number, host: string): Promise<void> {
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

async function close(server: http.Server, closing: AbortController): Promise<void> {
  if (closing.signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  closing.abort();
  const deadline = setTimeout(() => server.closeAllConnections(), CLOSE_DEADLINE_MS);
  await promise;
  clearTimeout(deadline);
}
