/** The HTTP interface on real sockets, over a backend in memory. */
import { once } from "node:events";
import { Agent, get as httpGet, type IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Forbidden, Invalid, OutcomeUnknown, Unavailable } from "../../shared/errors.ts";
import { BODY_BYTES_MAX } from "../../shared/limits.ts";
import type { MachineId } from "../../shared/protocol/configuration.ts";
import { ofDeployment } from "../../shared/runtime/http/deployment-guard.ts";
import { httpInterface } from "../../shared/runtime/http/http.ts";
import { type Served, serve } from "../../shared/runtime/http/serve.ts";
import { errorOf, isProblem, problemOf } from "../../shared/wire.ts";
import { MemoryBackend } from "../support/memory-backend.ts";
import { postJson, type RawRequest, rawRequest } from "../support/raw-http.ts";
import { tally } from "../support/tally.ts";

const MAIN = "/v1/machines/tally/main";
const COMMANDS = `${MAIN}/commands`;
const JSON_TYPE = { "content-type": "application/json" };

let backend: MemoryBackend;
let served: Served;
let reported: unknown[];

beforeEach(async () => {
  backend = new MemoryBackend(tally);
  reported = [];
  const report = (error: unknown) => reported.push(error);
  served = await serve(httpInterface(backend, report), { port: 0, report });
});
afterEach(async () => {
  vi.useRealTimers();
  await served.close();
});

const add = (amount: number) => ({ command: { type: "add", amount } });
const post = async (path: string, body: unknown, headers = {}) => {
  const { status, text } = await postJson(served.url, path, body, headers);
  return { status, body: JSON.parse(text) };
};
const get = async (path: string) => {
  const { status, text } = await rawRequest(served.url, { path });
  return { status, body: JSON.parse(text) };
};
const openSession = async (nonce: string): Promise<string> =>
  (await post(`${MAIN}/sessions`, { nonce })).body.session;

describe("commands", () => {
  test("a bare command is executed once each time it is sent", async () => {
    expect(await post(COMMANDS, add(2))).toEqual({ status: 200, body: { slot: 1, response: 2 } });
    expect(await post(COMMANDS, add(2))).toEqual({ status: 200, body: { slot: 2, response: 4 } });
  });

  test("a refusal is an ordinary answer that says so", async () => {
    expect(await post(COMMANDS, add(0))).toEqual({
      status: 200,
      body: { slot: 1, response: "nothing to add", refused: true },
    });
  });

  test("a command of a session is executed once, however often it is sent", async () => {
    const session = await openSession("n1");
    const command = { ...add(5), session, sequence: 1 };
    const first = await post(COMMANDS, command);
    expect(await post(COMMANDS, command)).toEqual(first);
    expect((await post(`${MAIN}/queries/total`, {})).body.result).toBe(5);
  });

  test("the same nonce opens the same session; an array opens several", async () => {
    const session = await openSession("n1");
    expect(await openSession("n1")).toBe(session);
    const { body } = await post(`${MAIN}/sessions`, [{ nonce: "n1" }, { nonce: "n2" }]);
    expect(body[0]).toEqual({ session, slot: 3 });
    expect(body[1].session).not.toBe(session);
  });

  test("an Idempotency-Key makes one command happen once", async () => {
    const headers = { "idempotency-key": "k" };
    const first = await post(COMMANDS, add(1), headers);
    expect(await post(COMMANDS, add(1), headers)).toEqual(first);
    expect((await post(`${MAIN}/queries/total`, {})).body.result).toBe(1);
  });

  test("in an array element i has a key of its own, which no header can name", async () => {
    const headers = { "idempotency-key": "k" };
    const first = await post(COMMANDS, [add(1), add(2)], headers);
    expect(await post(COMMANDS, [add(1), add(2)], headers)).toEqual(first);
    const keys = JSON.parse(
      (await rawRequest(served.url, { path: `${MAIN}/log?from=1` })).text.split("\n")[0]!,
    ).commands;
    expect(keys).toMatchObject([{ key: "k 0" }, { key: "k 1" }]);
    expect((await post(COMMANDS, add(2), { "idempotency-key": "k 1" })).status).toBe(400);
    const other = await post(COMMANDS, add(4), { "idempotency-key": "k/1" });
    expect(other).toMatchObject({ body: { response: 7 } });
  });

  describe("when a newer schema has no such command", () => {
    const upgrade = () => {
      backend.invalid = new Invalid("invalid_command", "no such command");
    };

    test.each(["a session", "a key"])(
      "what was executed before with %s is answered as it was",
      async (by) => {
        const session = by === "a session" ? await openSession("n") : undefined;
        const headers = session === undefined ? { "idempotency-key": "k" } : {};
        const command = (sequence: number) => (session ? { ...add(1), session, sequence } : add(1));
        const alone = await post(COMMANDS, command(1), headers);
        const inArray = await post(COMMANDS, [command(2)], headers);
        upgrade();
        if (session)
          expect((await post(COMMANDS, command(1))).body).toMatchObject({ code: "stale_sequence" });
        else expect(await post(COMMANDS, command(1), headers)).toEqual(alone);
        expect(await post(COMMANDS, [command(2)], headers)).toEqual(inArray);
        if (session)
          expect(await post(COMMANDS, command(2))).toMatchObject({ status: 200, body: inArray.body[0] });
      },
    );

    test("what was not is refused", async () => {
      const session = await openSession("n");
      upgrade();
      for (const body of [add(1), { ...add(1), session, sequence: 1 }])
        expect(await post(COMMANDS, body)).toMatchObject({ status: 422, body: { code: "invalid_command" } });
      expect((await post(COMMANDS, add(1), { "idempotency-key": "k" })).status).toBe(422);
    });

    test("whoever does not lead cannot say", async () => {
      upgrade();
      backend.failure = new Unavailable("not_leader", "another leads");
      const command = { ...add(1), session: "1-0", sequence: 1 };
      expect((await post(COMMANDS, command)).status).toBe(421);
      expect((await post(COMMANDS, [add(1), command])).status).toBe(421);
      expect((await post(COMMANDS, add(1))).status).toBe(422);
    });
  });

  test("in an array each element has its own answer or its own problem", async () => {
    const session = await openSession("n1");
    await post(COMMANDS, { ...add(1), session, sequence: 2 });
    const { status, body } = await post(COMMANDS, [
      add(10),
      { command: { type: "no such" } },
      { comand: {} },
      { command: { type: "break" } },
      { ...add(1), session, sequence: 1 },
      { ...add(1), session: "99-0", sequence: 1 },
      add(20),
    ]);
    expect(status).toBe(200);
    expect(body).toMatchObject([
      { slot: 3, response: 11 },
      { code: "invalid_command", status: 422 },
      { code: "invalid_request", status: 400 },
      { code: "apply_failed", status: 422, slot: 3 },
      { code: "stale_sequence", status: 409, detail: expect.stringContaining("no longer known") },
      { code: "unknown_session", status: 409, retryable: false },
      { slot: 3, response: 31 },
    ]);
  });

  test.each([
    [{ command: { type: "break" } }, 422, "apply_failed"],
    [{ ...add(1), session: "99-0", sequence: 1 }, 409, "unknown_session"],
    [{ command: { type: "no such" } }, 422, "invalid_command"],
  ])("%j alone is answered %i %s", async (body, status, code) => {
    expect(await post(COMMANDS, body)).toMatchObject({
      status,
      body: { code, type: `urn:theseus:error:${code}` },
    });
  });

  test("whoever does not lead says who does", async () => {
    backend.failure = new Unavailable("not_leader", "another leads", { leader: "http://127.0.0.1:9" });
    expect(await post(COMMANDS, [add(1)])).toMatchObject({
      status: 421,
      body: { code: "not_leader", retryable: true, leader: "http://127.0.0.1:9" },
    });
  });
});

describe("reads", () => {
  beforeEach(async () => void (await post(COMMANDS, [add(1), add(2)])));

  test("a query says as of which slot it answers, and how consistently", async () => {
    expect(await post(`${MAIN}/queries/over`, { args: 2 })).toEqual({
      status: 200,
      body: { asOf: 1, result: true },
    });
    await post(`${MAIN}/queries/total?consistency=stale`, {});
    expect(backend.consistencies).toEqual(["linearizable", "stale"]);
  });

  test("state, status, health and pages of machines", async () => {
    expect((await get(`${MAIN}/state`)).body).toEqual({ asOf: 1, state: { total: 3, added: 2 } });
    expect((await get(`${MAIN}/state?at=1`)).status).toBe(200);
    expect((await get(`${MAIN}/state?at=7`)).status).toBe(404);
    expect((await get(MAIN)).body).toMatchObject({ machine: "tally", id: "main", applied: 1 });
    expect((await get("/v1/health")).body).toEqual({ status: "ok" });
    expect((await get("/v1/status")).body).toHaveProperty("leaders");
    expect((await get("/v1/machines")).body).toEqual({ machines: ["tally/main"] });
    expect((await get("/v1/machines?after=tally/main")).body).toEqual({ machines: [] });
    expect((await post("/v1/leaders/leader-1/drain", {})).body).toMatchObject({ state: "drained" });
  });

  test("the log is JSON lines from the slot on that was asked for", async () => {
    await post(COMMANDS, add(3));
    const { text, headers } = await rawRequest(served.url, { path: `${MAIN}/log?from=2` });
    expect(headers["content-type"]).toBe("application/x-ndjson");
    expect(text.endsWith("\n")).toBe(true);
    expect(
      text
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line)),
    ).toMatchObject([{ slot: 2, commands: [add(3)] }]);
    expect((await rawRequest(served.url, { path: `${MAIN}/log` })).text.trim().split("\n")).toHaveLength(2);
  });

  test("a log that breaks off ends with a problem, not as if it were whole", async () => {
    backend.damage("tally/main");
    const { text } = await rawRequest(served.url, { path: `${MAIN}/log` });
    const last = JSON.parse(text.trim().split("\n").at(-1)!);
    expect(isProblem(last)).toBe(true);
    expect(text).not.toContain("secret");
    expect(reported).toHaveLength(1);
  });
});

describe("inbox", () => {
  const tell = (text: string) => post(COMMANDS, { command: { type: "tell", client: "bob", text } });

  /** The open stream, and a reader of the text up to and including a mark. */
  async function openInbox(path: string, headers = {}) {
    const answer = await new Promise<IncomingMessage>((resolve) =>
      httpGet(`${served.url}${path}`, { agent: false, headers }, resolve).on("error", () => {}),
    );
    answer.setEncoding("utf8").on("error", () => {});
    let seen = "";
    const until = async (mark: string): Promise<string> => {
      while (!seen.includes(mark)) {
        const chunk = answer.read();
        if (chunk !== null) seen += chunk;
        else if (answer.readableEnded) throw new Error(`ended before ${mark}: ${seen}`);
        else await new Promise((resolve) => answer.once("readable", resolve).once("end", resolve));
      }
      return seen;
    };
    return { answer, until };
  }

  test("tells the messages there are, then new ones, each with its cursor", async () => {
    await tell("one");
    const { answer, until } = await openInbox(`${MAIN}/inbox/bob`);
    expect(answer.headers["content-type"]).toBe("text/event-stream");
    expect(await until("one")).toContain("id: 1");
    await tell("two");
    expect(await until("two")).toContain("id: 2");
    answer.destroy();
  });

  test.each([
    ["after=1", {}],
    ["after=0", { "last-event-id": "1" }],
  ])("resumes after a cursor (%s, %j)", async (query, headers) => {
    await tell("one");
    await tell("two");
    const { answer, until } = await openInbox(`${MAIN}/inbox/bob?${query}`, headers);
    expect(await until("two")).not.toContain("one");
    answer.destroy();
  });

  test("a silent inbox is kept alive by comments", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    const { answer, until } = await openInbox(`${MAIN}/inbox/bob`);
    vi.advanceTimersByTime(15_000);
    expect(await until(": keep-alive")).toBe(": keep-alive\n\n");
    answer.destroy();
  });

  test("ends cleanly when the server closes", async () => {
    const { answer } = await openInbox(`${MAIN}/inbox/bob`);
    const ended = new Promise((resolve) => answer.once("end", () => resolve("end")).once("error", resolve));
    answer.resume();
    await served.close();
    expect(await ended).toBe("end");
    expect(answer.complete).toBe(true);
  });

  test("nobody waits for messages once the reader has left", async () => {
    const { answer } = await openInbox(`${MAIN}/inbox/bob`);
    expect(backend.listeners).toBe(1);
    answer.destroy();
    await vi.waitFor(() => expect(backend.listeners).toBe(0));
  });

  test("a refusal known at once has its status", async () => {
    backend.failure = new Unavailable("not_leader", "another leads");
    expect((await get(`${MAIN}/inbox/bob`)).status).toBe(421);
  });
});

describe("what is malformed is refused before a slot is taken, and the server lives", () => {
  const send = (body: unknown, headers = {}): RawRequest => ({
    method: "POST",
    path: COMMANDS,
    headers: { ...JSON_TYPE, ...headers },
    body: typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body),
  });
  const at = (path: string, method = "GET"): RawRequest => ({ path, method });
  const postTo = (path: string, body: string): RawRequest => ({ ...send(body), path });
  const told = (text: string) => ({ command: { type: "tell", client: "bob", text } });
  const deep = (depth: number) => `{"command":${"[".repeat(depth)}${"]".repeat(depth)}}`;

  const cases: readonly (readonly [string, number, string, RawRequest])[] = [
    [
      "no content type",
      415,
      "invalid_request",
      { method: "POST", path: COMMANDS, body: JSON.stringify(add(1)) },
    ],
    [
      "a form",
      415,
      "invalid_request",
      send("command=1", { "content-type": "application/x-www-form-urlencoded" }),
    ],
    ["an empty body", 400, "invalid_request", send("")],
    ["malformed JSON", 400, "invalid_request", send('{"command":')],
    ["invalid UTF-8", 400, "invalid_request", send(Buffer.from(JSON.stringify(told("\u00ff")), "latin1"))],
    ["a body over the limit", 413, "too_large", send(" ".repeat(BODY_BYTES_MAX + 1))],
    ["10 MB of [", 413, "too_large", send("[".repeat(10_000_000))],
    [
      "a chunked body over the limit",
      413,
      "too_large",
      send("[".repeat(BODY_BYTES_MAX + 1), { "transfer-encoding": "chunked" }),
    ],
    ["the limit full of [", 400, "invalid_request", send("[".repeat(BODY_BYTES_MAX))],
    ["deep nesting", 422, "invalid_command", send(deep(100_000))],
    ["deep nesting in a field nobody knows", 400, "invalid_request", send(`{"x":${deep(100_000)}}`)],
    [
      "deep nesting as a session",
      400,
      "invalid_request",
      send(`{"command":1,"sequence":1,"session":${deep(100_000)}}`),
    ],
    ["a key __proto__", 422, "invalid_command", send('{"command":{"type":"add","amount":1,"__proto__":{}}}')],
    ["a number beyond double", 422, "invalid_command", send('{"command":{"type":"add","amount":1e999}}')],
    ["null", 400, "invalid_request", send("null")],
    ["a string", 400, "invalid_request", send('"command"')],
    ["no command", 400, "invalid_request", send({})],
    ["an unknown field", 400, "invalid_request", send({ ...add(1), sesion: "1-0", sequence: 1 })],
    ["an unknown command", 422, "invalid_command", send({ command: { type: "steal" } })],
    ["session without sequence", 400, "invalid_request", send({ ...add(1), session: "1-0" })],
    ["sequence without session", 400, "invalid_request", send({ ...add(1), sequence: 1 })],
    ["sequence 0", 400, "invalid_request", send({ ...add(1), session: "1-0", sequence: 0 })],
    ["sequence 1.5", 400, "invalid_request", send({ ...add(1), session: "1-0", sequence: 1.5 })],
    ["sequence beyond 2^53", 400, "invalid_request", send({ ...add(1), session: "1-0", sequence: 2 ** 53 })],
    ["sequence as text", 400, "invalid_request", send({ ...add(1), session: "1-0", sequence: "1" })],
    ["a session that is none", 400, "invalid_request", send({ ...add(1), session: "x", sequence: 1 })],
    ["session null", 400, "invalid_request", send({ ...add(1), session: null, sequence: 1 })],
    [
      "session and key",
      400,
      "invalid_request",
      send({ ...add(1), session: "1-0", sequence: 1 }, { "idempotency-key": "k" }),
    ],
    ["a key with a space", 400, "invalid_request", send(add(1), { "idempotency-key": "a b" })],
    ["an empty key", 400, "invalid_request", send(add(1), { "idempotency-key": "" })],
    ["a long key", 400, "invalid_request", send(add(1), { "idempotency-key": "k".repeat(300) })],
    ["an empty array", 400, "invalid_request", send([])],
    ["an array too long", 400, "invalid_request", send(Array(1025).fill(add(1)))],
    ["no nonce", 400, "invalid_request", postTo(`${MAIN}/sessions`, "{}")],
    ["a nonce that is no text", 400, "invalid_request", postTo(`${MAIN}/sessions`, '{"nonce":1}')],
    [
      "a nonce that cannot be printed",
      400,
      "invalid_request",
      postTo(`${MAIN}/sessions`, '{"nonce":"\\u0000"}'),
    ],
    ["a query's unknown field", 400, "invalid_request", postTo(`${MAIN}/queries/total`, '{"arg":1}')],
    ["an unknown query", 404, "unknown_query", postTo(`${MAIN}/queries/nope`, "{}")],
    ["a query of the prototype", 404, "unknown_query", postTo(`${MAIN}/queries/constructor`, "{}")],
    ["a failing query", 422, "query_failed", postTo(`${MAIN}/queries/over`, "{}")],
    [
      "an unknown consistency",
      400,
      "invalid_request",
      postTo(`${MAIN}/queries/total?consistency=eventual`, "{}"),
    ],
    [
      "an unknown machine",
      404,
      "unknown_machine",
      { ...send(add(1)), path: "/v1/machines/bank/main/commands" },
    ],
    ["an upper-case name", 400, "invalid_request", at("/v1/machines/Tally/main")],
    ["an id that begins with a dot", 400, "invalid_request", at("/v1/machines/tally/.main")],
    ["an encoded slash", 400, "invalid_request", at("/v1/machines/tally/a%2fb")],
    ["an encoded NUL", 400, "invalid_request", at("/v1/machines/tally/a%00b")],
    ["an encoded newline", 400, "invalid_request", at("/v1/machines/tally/a%0a")],
    ["a broken escape", 400, "invalid_request", at("/v1/machines/tally/a%zz")],
    ["invalid UTF-8 in a path", 400, "invalid_request", at("/v1/machines/tally/a%ff")],
    ["a backslash in a path", 400, "invalid_request", at("/v1/machines/tally/a\\b")],
    ["a long id", 400, "invalid_request", at(`/v1/machines/tally/${"i".repeat(129)}`)],
    ["an encoded slash in a client", 400, "invalid_request", at(`${MAIN}/inbox/a%2Fb`)],
    ["a control character in a client", 400, "invalid_request", at(`${MAIN}/inbox/a%07b`)],
    ["a long client", 400, "invalid_request", at(`${MAIN}/inbox/${"c".repeat(129)}`)],
    ["a negative cursor", 400, "invalid_request", at(`${MAIN}/inbox/bob?after=-1`)],
    [
      "a cursor that is none",
      400,
      "invalid_request",
      { ...at(`${MAIN}/inbox/bob`), headers: { "last-event-id": "x" } },
    ],
    ["slot 0 of the log", 400, "invalid_request", at(`${MAIN}/log?from=0`)],
    ["a slot beyond 2^53", 400, "invalid_request", at(`${MAIN}/log?from=99999999999999999`)],
    ["a slot that is none", 400, "invalid_request", at(`${MAIN}/state?at=1e3`)],
    ["an odd page", 400, "invalid_request", at("/v1/machines?after=a/b/c")],
    ["an unknown route", 404, "not_found", at("/v2/nothing")],
    ["the root", 404, "not_found", at("/")],
    ["path traversal", 404, "not_found", at("/v1/machines/../../etc/passwd")],
    ["GET of a POST", 405, "invalid_request", at(COMMANDS)],
    ["DELETE", 405, "invalid_request", at(MAIN, "DELETE")],
    ["a leader that cannot be", 400, "invalid_request", { ...send({}), path: "/v1/leaders/a%20b/drain" }],
    [
      "no tables for the registry",
      400,
      "invalid_request",
      { ...send({ replace: 1 }), path: "/v1/registry/reconfigure" },
    ],
    ["POST of a GET", 405, "invalid_request", { ...send({}), path: "/v1/status" }],
    [
      "a foreign Host",
      403,
      "forbidden",
      { ...send(add(1)), headers: { ...JSON_TYPE, host: "evil.example" } },
    ],
    [
      "a Host that begins like loopback",
      403,
      "forbidden",
      { ...send(add(1)), headers: { ...JSON_TYPE, host: "127.0.0.1.evil.example" } },
    ],
    ["a foreign Origin", 403, "forbidden", send(add(1), { origin: "http://evil.example" })],
    ["the Origin null", 403, "forbidden", send(add(1), { origin: "null" })],
    ["an Origin of another port", 403, "forbidden", send(add(1), { origin: "http://127.0.0.1:1" })],
  ];

  test.each(cases)("%s: %i %s", async (_, status, code, request) => {
    const answer = await rawRequest(served.url, request);
    expect(answer.status, answer.text).toBe(status);
    expect(answer.headers["content-type"]).toBe("application/problem+json");
    const problem = JSON.parse(answer.text);
    expect(problem).toMatchObject({ type: `urn:theseus:error:${code}`, code, status });
    expect(problem.title).not.toBe("");
    expect(backend.slots).toBe(0);
    expect(reported).toEqual([]);
    expect((await get("/v1/health")).status).toBe(200);
  });

  test("HEAD runs nothing, and 405 says what is allowed", async () => {
    const answer = await rawRequest(served.url, at(`${MAIN}/inbox/bob`, "HEAD"));
    expect(answer.status).toBe(405);
    expect(answer.headers.allow).toBe("GET");
    expect(backend.listeners).toBe(0);
  });

  test("the server's own page may call it", async () => {
    const answer = await postJson(served.url, COMMANDS, add(1), { origin: served.url });
    expect(answer.status).toBe(200);
  });
});

describe("the server", () => {
  test("an error of its own is reported, and tells the caller nothing of the inside", async () => {
    backend.failure = new Error("password=secret at /home/x.ts:1");
    const { status, text } = await postJson(served.url, COMMANDS, add(1));
    expect(status).toBe(500);
    expect(text).not.toContain("secret");
    expect(JSON.parse(text)).toMatchObject({ code: "outcome_unknown", retryable: true });
    expect(reported).toEqual([backend.failure]);
    backend.failure = undefined;
    expect((await post(COMMANDS, add(1))).status).toBe(200);
  });

  test("a request for another deployment is not executed", async () => {
    const guarded = await serve(ofDeployment(httpInterface(backend), "ours"), { port: 0 });
    const statuses = [];
    for (const headers of [{ "theseus-deployment": "theirs" }, { "theseus-deployment": "ours" }, {}])
      statuses.push((await postJson(guarded.url, COMMANDS, add(1), headers)).status);
    await guarded.close();
    expect(statuses).toEqual([503, 200, 200]);
    expect(backend.slots).toBe(2);
  });

  test("a port in use is said in words", async () => {
    await expect(serve(httpInterface(backend), { port: served.port })).rejects.toThrow(
      `port ${served.port} is in use`,
    );
  });

  test("closing lets a request under way finish, and takes no more", async () => {
    // Neither the server's deadline nor an idle connection's may end the test's connection.
    vi.useFakeTimers({ toFake: ["setTimeout"] });
    const gate = Promise.withResolvers<void>();
    const arrived = Promise.withResolvers<void>();
    const fetch = async () => {
      arrived.resolve();
      await gate.promise;
      return new Response("done");
    };
    const slow = await serve({ fetch }, { port: 0 });
    slow.server.keepAliveTimeout = 0;
    const agent = new Agent({ keepAlive: true });
    const answer = once(httpGet(slow.url, { agent }), "response");
    await arrived.promise;
    const closed = slow.close();
    await expect(rawRequest(slow.url, { path: "/" })).rejects.toThrow("ECONNREFUSED");
    gate.resolve();
    const [incoming] = (await answer) as [IncomingMessage];
    expect(await text(incoming)).toBe("done");
    await closed;
    agent.destroy();
  });
});

describe("reconfiguring and endorsing", () => {
  test.each<[object, RegExp]>([
    [{ replace: "a", override: "hurry" }, /operator must match/],
    [{ replace: "a", operator: "ada", override: " " }, /override must match/],
    [{ replace: "a", operator: "a\nda" }, /operator must match/],
    [{ replace: "a", operator: 7 }, /operator must match/],
    [{ operator: "ada" }, /the body must be/],
  ])("a reconfiguration by %j is refused", async (request, detail) => {
    const { status, body } = await post(`${MAIN}/reconfigure`, request);
    expect([status, body.code]).toEqual([400, "invalid_request"]);
    expect(body.detail).toMatch(detail);
  });

  test.each<[unknown, RegExp]>([
    [{}, /configuration must be a number/],
    [{ machine: "tally/main", configuration: "2" }, /configuration must be a number/],
    [{ machine: "tally", configuration: 2 }, /instance's id must match/],
    [{ machine: "tally/main/1", configuration: 2 }, /machine must be a machine's name/],
    [{ configuration: 2 }, /a machine's name must match/],
    [{ machine: "tally/main", configuration: 2, expires: 1 }, /unknown field/],
    [[], /expected an object/],
  ])("an endorsement of %j is refused", async (request, detail) => {
    const { status, body } = await post("/v1/endorsements", request);
    expect([status, body.code]).toEqual([400, "invalid_request"]);
    expect(body.detail).toMatch(detail);
  });

  test("who endorses answers with the endorsement, and who does not says why", async () => {
    const request = { machine: "tally/main", configuration: 2 };
    expect(await post("/v1/endorsements", request)).toMatchObject({
      status: 409,
      body: { code: "not_endorsed", retryable: false },
    });
    const endorsement = {
      leader: "l1",
      machine: "tally/main" as MachineId,
      previous: 1,
      configuration: 2,
      expires: 3,
      signature: "s",
    };
    backend.endorser = { endorse: async () => endorsement };
    expect(await post("/v1/endorsements", request)).toEqual({ status: 200, body: endorsement });
  });

  test("overrides are listed", async () => {
    expect(await get("/v1/registry/audit")).toEqual({ status: 200, body: { audit: [] } });
  });
});

describe("problems", () => {
  test.each([
    new Unavailable("not_leader", "elsewhere", { leader: "http://127.0.0.1:1" }),
    new OutcomeUnknown("unknown_session", "forgotten", { slot: 3 }),
    new Forbidden("forbidden", "no"),
  ])("%s survives the wire", (error) => {
    const problem = JSON.parse(JSON.stringify(problemOf(error)));
    expect(isProblem(problem)).toBe(true);
    expect(errorOf(problem)).toEqual(error);
    expect(errorOf(problem).constructor).toBe(error.constructor);
    const { code, leader, slot, retryable } = error;
    expect(errorOf(problem)).toMatchObject({ code, leader, slot, retryable });
    expect(problem.retryable).toBe(retryable);
  });

  test.each([null, "x", {}, { code: "new_code", detail: "" }, { code: "toString", detail: "" }])(
    "%j is none",
    (value) => {
      expect(isProblem(value)).toBe(false);
    },
  );
});
