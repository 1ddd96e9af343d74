/** Whether executing a request twice does no more than once: what may be sent again after a broken answer. */
import type { Outgoing } from "../../client/exchange.ts";

const OPERATIONS = /^\/v1\/(?:leaders(?:\/[^/]+\/(?:drain|retire))?|registry\/reconfigure)$/;

/** A read, the start, drain and retirement of leaders, the replacement of the registry's tables, the opening of sessions by nonce, or commands that all carry what makes them happen once. */
export function isRepeatable({ method, path, headers = {}, body }: Outgoing): boolean {
  if (method === "GET" || OPERATIONS.test(path)) return true;
  const [call = "", under = ""] = (path.split("?")[0] ?? "").split("/").slice(5);
  if (call === "sessions" || (call === "queries" && under !== "")) return true;
  if (call !== "commands") return false;
  return "idempotency-key" in headers || everyCommandHasSession(body);
}

function everyCommandHasSession(body: Outgoing["body"]): boolean {
  try {
    return [JSON.parse(String(body))].flat().every(({ session, sequence }) => session && sequence);
  } catch {
    return false;
  }
}
