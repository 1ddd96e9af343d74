/**
 * The HTTP interface (DESIGN §1), the same on a leader, on the gateway and locally. It decodes, asks the
 * backend and encodes. What can be refused by its form is refused before a slot is taken.
 */
import { type Context, Hono, type MiddlewareHandler } from "hono";
import { Invalid } from "../../errors.ts";
import type { MachineId } from "../../protocol/configuration.ts";
import { type MachinesAnswer, problemOf, type QueryAnswer, type StateAnswer } from "../../wire.ts";
import type { Backend } from "./backend.ts";
import { type Admission, answerElements, type Elements } from "./elements.ts";
import { problemFor, problemResponse, type Report } from "./problem.ts";
import * as requests from "./requests.ts";
import { type Bindings, get, post } from "./routes.ts";
import { events, lines } from "./streams.ts";

/** Machine ids in one page of `GET /v1/machines`. */
const MACHINES_PAGE = 1_000;
const FIRST_SLOT = 1;
const MACHINE = "/v1/machines/:machine/:id";

/**
 * `report` is told of errors that are nobody's request's fault; `guard` runs before anything of a request is looked at
 * (default: whoever can reach the server may ask).
 */
export function httpInterface(
  backend: Backend,
  report: Report = console.error,
  guard?: MiddlewareHandler<Bindings>,
): Hono<Bindings> {
  const app = new Hono<Bindings>();
  if (guard !== undefined) app.use(guard);
  app.onError((error) => problemResponse(problemFor(error, report)));
  app.notFound((c) => problemResponse(problemOf(new Invalid("not_found", `there is no ${c.req.path}`))));
  writes(app, backend, report);
  reads(app, backend);
  streams(app, backend, report);
  deployment(app, backend);
  return app;
}

function writes(app: Hono<Bindings>, backend: Backend, report: Report): void {
  const answer = async (c: Context, machine: MachineId, admit: Elements["admit"]) => {
    const send: Elements["send"] = (commands) => backend.send(machine, commands);
    const text = await answerElements(await requests.bodyOf(c), { admit, send }, report);
    return c.body(text, 200, { "content-type": "application/json" });
  };
  post(app, `${MACHINE}/sessions`, (c) =>
    answer(c, requests.machineOf(c), (element) => ({ send: requests.openingOf(element) })),
  );
  post(app, "/v1/endorsements", async (c) => {
    const { machine, configuration } = requests.endorsementOf(await requests.bodyOf(c));
    return c.json(await backend.endorse(machine, configuration));
  });
  post(app, `${MACHINE}/reconfigure`, async (c) => {
    const request = requests.reconfigurationOf(await requests.bodyOf(c));
    return c.json(await backend.reconfigure(requests.machineOf(c), request));
  });
  post(app, `${MACHINE}/commands`, (c) => {
    const machine = requests.machineOf(c);
    const key = c.req.header("idempotency-key");
    return answer(c, machine, (element, index) =>
      admitted(backend, machine, requests.commandOf(element, key, index)),
    );
  });
}

/** What was executed once keeps its reply, though a newer schema would have none of it. */
async function admitted(backend: Backend, machine: MachineId, asked: requests.Asked): Promise<Admission> {
  try {
    return { send: { ...asked, command: await backend.validate(machine, asked.command) } };
  } catch (error) {
    const isRepeatable = "session" in asked || "key" in asked;
    const settled = isRepeatable ? await backend.settled(machine, asked) : undefined;
    if (settled === undefined) throw error;
    return { settled };
  }
}

function reads(app: Hono<Bindings>, backend: Backend): void {
  post(app, `${MACHINE}/queries/:query`, async (c) => {
    const [machine, { query, consistency }] = [requests.machineOf(c), requests.queryOf(c)];
    const args = requests.argsOf(await requests.bodyOf(c));
    const { asOf, result } = await backend.query(machine, query, args, consistency);
    return c.json({ asOf, result: result ?? null } satisfies QueryAnswer);
  });
  get(app, MACHINE, async (c) => c.json(await backend.describe(requests.machineOf(c))));
  get(app, `${MACHINE}/state`, async (c) => {
    const { asOf, state } = await backend.state(requests.machineOf(c), requests.numberOf(c, "at"));
    return c.json({ asOf, state } satisfies StateAnswer);
  });
}

function streams(app: Hono<Bindings>, backend: Backend, report: Report): void {
  get(app, `${MACHINE}/log`, (c) => {
    const from = requests.numberOf(c, "from", FIRST_SLOT);
    return lines(backend.log(requests.machineOf(c), from), report);
  });
  get(app, `${MACHINE}/inbox/:client`, (c) => {
    const [machine, client, after] = [requests.machineOf(c), requests.clientOf(c), requests.cursorOf(c)];
    return events(c, (signal) => backend.inbox(machine, client, after, signal), report);
  });
}

function deployment(app: Hono<Bindings>, backend: Backend): void {
  get(app, "/v1/health", (c) => c.json({ status: "ok" }));
  get(app, "/v1/registry/audit", async (c) => c.json({ audit: await backend.audit() }));
  post(app, "/v1/registry/reconfigure", async (c) =>
    c.json(await backend.reconfigureRegistry(requests.reconfigurationOf(await requests.bodyOf(c)))),
  );
  get(app, "/v1/status", async (c) => c.json(await backend.status()));
  post(app, "/v1/leaders/:leader/drain", async (c) => c.json(await backend.drain(requests.leaderOf(c))));
  post(app, "/v1/leaders/:leader/retire", async (c) =>
    c.json(await backend.retireLeader(requests.leaderOf(c))),
  );
  post(app, "/v1/leaders", async (c) =>
    c.json(await backend.startLeader(requests.nonceOf(await requests.bodyOf(c)))),
  );
  get(app, "/v1/machines", async (c) => {
    const machines = await backend.machines(requests.afterOf(c), MACHINES_PAGE);
    return c.json({ machines } satisfies MachinesAnswer);
  });
}
