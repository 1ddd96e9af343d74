/**
 * Who may talk to a server from a browser (TARGETS §4). A page of another origin may not, and a server on
 * loopback answers only under a loopback name: a foreign name that resolves to 127.0.0.1 is DNS rebinding.
 */
import type { IncomingHttpHeaders } from "node:http";
import { Forbidden } from "../../errors.ts";

export function isLoopback(hostname: string): boolean {
  const bare = hostname.replace(/^\[|\]$/g, "");
  return /^(localhost|.+\.localhost|127(\.\d{1,3}){3}|::1)$/i.test(bare);
}

/** Why the request is refused; undefined: it may pass. */
export function refusalOf(headers: IncomingHttpHeaders, onLoopback: boolean): Forbidden | undefined {
  const { host = "", origin } = headers;
  if (onLoopback && !isLoopback(host.replace(/:\d+$/, "")))
    return new Forbidden("forbidden", "this server is on loopback and answers only to loopback host names");
  if (origin !== undefined && hostOf(origin) !== host.toLowerCase())
    return new Forbidden("forbidden", "requests from pages of another origin are refused");
  return undefined;
}

function hostOf(origin: string): string | undefined {
  return URL.parse(origin)?.host;
}
