/** The gateway between real clients and two leaders, whose connections break in every way. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { get as httpGet, type IncomingMessage } from "node:http";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { connect } from "../../shared/client/index.ts";
import { Unavailable } from "../../shared/errors.ts";
import { BODY_BYTES_MAX } from "../../shared/limits.ts";
import { Forwarder, type ForwarderOptions } from "../../shared/runtime/gateway/forward.ts";
import { LeaderDirectory } from "../../shared/runtime/gateway/leader-directory.ts";
import { isRepeatable } from "../../shared/runtime/gateway/repeatable.ts";
import { ofDeployment } from "../../shared/runtime/http/deployment-guard.ts";
import { httpInterface } from "../../shared/runtime/http/http.ts";
import { type Served, serve } from "../../shared/runtime/http/serve.ts";
import { type Fault, FaultyServer, faults } from "../support/faulty-server.ts";
import { MemoryBackend } from "../support/memory-backend.ts";
import { postJson, rawRequest } from "../support/raw-http.ts";
import { tally } from "../support/tally.ts";

const MAIN = "/v1/machines/tally/main";
const COMMANDS = `${MAIN}/commands`;
const NOBODY = "http://127.0.0.1:1";
const add = (amount: number) => ({ command: { type: "add", amount } });

let leads: MemoryBackend;
let follows: MemoryBackend;
let leader: FaultyServer;
let other: FaultyServer;
let gateway: Served;
let reported: unknown[];
let cleanup: (() => unknown)[];

beforeEach(async () => {
  cleanup = [];
  reported = [];
  leads = new MemoryBackend(tally);
  follows = new MemoryBackend(tally);
  leader = await started(leads);
  other = await started(follows);
  follows.failure = new Unavailable("not_leader", "another leads", { leader: leader.url });
  gateway = await gatewayTo([other.url, leader.url]);
});
afterEach(async () => {
  for (const undo of cleanup.reverse()) await undo();
});

async function started(backend: MemoryBackend): Promise<FaultyServer> {
  const server = await new FaultyServer().listen(backend);
  cleanup.push(() => server.kill());
  return server;
}

async function gatewayTo(
  leaders: readonly string[],
  { registry, ...options }: ForwarderOptions & { readonly registry?: string } = {},
): Promise<Served> {
  const directory = new LeaderDirectory(leaders, registry);
  const report = (error: unknown) => void reported.push(error);
  const forwarder = new Forwarder(directory, report, options);
  await directory.renew();
  const served = await serve(forwarder.app, { port: 0, report });
  cleanup.push(async () => {
    const closed = served.close();
    served.server.closeAllConnections();
    await closed;
    forwarder.close();
    directory.close();
  });
  return served;
}

const post = async (path: string, body: unknown, headers = {}, to = gateway) => {
  const { status, text } = await postJson(to.url, path, body, headers);
  return { status, body: JSON.parse(text) };
};
const total = async () => (await post(`${MAIN}/queries/total`, {})).body.result;
const openSession = async () => (await post(`${MAIN}/sessions`, { nonce: "n" })).body.session;

describe("finding the leader", () => {
  test("each request goes to whoever leads its machine, and who that is is learnt once", async () => {
    for (const response of [1, 2, 3])
      expect(await post(COMMANDS, add(1))).toMatchObject({ status: 200, body: { response } });
    expect(other.requests).toHaveLength(1);
    expect(leader.requests).toHaveLength(3);
  });

  test("machines have leaders of their own", async () => {
    const bank = new MemoryBackend(tally);
    const third = await started(bank);
    await post(COMMANDS, add(1));
    follows.failure = new Unavailable("not_leader", "another leads", { leader: third.url });
    leads.failure = follows.failure;
    expect(await post("/v1/machines/tally/second/commands", add(5))).toMatchObject({ body: { response: 5 } });
    leads.failure = undefined;
    expect(await post(COMMANDS, add(1))).toMatchObject({ body: { response: 2 } });
    expect(third.requests).toHaveLength(1);
  });

  test("dead leaders and those that are unavailable are passed over", async () => {
    const to = await gatewayTo([NOBODY, leader.url]);
    for (const response of [1, 2])
      expect(await post(COMMANDS, add(1), {}, to)).toMatchObject({ status: 200, body: { response } });
    follows.failure = new Unavailable("unavailable", "too busy");
    const both = await gatewayTo([other.url, leader.url]);
    expect(await post(COMMANDS, add(1), {}, both)).toMatchObject({ status: 200, body: { response: 3 } });
  });

  test("the registry lists the leaders, and may then be down", async () => {
    const listed = { leaders: [{ id: "l", address: leader.url }] };
    const registry = await serve({ fetch: () => Response.json(listed) }, { port: 0 });
    const to = await gatewayTo([], { registry: registry.url });
    expect(await post(COMMANDS, add(1), {}, to)).toMatchObject({ status: 200, body: { response: 1 } });
    await registry.close();
    leader.fault("/commands", faults.dropBeforeExecuting);
    expect(await post(COMMANDS, add(1), { "idempotency-key": "k" }, to)).toMatchObject({
      body: { response: 2 },
    });
  });

  test("what the registry lists and is no address is passed over", async () => {
    const addresses = ["no address", "urn:x:y", "ftp://127.0.0.1:1", leader.url];
    const listed = { leaders: addresses.map((address) => ({ id: "l", address })) };
    const registry = await serve({ fetch: () => Response.json(listed) }, { port: 0 });
    cleanup.push(() => registry.close());
    const to = await gatewayTo([], { registry: registry.url, deadlineMs: 1_500 });
    expect(await post(COMMANDS, add(1), {}, to)).toMatchObject({ status: 200, body: { response: 1 } });
  });

  test("leaders of another deployment are passed over", async () => {
    const theirs = new MemoryBackend(tally);
    const guarded = [
      await serve(ofDeployment(httpInterface(theirs), "theirs"), { port: 0 }),
      await serve(ofDeployment(httpInterface(leads), "ours"), { port: 0 }),
    ];
    for (const served of guarded) cleanup.push(() => served.close());
    const to = await gatewayTo(
      guarded.map(({ url }) => url),
      { deployment: "ours" },
    );
    expect(await post(COMMANDS, add(1), {}, to)).toMatchObject({ status: 200, body: { response: 1 } });
    expect([theirs.slots, leads.slots]).toEqual([0, 1]);
  });

  test("after a failure the registry is asked again", async () => {
    let address = NOBODY;
    const fetch = () => Response.json({ leaders: [{ id: "l", address }] });
    const registry = await serve({ fetch }, { port: 0 });
    cleanup.push(() => registry.close());
    // Too short for the list to be asked for by its age.
    const to = await gatewayTo([], { registry: registry.url, deadlineMs: 1_500 });
    address = leader.url;
    expect(await post(COMMANDS, add(1), {}, to)).toMatchObject({ status: 200, body: { response: 1 } });
  });

  test("with nobody to ask, nothing was executed", async () => {
    const to = await gatewayTo([], { deadlineMs: 50 });
    expect(await post(COMMANDS, add(1), {}, to)).toMatchObject({
      status: 503,
      body: { code: "unavailable" },
    });
  });
});

describe("a connection that breaks after the request was sent", () => {
  const broken: Record<string, Fault> = faults;
  const names = ["dropBeforeExecuting", "dropAfterExecuting", "foreign503AfterExecuting"];

  test.each(names)("%s: a bare command is not repeated", async (name) => {
    await post(COMMANDS, add(1));
    leader.fault("/commands", broken[name] as Fault);
    expect((await post(COMMANDS, add(10))).status).toBeGreaterThanOrEqual(500);
    expect(leader.count("/commands")).toBe(2);
    expect([1, 11]).toContain(await total());
  });

  test("its caller hears that the outcome is unknown", async () => {
    leader.fault("/commands", faults.dropAfterExecuting);
    expect(await post(COMMANDS, add(1))).toMatchObject({ status: 504, body: { code: "outcome_unknown" } });
  });

  test.each(names)("%s: commands with sessions are repeated, and executed once", async (name) => {
    const session = await openSession();
    leader.fault("/commands", broken[name] as Fault);
    const commands = [{ ...add(10), session, sequence: 1 }];
    expect(await post(COMMANDS, commands)).toMatchObject({ status: 200, body: [{ response: 10 }] });
    expect(leader.count("/commands")).toBe(2);
    expect(await total()).toBe(10);
  });

  test.each(names)("%s: a command with a key is repeated, and executed once", async (name) => {
    leader.fault("/commands", broken[name] as Fault);
    const headers = { "idempotency-key": "k" };
    expect(await post(COMMANDS, add(10), headers)).toMatchObject({ status: 200, body: { response: 10 } });
    expect(await total()).toBe(10);
  });

  test("reads and the opening of sessions are repeated", async () => {
    leader.fault("/sessions", faults.dropAfterExecuting);
    leader.fault("/total", faults.dropAfterExecuting);
    expect(await openSession()).toBe("1-0");
    expect(await total()).toBe(0);
  });

  test("a silent leader does not hold up what may be repeated", async () => {
    await post(COMMANDS, add(1));
    leader.fault("/commands", faults.hang);
    expect(await post(COMMANDS, add(1), { "idempotency-key": "k" })).toMatchObject({ body: { response: 2 } });
  });

  test("a silent leader's bare command is unknown at the deadline, and never sent twice", async () => {
    const to = await gatewayTo([leader.url], { deadlineMs: 700 });
    leader.fault("/commands", faults.hangAfterExecuting);
    expect(await post(COMMANDS, add(1), {}, to)).toMatchObject({ status: 504 });
    expect(leader.count("/commands")).toBe(1);
  });

  describe("what the last attempt says of itself is not passed on as if it were of all", () => {
    const steal = { command: { type: "steal" } };
    const thief = { ...steal, session: "1-0", sequence: 1 };

    test.each(["dropBeforeExecuting", "dropAfterExecuting"])("%s: a refusal alone", async (name) => {
      await openSession();
      expect(await post(COMMANDS, thief)).toMatchObject({ status: 422 });
      leader.fault("/commands", broken[name] as Fault);
      expect(await post(COMMANDS, thief)).toMatchObject({ status: 504, body: { code: "outcome_unknown" } });
    });

    test("refusals in an array, of which the others are answered", async () => {
      await post(
        `${MAIN}/sessions`,
        [1, 2, 3, 4].map((n) => ({ nonce: String(n) })),
      );
      const inSession = [add(10), steal, { command: { type: "break" } }, add(1)].map((one, index) => ({
        ...one,
        session: `1-${index === 3 ? 99 : index}`,
        sequence: 1,
      }));
      leader.fault("/commands", faults.dropAfterExecuting);
      expect(await post(COMMANDS, inSession)).toMatchObject({
        status: 200,
        body: [
          { response: 10 },
          { code: "outcome_unknown", status: 504 },
          { code: "apply_failed" },
          { code: "outcome_unknown" },
        ],
      });
      expect(await post(COMMANDS, inSession)).toMatchObject({
        body: [{ response: 10 }, { code: "invalid_command" }, {}, { code: "unknown_session" }],
      });
    });

    test("a session that was forgotten between two attempts: the client sends the command once only", async () => {
      const theseus = connect(gateway.url);
      cleanup.push(() => theseus.close());
      const machine = theseus.machine("tally", "main");
      await machine.send({ type: "add", amount: 1 });
      leader.fault("/commands", async (next, bindings) => {
        await next();
        leads.forget();
        return faults.dropBeforeExecuting(next, bindings);
      });
      const sent = machine.send({ type: "add", amount: 10 });
      await expect(sent).rejects.toMatchObject({ code: "unknown_session", sequence: 2 });
      expect(await total()).toBe(0);
    });

    test("reads are in no doubt", async () => {
      leader.fault("/nope", faults.dropBeforeExecuting);
      expect(await post(`${MAIN}/queries/nope`, {})).toMatchObject({ status: 404 });
    });
  });

  const body = (value: unknown) => JSON.stringify(value);
  const inSession = { ...add(1), session: "1-0", sequence: 1 };
  test.each([
    [true, { method: "GET", path: `${MAIN}/log` }],
    [true, { method: "POST", path: `${MAIN}/queries/total?consistency=stale`, body: "{}" }],
    [true, { method: "POST", path: `${MAIN}/sessions`, body: body({ nonce: "n" }) }],
    [true, { method: "POST", path: COMMANDS, body: body(inSession) }],
    [true, { method: "POST", path: COMMANDS, body: body([inSession, inSession]) }],
    [true, { method: "POST", path: COMMANDS, body: body(add(1)), headers: { "idempotency-key": "k" } }],
    [false, { method: "POST", path: COMMANDS, body: body([inSession, add(1)]) }],
    [false, { method: "POST", path: COMMANDS, body: body({ ...add(1), session: "1-0" }) }],
    [false, { method: "POST", path: COMMANDS, body: "[null]" }],
    [false, { method: "POST", path: COMMANDS, body: "not JSON" }],
    [true, { method: "POST", path: "/v1/leaders/leader-1/drain", body: "{}" }],
    [true, { method: "POST", path: "/v1/registry/reconfigure", body: "{}" }],
    [false, { method: "POST", path: "/v1/machines/bank/main/reconfigure", body: "{}" }],
    [false, { method: "POST", path: `${MAIN}/reconfigure`, body: "{}" }],
    [false, { method: "POST", path: "/v1/machines/sessions/commands/x", body: "{}" }],
  ])("repeatable: %s for %j", (expected, request) => {
    expect(isRepeatable(request)).toBe(expected);
  });
});

describe("what passes through", () => {
  test("a leader's own refusals, as they are", async () => {
    expect(await post(COMMANDS, { command: { type: "steal" } })).toMatchObject({
      status: 422,
      body: { code: "invalid_command" },
    });
    const lost = await rawRequest(gateway.url, { path: "/v2/nothing" });
    expect(lost).toMatchObject({ status: 404, headers: { "content-type": "application/problem+json" } });
    const method = await rawRequest(gateway.url, { path: MAIN, method: "DELETE" });
    expect(method).toMatchObject({ status: 405, headers: { allow: "GET" } });
  });

  test("the status of the deployment from any leader; health is the gateway's own", async () => {
    expect((await rawRequest(gateway.url, { path: "/v1/status" })).status).toBe(200);
    const alone = await gatewayTo([]);
    expect((await rawRequest(alone.url, { path: "/v1/health" })).status).toBe(200);
  });

  test("no body above the limit, and no foreign page", async () => {
    expect((await post(COMMANDS, " ".repeat(BODY_BYTES_MAX + 1))).status).toBe(413);
    expect((await post(COMMANDS, add(1), { origin: "http://evil.example" })).status).toBe(403);
    expect(leader.requests).toEqual([]);
  });

  test("the client of this package, with its sessions and batches", async () => {
    const theseus = connect(gateway.url);
    cleanup.push(() => theseus.close());
    const machine = theseus.machine(tally, "main");
    leader.fault("/commands", faults.dropAfterExecuting);
    await Promise.all(Array.from({ length: 50 }, () => machine.send({ type: "add", amount: 1 })));
    expect(await machine.query("total")).toBe(50);
  });

  test("a log, line by line", async () => {
    await post(COMMANDS, add(1));
    await post(COMMANDS, add(1));
    const { text, headers } = await rawRequest(gateway.url, { path: `${MAIN}/log` });
    expect(headers["content-type"]).toBe("application/x-ndjson");
    expect(text.trim().split("\n")).toHaveLength(2);
  });

  test("a log that its leader broke off does not look whole", async () => {
    for (let n = 0; n < 3; n++) await post(COMMANDS, add(1));
    leader.fault("/log", faults.breakOff);
    await expect(rawRequest(gateway.url, { path: `${MAIN}/log` })).rejects.toThrow();
    expect((await rawRequest(gateway.url, { path: "/v1/health" })).status).toBe(200);
  });
});

describe("an inbox through the gateway", () => {
  const tell = (text: string) => post(COMMANDS, { command: { type: "tell", client: "bob", text } });

  /** An open event stream after its first event. */
  async function openInbox(): Promise<IncomingMessage> {
    await tell("one");
    const [answer] = (await once(
      httpGet(`${gateway.url}${MAIN}/inbox/bob`, { agent: false }),
      "response",
    )) as [IncomingMessage];
    answer.setEncoding("utf8");
    expect(String(await once(answer, "data"))).toContain("one");
    return answer;
  }

  test("comes as it happens, and the leader is left when the reader leaves", async () => {
    const answer = await openInbox();
    await tell("two");
    expect(String(await once(answer, "data"))).toContain("two");
    expect(leads.listeners).toBe(1);
    answer.on("error", () => {}).destroy();
    while (leads.listeners > 0) await new Promise((resolve) => setTimeout(resolve, 1));
  });

  test("breaks when its leader dies", async () => {
    const answer = await openInbox();
    const broke = once(answer, "error");
    await leader.kill();
    await broke;
    expect(answer.complete).toBe(false);
  });

  test("ends in order when the gateway closes", async () => {
    const answer = await openInbox();
    const ended = once(answer.resume(), "end");
    await gateway.close();
    await ended;
    expect(answer.complete).toBe(true);
  });
});

describe("the process", () => {
  test.each(["SIGTERM", "SIGINT"] as const)(
    "says when it is ready, serves, and ends on %s",
    async (signal) => {
      const entry = new URL("../../functions/gateway.ts", import.meta.url).pathname;
      const child = spawn(process.execPath, [
        entry,
        "--port",
        "0",
        "--leaders",
        `${other.url},${leader.url}`,
      ]);
      cleanup.push(() => child.kill("SIGKILL"));
      const exited = once(child, "exit");
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
      const ready = JSON.parse((await lines.next()).value ?? "");
      expect(ready).toMatchObject({
        event: "ready",
        url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      });
      expect((await postJson(ready.url, COMMANDS, add(1))).status).toBe(200);
      child.kill(signal);
      expect(await exited).toEqual([0, null]);
    },
  );

  test("a port in use is an error in words, and a failure", async () => {
    const entry = new URL("../../functions/gateway.ts", import.meta.url).pathname;
    const child = spawn(process.execPath, [entry, "--port", String(gateway.port)]);
    const exited = once(child, "exit");
    const [line] = await once(createInterface({ input: child.stdout }), "line");
    expect(line).toContain(`port ${gateway.port} is in use`);
    expect(await exited).toEqual([1, null]);
  });
});
