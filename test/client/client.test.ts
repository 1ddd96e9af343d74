/** The client against real servers that fail in every way a server may. */
import { afterEach, beforeEach, describe, expect, expectTypeOf, test } from "vitest";
import { ExchangeFailed } from "../../shared/client/exchange.ts";
import {
  CommandOutcomeUnknown,
  connect,
  Invalid,
  OutcomeUnknown,
  Refused,
  type Theseus,
  Unavailable,
} from "../../shared/client/index.ts";
import type { InboxMessage } from "../../shared/client/machine.ts";
import type { TheseusError } from "../../shared/errors.ts";
import { type LogLine, problemOf } from "../../shared/wire.ts";
import { type Fault, FaultyServer, faults } from "../support/faulty-server.ts";
import { MemoryBackend } from "../support/memory-backend.ts";
import { tally } from "../support/tally.ts";

const NOBODY = "http://127.0.0.1:1";

let backend: MemoryBackend;
let server: FaultyServer;
const opened: { close(): unknown }[] = [];

beforeEach(async () => {
  backend = new MemoryBackend(tally);
  server = await started(backend);
});
afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
});

async function started(on: MemoryBackend, headers: Record<string, string> = {}): Promise<FaultyServer> {
  const started = await new FaultyServer().listen(on, headers);
  opened.push({ close: () => started.kill() });
  return started;
}

function client(urls: string | readonly string[] = server.url): Theseus {
  const theseus = connect(urls);
  opened.push(theseus);
  return theseus;
}

const main = (urls?: string | readonly string[]) => client(urls).machine(tally, "main");
const add = (amount: number) => ({ type: "add", amount }) as const;

/** Lets the event loop turn, in which client and server do their work. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1));
}

async function collected<Element>(stream: AsyncIterable<Element>): Promise<readonly Element[]> {
  const elements: Element[] = [];
  for await (const element of stream) elements.push(element);
  return elements;
}

async function logged(): Promise<readonly LogLine["commands"][number][]> {
  const lines = await collected(main().log());
  return lines.flatMap(({ commands }) => commands);
}

describe("what a client says and hears", () => {
  test("a command's response, typed from the definition; a refusal as its reason", async () => {
    const machine = main();
    const response = await machine.send(add(2));
    expect(response).toBe(2);
    expectTypeOf(response).toEqualTypeOf<number | "told" | "nothing to add">();
    expect(await machine.send(add(0))).toBe("nothing to add");
    // @ts-expect-error: not a command of this machine
    await expect(machine.send({ type: "steal" })).rejects.toBeInstanceOf(Invalid);
    await expect(machine.send({ type: "break" })).rejects.toBeInstanceOf(Refused);
    expect(await machine.send(add(1))).toBe(3);
  });

  test("queries, state, status", async () => {
    const machine = main();
    await machine.send(add(2));
    expectTypeOf(await machine.query("total")).toEqualTypeOf<number>();
    expect(await machine.query("total")).toBe(2);
    expect(await machine.query("over", 1, { stale: true })).toBe(true);
    expect(backend.consistencies.at(-1)).toBe("stale");
    // @ts-expect-error: over takes a number
    await expect(machine.query("over", "1")).rejects.toMatchObject({ code: "query_failed" });
    // @ts-expect-error: there is no such query
    await expect(machine.query("nope")).rejects.toMatchObject({ code: "unknown_query" });
    expect(await machine.state()).toEqual({ asOf: 2, state: { total: 2, added: 1 } });
    expect(await machine.status()).toMatchObject({ machine: "tally", applied: 2 });
    expect(await client().status()).toHaveProperty("leaders");
  });

  test("a machine by name takes any command", async () => {
    expect(await client().machine("tally", "other").send(add(4))).toBe(4);
  });

  test.each(["", "ftp://x", "nowhere"])("connect(%j) is invalid", (url) => {
    expect(() => connect(url)).toThrow(Invalid);
  });

  test("what cannot be a machine is refused before anything is sent", () => {
    expect(() => client().machine("Tally", "main")).toThrow(Invalid);
    expect(() => client().machine(tally, "a/b")).toThrow(Invalid);
  });
});

describe("exactly once", () => {
  const badly: Record<string, Fault> = faults;
  test.each([
    "dropBeforeExecuting",
    "dropAfterExecuting",
    "foreign503AfterExecuting",
    "hangAfterExecuting",
    "hang",
    "lastElementUnknown",
  ])("%s: the command is executed once and answered", async (name) => {
    const machine = main();
    await machine.send(add(1));
    const fault = badly[name] as Fault;
    server.fault("/commands", fault, fault);
    expect(await machine.send(add(10))).toBe(11);
    expect(server.count("/commands")).toBe(4);
    expect(await machine.query("total")).toBe(11);
  });

  test("a session whose opening broke is opened once", async () => {
    server.fault("/sessions", faults.dropAfterExecuting);
    expect(await main().send(add(1))).toBe(1);
    expect(server.count("/sessions")).toBe(2);
    const nonces = (await logged()).flatMap((command) => ("open" in command ? [command.open] : []));
    expect(nonces).toHaveLength(2);
    expect(new Set(nonces).size).toBe(1);
  });

  test("without an answer by the deadline the outcome is unknown, and can be asked for", async () => {
    const machine = main();
    await machine.send(add(1));
    server.fault("/commands", faults.hangAfterExecuting);
    const unknown = await machine.send(add(10), { deadlineMs: 200 }).catch((error) => error);
    expect(unknown).toBeInstanceOf(CommandOutcomeUnknown);
    expect(unknown).toBeInstanceOf(OutcomeUnknown);
    expect(unknown.sequence).toBe(2);
    expect(await machine.send(add(10), { attempt: unknown })).toBe(11);
    expect(await machine.query("total")).toBe(11);
  });

  test("other commands leave the session of an unknown outcome alone", async () => {
    const machine = main();
    await machine.send(add(1));
    server.fault("/commands", faults.hang);
    const unknown = await machine.send(add(10), { deadlineMs: 200 }).catch((error) => error);
    expect(await machine.send(add(100))).toBe(101);
    expect(await machine.send(add(10), { attempt: unknown })).toBe(111);
  });

  test("what was never sent is unavailable, not unknown", async () => {
    const error = await main(NOBODY)
      .send(add(1), { deadlineMs: 200 })
      .catch((error) => error);
    expect(error).toBeInstanceOf(Unavailable);
  });

  test("commands that meet forgotten sessions were not executed, and go again in new ones", async () => {
    const machine = main();
    const twenty = () => Promise.all(Array.from({ length: 20 }, () => machine.send(add(1))));
    await twenty();
    backend.forget();
    expect(new Set(await twenty()).size).toBe(20);
    expect(await machine.query("total")).toBe(20);
  });

  test("a session that is forgotten after an unknown outcome leaves it unknown, and the next command has a new one", async () => {
    const machine = main();
    await Promise.all([machine.send(add(1)), machine.send(add(1))]);
    server.fault("/commands", async (next, bindings) => {
      await next();
      backend.forget();
      return faults.dropBeforeExecuting(next, bindings);
    });
    const unknown = await machine.send(add(1)).catch((error) => error);
    expect(unknown).toBeInstanceOf(CommandOutcomeUnknown);
    expect(unknown).toMatchObject({ code: "unknown_session", sequence: 2, retryable: false });
    expect(await machine.query("total")).toBe(0);
    expect(await machine.send(add(1))).toBe(1);
    const asked = machine.send(add(1), { attempt: unknown });
    await expect(asked).rejects.toBeInstanceOf(CommandOutcomeUnknown);
  });

  test("closing ends what is under way", async () => {
    const theseus = client();
    const machine = theseus.machine(tally, "main");
    await machine.send(add(1));
    server.fault("/commands", async (next, bindings) => {
      theseus.close();
      return faults.dropBeforeExecuting(next, bindings);
    });
    await expect(machine.send(add(1))).rejects.toBeInstanceOf(CommandOutcomeUnknown);
  });
});

describe("once an outcome is unknown", () => {
  const unknown = new OutcomeUnknown("outcome_unknown", "the leader was deposed");
  const notLeading = new Unavailable("not_leader", "another leads");
  const noSuchCommand = new Invalid("invalid_command", "a newer schema has no such command");
  const answering =
    (...errors: readonly TheseusError[]): Fault =>
    async () =>
      Response.json(errors.map(problemOf));

  /** A machine with one session for each command of a batch. */
  async function ready(sessions: number, deadlineMs?: number) {
    const theseus = connect(server.url, deadlineMs === undefined ? {} : { deadlineMs });
    opened.push(theseus);
    const machine = theseus.machine(tally, "main");
    await Promise.all(Array.from({ length: sessions }, () => machine.send(add(0))));
    return machine;
  }
  const failure = (sent: Promise<unknown>) => sent.then(String, (error) => error);

  test("refusals until the deadline do not make it 'not executed'; of the others in its batch they do", async () => {
    const machine = await ready(2, 2_000);
    server.fault("/commands", async (next, bindings) => {
      backend.failure = notLeading;
      return answering(unknown, notLeading)(next, bindings);
    });
    const [fenced, refused] = await Promise.all([
      failure(machine.send(add(1))),
      failure(machine.send(add(10))),
    ]);
    expect(fenced).toBeInstanceOf(CommandOutcomeUnknown);
    expect(refused).toBeInstanceOf(Unavailable);
    const asked = await failure(machine.send(add(1), { attempt: fenced, deadlineMs: 100 }));
    expect(asked).toBeInstanceOf(CommandOutcomeUnknown);
    backend.failure = undefined;
    expect(await machine.send(add(1), { attempt: fenced })).toBe(1);
  });

  test.each([
    ["an element's", answering(unknown)],
    ["a request's", faults.dropBeforeExecuting],
  ])("%s later refusal does not make it 'never executed'", async (_, fault: Fault) => {
    const machine = await ready(1);
    server.fault("/commands", async (next, bindings) => {
      backend.invalid = noSuchCommand;
      return fault(next, bindings);
    });
    expect(await failure(machine.send(add(1)))).toBeInstanceOf(CommandOutcomeUnknown);
    expect(await failure(machine.send(add(1)))).toMatchObject({ code: "invalid_command" });
  });

  test("nor does a refusal of the whole request", async () => {
    const machine = await ready(1);
    const forbidden: Fault = async () => new Response("log in first", { status: 403 });
    server.fault("/commands", faults.dropAfterExecuting, forbidden);
    const doubtful = await failure(machine.send(add(1)));
    expect(doubtful).toBeInstanceOf(CommandOutcomeUnknown);
    expect(await machine.send(add(1), { attempt: doubtful })).toBe(1);
  });

  test("the machine's own word ends it", async () => {
    const machine = await ready(1);
    server.fault("/commands", faults.dropAfterExecuting);
    expect(await failure(machine.send({ type: "break" }))).toMatchObject({ code: "apply_failed" });
    const sessions = (await logged()).flatMap((one) => ("session" in one ? [one.session] : []));
    const stale = await failure(
      machine.send(add(1), { attempt: { session: sessions[0] ?? "", sequence: 1 } }),
    );
    expect(stale).toMatchObject({
      code: "stale_sequence",
      message: expect.stringContaining("no longer known"),
    });
  });

  test("an answer that only a newer version understands is no response", async () => {
    const machine = await ready(1);
    server.fault("/commands", async () => Response.json([{ code: "new_code", detail: "" }]));
    expect(await failure(machine.send(add(1)))).toBeInstanceOf(CommandOutcomeUnknown);
  });

  test("a session's opening without an answer leaves no command in doubt", async () => {
    server.fault("/sessions", faults.hang);
    expect(await failure(client().machine(tally, "main").send(add(1), { deadlineMs: 100 }))).toBeInstanceOf(
      Unavailable,
    );
    const impatient = connect(server.url, { deadlineMs: 100 });
    opened.push(impatient);
    server.fault("/sessions", faults.hang);
    const error = await failure(impatient.machine(tally, "main").send(add(1), { deadlineMs: 5_000 }));
    expect(error).toBeInstanceOf(Unavailable);
  });

  test.each([
    [true, { code: "ECONNREFUSED", syscall: "connect" }],
    [true, { code: "ENOTFOUND", syscall: "getaddrinfo" }],
    [true, new AggregateError([{ syscall: "connect" }, { syscall: "connect" }])],
    [false, { code: "EHOSTUNREACH", syscall: "read" }],
    [false, new AggregateError([{ syscall: "connect" }, { syscall: "write" }])],
    [false, new Error("socket hang up")],
  ])("never sent: %s for %j", (expected, cause) => {
    expect(new ExchangeFailed(cause).neverSent).toBe(expected);
  });
});

describe("batches and sessions", () => {
  test("concurrent sends go in few requests, each with its own answer", async () => {
    const machine = main();
    const responses = await Promise.all(Array.from({ length: 500 }, () => machine.send(add(1))));
    expect(new Set(responses).size).toBe(500);
    expect(server.count("/sessions")).toBe(1);
    // As many as there are sessions at first, and the rest as these come free.
    expect(server.count("/commands")).toBeLessThanOrEqual(4);
  });

  test("those who are answered together ask again together", async () => {
    const machine = main();
    const caller = async () => {
      for (let n = 0; n < 10; n++) await machine.send(add(1));
    };
    await Promise.all(Array.from({ length: 20 }, caller));
    expect(server.count("/commands")).toBe(10);
  });

  test("what queues up while requests are in flight goes together", async () => {
    const machine = main();
    await Promise.all(Array.from({ length: 20 }, () => machine.send(add(1))));
    const gate = Promise.withResolvers<void>();
    const held: Fault = async (next) => {
      await gate.promise;
      return next();
    };
    server.fault("/commands", held, held);
    const before = server.count("/commands");
    const sends: Promise<unknown>[] = [];
    for (const requests of [1, 2]) {
      sends.push(machine.send(add(1)));
      while (server.count("/commands") < before + requests) await turn();
    }
    for (let n = 0; n < 18; n++) {
      sends.push(machine.send(add(1)));
      await turn();
    }
    expect(server.count("/commands") - before).toBe(2);
    gate.resolve();
    await Promise.all(sends);
    expect(server.count("/commands") - before).toBe(3);
  });

  test("the pool has as many sessions as were needed at once, and at most 256", async () => {
    const machine = main();
    const sessions = async () => (await logged()).filter((command) => "open" in command).length;
    for (let n = 0; n < 5; n++) await machine.send(add(1));
    expect(await sessions()).toBe(1);
    await Promise.all(Array.from({ length: 3 }, () => machine.send(add(1))));
    expect(await sessions()).toBe(3);
    await Promise.all(Array.from({ length: 600 }, () => machine.send(add(1))));
    expect(await sessions()).toBe(256);
  });

  test("a session never has two commands under way, and its sequences rise", async () => {
    const machine = main();
    await Promise.all(Array.from({ length: 600 }, () => machine.send(add(1))));
    for (const { commands } of await collected(machine.log())) {
      const inOne = commands.flatMap((command) => ("session" in command ? [command.session] : []));
      expect(new Set(inOne).size).toBe(inOne.length);
    }
    expect(await machine.query("total")).toBe(600);
  });

  test("one bad command does not spoil its batch", async () => {
    const results = await Promise.allSettled([
      main().send(add(1)),
      ...[add(1), { type: "steal" } as never, { type: "break" } as const, add(1)].map((command) =>
        main().send(command),
      ),
    ]);
    expect(results.map(({ status }) => status)).toEqual([
      "fulfilled",
      "fulfilled",
      "rejected",
      "rejected",
      "fulfilled",
    ]);
  });

  test("more than a request may carry goes in several", async () => {
    const machine = main();
    const text = "x".repeat(30_000);
    const sends = Array.from({ length: 100 }, () => machine.send({ type: "tell", client: "bob", text }));
    expect(new Set(await Promise.all(sends))).toEqual(new Set(["told"]));
    expect(server.count("/commands")).toBeGreaterThanOrEqual(3);
  });
});

describe("finding the leader", () => {
  const elsewhere = (leader?: string) => new Unavailable("not_leader", "another leads", { leader });

  test("a redirect is followed, and remembered", async () => {
    const standby = new MemoryBackend(tally);
    standby.failure = elsewhere(server.url);
    const first = await started(standby);
    const machine = main(first.url);
    expect(await machine.send(add(1))).toBe(1);
    expect(await machine.send(add(1))).toBe(2);
    expect(first.requests).toHaveLength(1);
  });

  test("a leader named in an answer is remembered", async () => {
    const via = await started(backend, { "theseus-leader": server.url });
    const machine = main(via.url);
    await machine.send(add(1));
    await machine.send(add(1));
    expect(via.requests).toHaveLength(1);
    expect(server.count("/commands")).toBe(2);
  });

  test("when the leader dies, those known before lead to the next one", async () => {
    const standby = new MemoryBackend(tally);
    standby.failure = elsewhere(server.url);
    const first = await started(standby);
    const machine = main(first.url);
    await machine.send(add(1));
    const successor = await started(backend);
    await server.kill();
    standby.failure = elsewhere(successor.url);
    expect(await machine.send(add(1))).toBe(2);
    expect(successor.count("/commands")).toBe(1);
  });

  test("a leader that is dead in everybody's memory is waited for", async () => {
    const standby = new MemoryBackend(tally);
    standby.failure = elsewhere(NOBODY);
    const first = await started(standby);
    const sent = main(first.url).send(add(1));
    while (first.requests.length < 3) await turn();
    standby.failure = undefined;
    expect(await sent).toBe(1);
  });

  test.each(["ftp://127.0.0.1:1", "urn:x:y", "no address"])("a leader at %j is ignored", async (leader) => {
    backend.failure = elsewhere(leader);
    const sent = main().send(add(1));
    while (server.requests.length < 3) await turn();
    backend.failure = undefined;
    expect(await sent).toBe(1);
  });

  test("of several addresses one is enough", async () => {
    expect(await main([NOBODY, server.url]).send(add(1))).toBe(1);
    const leaderless = new MemoryBackend(tally);
    leaderless.failure = elsewhere();
    expect(await main([(await started(leaderless)).url, server.url]).send(add(1))).toBe(2);
  });

  test("an overloaded leader is tried again", async () => {
    backend.failure = new Unavailable("unavailable", "too many commands wait");
    const sent = main().send(add(1));
    while (server.requests.length < 3) await turn();
    backend.failure = undefined;
    expect(await sent).toBe(1);
  });
});

describe("streams", () => {
  const tell = (text: string) => ({ type: "tell", client: "bob", text }) as const;

  test("an inbox goes on after the last message seen when its server dies", async () => {
    const machine = main();
    await machine.send(tell("one"));
    const standby = await started(backend);
    const reader = main([server.url, standby.url]).inbox("bob")[Symbol.asyncIterator]();
    const next = async () => (await reader.next()).value as InboxMessage;
    expect(await next()).toEqual({ cursor: 1, message: { text: "one" } });
    await server.kill();
    await main(standby.url).send(tell("two"));
    expect(await next()).toEqual({ cursor: 2, message: { text: "two" } });
    await reader.return?.();
  });

  test("an inbox resumes after a cursor, and ends with its signal", async () => {
    const machine = main();
    await machine.send(tell("one"));
    await machine.send(tell("two"));
    const leaving = new AbortController();
    const seen: unknown[] = [];
    for await (const { message } of machine.inbox("bob", { after: 1, signal: leaving.signal })) {
      seen.push(message);
      leaving.abort();
    }
    expect(seen).toEqual([{ text: "two" }]);
  });

  test("whoever stops reading leaves the server", async () => {
    await main().send(tell("one"));
    for await (const _ of main().inbox("bob")) break;
    while (backend.listeners > 0) await turn();
  });

  test("a message that looks like a problem is a message", async () => {
    const problems = [
      problemOf(new Invalid("not_found", "no")),
      problemOf(new Unavailable("unavailable", "no")),
    ];
    for (const message of problems) await main().send({ type: "relay", client: "bob", message });
    const reader = main().inbox("bob")[Symbol.asyncIterator]();
    for (const message of problems) expect((await reader.next()).value).toMatchObject({ message });
    await reader.return?.();
  });

  test("an event `problem` is an error, and is not resumed from", async () => {
    const eventStream = (problem: object): Fault => {
      const text = `id: 7\nevent: problem\ndata: ${JSON.stringify(problem)}\n\n`;
      return async () => new Response(text, { headers: { "content-type": "text/event-stream" } });
    };
    const passing = [problemOf(new Unavailable("unavailable", "no")), { code: "new_code", detail: "" }];
    server.fault("/bob", ...passing.map(eventStream), eventStream(problemOf(new Invalid("not_found", "no"))));
    const next = main().inbox("bob")[Symbol.asyncIterator]().next();
    await expect(next).rejects.toMatchObject({ code: "not_found" });
    expect(server.count("/bob")).toBe(3);
  });

  test("an inbox that can never be is an error", async () => {
    await expect(
      client().machine("nope", "main").inbox("bob")[Symbol.asyncIterator]().next(),
    ).rejects.toMatchObject({
      code: "unknown_machine",
    });
  });

  test("a log that broke off is read on from there", async () => {
    const machine = main();
    for (let n = 0; n < 5; n++) await machine.send(add(1));
    server.fault("/log", faults.breakOff);
    const slots = (await collected(machine.log({ from: 2 }))).map(({ slot }) => slot);
    expect(slots).toEqual([2, 3, 4, 5, 6]);
    expect(server.count("/log")).toBe(2);
  });

  test("what is no line of a log is an error, though only a newer version knows it", async () => {
    const line = `${JSON.stringify({ code: "new_code", detail: "" })}\n`;
    const unheardOf: Fault = async () =>
      new Response(line, { headers: { "content-type": "application/x-ndjson" } });
    server.fault("/log", unheardOf);
    await expect(collected(main().log())).rejects.toBeInstanceOf(OutcomeUnknown);
  });

  test("a log that cannot be read is an error, not a short log", async () => {
    await main().send(add(1));
    backend.damage("tally/main");
    const impatient = connect(server.url, { deadlineMs: 200 });
    await expect(collected(impatient.machine(tally, "main").log())).rejects.toBeInstanceOf(Unavailable);
  });
});
