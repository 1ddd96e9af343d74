/**
 * The HTTP interface (DESIGN §1), the same on a leader, on the gateway and locally. It decodes, asks the
 * backend and encodes. All that can be refused by its form is refused before a slot is taken.
 */
import { type Context, Hono, type MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import { Invalid } from "../errors.ts";
import { BODY_BYTES_MAX } from "../limits.ts";
import type { MachineId } from "../protocol/configuration.ts";
import { type Slot, slot } from "../protocol/slot.ts";
import type { Command } from "../protocol/value.ts";
import { type MachinesAnswer, problemOf, type QueryAnswer, type StateAnswer } from "../wire.ts";
import type { Backend } from "./backend.ts";
import { problemFor, problemResponse, type Report } from "./problem.ts";
import { replyText } from "./replies.ts";
import {
  afterOf,
  argsOf,
  assertCount,
  bodyOf,
  clientOf,
  commandOf,
  cursorOf,
  machineOf,
  numberOf,
  openingOf,
  queryOf,
} from "./requests.ts";
import { type Bindings, events, lines } from "./streams.ts";

/** Machine ids in one page of `GET /v1/machines`. */
const MACHINES_PAGE = 1_000;

type Answering = (c: Context<Bindings>) => Response | Promise<Response>;

/** `report` is told of errors that are nobody's request's fault. */
export function httpInterface(backend: Backend, report: Report = console.error): Hono<Bindings> {
  const app = new Hono<Bindings>();
  app.onError((error) => problemResponse(problemFor(error, report)));
  app.notFound((c) => problemResponse(problemOf(new Invalid("not_found", `there is no ${c.req.path}`))));
  app.use(limitBody);

  const serve = (method: "GET" | "POST", path: string, answer: Answering) => {
    // Hono would run a GET to answer a HEAD, and leave a stream that nobody reads.
    app.on(method, path, (c) => (c.req.method === method ? answer(c) : refuseMethod(c, method)));
    app.all(path, (c) => refuseMethod(c, method));
  };
  const post = (path: string, answer: Answering) =>
    serve("POST", path, (c) => (isJson(c) ? answer(c) : refuseContentType()));

  post("/v1/machines/:machine/:id/sessions", (c) => answerEach(c, async (_, element) => openingOf(element)));
  post("/v1/machines/:machine/:id/commands", (c) => answerEach(c, admit));
  post("/v1/machines/:machine/:id/queries/:query", async (c) => {
    const { query, consistency } = queryOf(c);
    const { asOf, result } = await backend.query(machineOf(c), query, argsOf(await bodyOf(c)), consistency);
    return c.json({ asOf, result: result ?? null } satisfies QueryAnswer);
  });
  serve("GET", "/v1/machines/:machine/:id", async (c) => c.json(await backend.describe(machineOf(c))));
  serve("GET", "/v1/machines/:machine/:id/log", (c) =>
    lines(backend.log(machineOf(c), slot(Math.max(1, numberOf(c, "from") ?? 1))), report),
  );
  serve("GET", "/v1/machines/:machine/:id/state", async (c) => {
    const { asOf, state } = await backend.state(machineOf(c), numberOf(c, "at"));
    return c.json({ asOf, state } satisfies StateAnswer);
  });
  serve("GET", "/v1/machines/:machine/:id/inbox/:client", (c) => {
    const [machine, client, after] = [machineOf(c), clientOf(c), cursorOf(c)];
    return events(c, (signal) => backend.inbox(machine, client, after, signal), report);
  });
  serve("GET", "/v1/status", async (c) => c.json(await backend.status()));
  serve("GET", "/v1/health", (c) => c.json({ status: "ok" }));
  serve("GET", "/v1/machines", async (c) => {
    const machines = await backend.machines(afterOf(c), MACHINES_PAGE);
    return c.json({ machines } satisfies MachinesAnswer);
  });
  return app;

  async function admit(machine: MachineId, element: unknown, key: string | undefined): Promise<Command> {
    const asked = commandOf(element, key);
    return { ...asked, command: await backend.validate(machine, asked.command) };
  }

  /** One element, answered with its own status; or an array, in which each has its own answer or problem. */
  async function answerEach(c: Context<Bindings>, toCommand: typeof admit): Promise<Response> {
    const machine = machineOf(c);
    const key = c.req.header("idempotency-key");
    const body = await bodyOf(c);
    if (!Array.isArray(body)) {
      const [reply] = await backend.send(machine, [await toCommand(machine, body, key)]);
      return jsonText(c, replyText(reply!));
    }
    assertCount(body);
    const keyOf = (index: number) => (key === undefined ? undefined : `${key}/${index}`);
    const texts = await settle(
      body.map((element, index) => () => toCommand(machine, element, keyOf(index))),
      (commands) => backend.send(machine, commands),
    );
    return jsonText(c, `[${texts.join(",")}]`);
  }
}
