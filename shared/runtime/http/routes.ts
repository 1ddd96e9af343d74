/** What every route checks before it reads anything: method, content type, size. */
import type { Context, Handler, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { Invalid } from "../../errors.ts";
import { BODY_BYTES_MAX } from "../../limits.ts";
import { problemOf } from "../../wire.ts";
import { problemResponse } from "./problem.ts";
import type { ServerBindings } from "./serve.ts";

/** Absent where no server of ours stands around the app, as in a function. */
export type Bindings = { Bindings: Partial<ServerBindings> };
export type Answering = (c: Context<Bindings>) => Response | Promise<Response>;

/** What is read and thrown away of a body that is too large, so that its sender hears so. */
const DRAIN_BYTES_MAX = 16 * BODY_BYTES_MAX;
const DRAIN_MS_MAX = 2_000;

const JSON_TYPE = /^application\/(json|[\w.+-]+\+json)\s*(;|$)/i;

export function get(app: Hono<Bindings>, path: string, answer: Answering): void {
  // As `all`, since Hono answers HEAD by running a GET, whose stream nobody would read.
  app.all(path, (c) => (c.req.method === "GET" ? answer(c) : refuseMethod(c, "GET")));
}

export function post(app: Hono<Bindings>, path: string, answer: Answering): void {
  const form: Handler<Bindings> = (c, next) => {
    if (c.req.method !== "POST") return refuseMethod(c, "POST");
    // Also keeps pages of other origins out: a form cannot send JSON.
    return JSON_TYPE.test(c.req.header("content-type") ?? "") ? next() : refuseContentType();
  };
  app.all(path, form, limitBody, answer);
}

/** A declared length is checked without touching the body: reading it through the limit costs a copy. */
export const limitBody: Handler<Bindings> = (c, next) => {
  const declared = c.req.header("content-length");
  if (declared === undefined) return limitUndeclaredBody(c, next);
  return Number(declared) > BODY_BYTES_MAX ? refuseDeclaredSize(c) : next();
};

const limitUndeclaredBody = bodyLimit({ maxSize: BODY_BYTES_MAX, onError: refuseSize });

/** A caller that is still writing when the connection closes may never read why: it is let finish, within bounds. */
async function refuseDeclaredSize(c: Context<Bindings>): Promise<Response> {
  const { incoming } = c.env ?? {};
  if (incoming !== undefined) {
    let bytes = 0;
    const enough = AbortSignal.timeout(DRAIN_MS_MAX);
    for await (const chunk of incoming.iterator({ destroyOnReturn: false })) {
      bytes += (chunk as Buffer).length;
      if (bytes > DRAIN_BYTES_MAX || enough.aborted) break;
    }
  }
  return refuseSize();
}

function refuseMethod(c: Context, allowed: string): Response {
  const error = new Invalid("invalid_request", `${c.req.path} takes ${allowed}, not ${c.req.method}`);
  return problemResponse({ ...problemOf(error), status: 405 }, { allow: allowed });
}

function refuseContentType(): Response {
  const error = new Invalid("invalid_request", "the body must be JSON, with Content-Type: application/json");
  return problemResponse({ ...problemOf(error), status: 415 });
}

function refuseSize(): Response {
  return problemResponse(problemOf(new Invalid("too_large", `a body has at most ${BODY_BYTES_MAX} bytes`)));
}
