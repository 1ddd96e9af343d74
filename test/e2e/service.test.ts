/** A whole deployment of real processes, used as any client in any language would use it. */
import { statSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bank } from "../../examples/bank.ts";
import { lock } from "../../examples/lock.ts";
import { connect } from "../../shared/client/index.ts";
import { BODY_BYTES_MAX } from "../../shared/limits.ts";
import type { MachineStatus } from "../../shared/wire.ts";
import { startDeployment, type TestDeployment, until } from "../support/deployment.ts";
import { postJson, rawRequest } from "../support/raw-http.ts";
import { STORE } from "../support/store.ts";

const JSON_TYPE = { "content-type": "application/json" };
const DEPOSIT = { type: "deposit", account: "alice", amount: 100 };

let deployment: TestDeployment;
beforeAll(async () => {
  deployment = await startDeployment({ file: "test/e2e/machines/several.ts" });
});
afterAll(async () => {
  await deployment?.stop();
});

async function post(path: string, body: unknown, headers: Record<string, string> = {}, url = deployment.url) {
  const { status, text } = await postJson(url, path, body, headers);
  return { status, body: JSON.parse(text) };
}

async function describeMachine(machine: string): Promise<MachineStatus> {
  const { text } = await rawRequest(deployment.url, { path: `/v1/machines/${machine}` });
  return JSON.parse(text);
}

/** Of a machine that is on its way from one to the other, the next one. */
async function leaderOf(machine: string): Promise<string> {
  let leader: string | undefined;
  await until(async () => {
    leader = (await describeMachine(machine)).leader?.id;
    return leader !== undefined;
  });
  return leader as string;
}

describe("exactly once", () => {
  test("the same session and sequence is executed once, also when it comes to the other process", async () => {
    const at = "/v1/machines/bank/once";
    const { session } = (await post(`${at}/sessions`, { nonce: "n" })).body;
    const command = { command: DEPOSIT, session, sequence: 1 };
    const first = await post(`${at}/commands`, command);
    expect(first).toMatchObject({ status: 200, body: { response: "OK" } });
    const leader = await leaderOf("bank/once");
    deployment.kill(leader, "SIGKILL");
    expect(await post(`${at}/commands`, command)).toEqual(first);
    expect((await post(`${at}/queries/balance`, { args: "alice" })).body.result).toBe(100);
    expect(await post(`${at}/commands`, { ...command, sequence: 3 })).toMatchObject({ status: 200 });
    expect(await post(`${at}/commands`, { ...command, sequence: 2 })).toMatchObject({
      status: 409,
      body: { code: "stale_sequence", retryable: false },
    });
  });

  test("so is a command with an Idempotency-Key", async () => {
    const at = "/v1/machines/bank/keyed";
    const first = await post(`${at}/commands`, { command: DEPOSIT }, { "idempotency-key": "k" });
    expect(await post(`${at}/commands`, { command: DEPOSIT }, { "idempotency-key": "k" })).toEqual(first);
    expect((await post(`${at}/queries/total`, {})).body.result).toBe(100);
  });

  test("a session that nobody opened executes nothing", async () => {
    const at = "/v1/machines/bank/nobody";
    const send = () => post(`${at}/commands`, { command: DEPOSIT, session: "999-0", sequence: 1 });
    let answer = await send();
    // Its first leader may have been deposed meanwhile: whoever is in doubt asks again.
    while (answer.body.code === "outcome_unknown") answer = await send();
    expect(answer).toMatchObject({ status: 409, body: { code: "unknown_session" } });
    expect((await post(`${at}/queries/total`, {})).body).toEqual({ asOf: 0, result: 0 });
  });
});

describe("bad input takes no slot, and the processes live", () => {
  const at = "/v1/machines/bank/garbage/commands";
  const nested = `${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}`;
  const cases: readonly [string, string, string | Buffer, number][] = [
    ["malformed JSON", at, '{"command":', 400],
    ["no JSON at all", at, "\u0000\u0001", 400],
    ["bad UTF-8", at, Buffer.from([0x22, 0xff, 0xfe, 0x22]), 400],
    ["a wrong schema", at, '{"command":{"type":"deposit","account":"a","amount":-1}}', 422],
    ["a huge number", at, '{"command":{"type":"deposit","account":"a","amount":1e400}}', 422],
    ["__proto__", at, '{"command":{"type":"deposit","account":"a","amount":1,"__proto__":{"x":1}}}', 422],
    ["deep nesting", at, `{"command":${nested}}`, 422],
    ["ten megabytes", at, `"${"x".repeat(10_000_000)}"`, 413],
    ["more than the body's limit", at, `"${"x".repeat(BODY_BYTES_MAX)}"`, 413],
    ["an unknown machine", "/v1/machines/nobody/main/commands", '{"command":1}', 404],
    ["a slash in an id", "/v1/machines/bank/a%2Fb/commands", '{"command":1}', 400],
    ["a control character in an id", "/v1/machines/bank/a%07/commands", '{"command":1}', 400],
    ["a sequence without a session", at, `{"command":${JSON.stringify(DEPOSIT)},"sequence":1}`, 400],
    ["a sequence of zero", at, `{"command":${JSON.stringify(DEPOSIT)},"session":"1-0","sequence":0}`, 400],
  ];

  test.each(cases)("%s", async (_, path, body, status) => {
    const before = (await post("/v1/machines/bank/garbage/commands", { command: DEPOSIT })).body.slot;
    const answer = await rawRequest(deployment.url, { method: "POST", path, headers: JSON_TYPE, body });
    expect(answer.status).toBe(status);
    expect(answer.headers["content-type"]).toBe("application/problem+json");
    expect(JSON.parse(answer.text)).toMatchObject({ status, detail: expect.any(String), retryable: false });
    const after = (await post("/v1/machines/bank/garbage/commands", { command: DEPOSIT })).body.slot;
    expect(after).toBe(before + 1);
  });
});

test("an apply that throws is answered, and the state is as it was before", async () => {
  const at = "/v1/machines/fragile/main";
  expect(await post(`${at}/commands`, { command: { add: 2 } })).toMatchObject({ body: { response: 2 } });
  expect(await post(`${at}/commands`, { command: { add: 5, break: true } })).toMatchObject({
    status: 422,
    body: { code: "apply_failed", detail: expect.stringContaining("broke half-way"), slot: 2 },
  });
  expect(await post(`${at}/queries/all`, {})).toMatchObject({ body: { result: { sum: 2, added: [2] } } });
  expect(await post(`${at}/commands`, { command: { add: 1 } })).toMatchObject({ body: { response: 3 } });
});

test("what was logged is what validation returned", async () => {
  await post("/v1/machines/fragile/defaults/commands", { command: { add: 1, stray: true } });
  const { text } = await rawRequest(deployment.url, { path: "/v1/machines/fragile/defaults/log" });
  expect(JSON.parse(text)).toMatchObject({ slot: 1, commands: [{ command: { add: 1, break: false } }] });
});

test("two processes that start the same machine at once get the same one", async () => {
  const addresses = ["leader-1", "leader-2"].map((part) => deployment.addressOf(part));
  for (let round = 0; round < 5; round++) {
    const at = `/v1/machines/bank/started-${round}/commands`;
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        connect(addresses[index % 2] as string)
          .machine(bank, `started-${round}`)
          .send({ type: "deposit", account: "alice", amount: 1 }),
      ),
    );
    expect(answers).toEqual(Array(10).fill("OK"));
    expect((await post(at.replace("commands", "queries/total"), {})).body.result).toBe(10);
    expect((await describeMachine(`bank/started-${round}`)).configuration.number).toBe(1);
  }
});

test("a client that knows only the registry finds the leader, and the next one after a failover", async () => {
  const theseus = connect(deployment.addressOf("registry"));
  const accounts = theseus.machine(bank, "found");
  expect(await accounts.send({ type: "deposit", account: "alice", amount: 1 })).toBe("OK");
  const leader = await leaderOf("bank/found");
  deployment.kill(leader, "SIGKILL");
  expect(await accounts.send({ type: "deposit", account: "alice", amount: 2 })).toBe("OK");
  expect(await accounts.query("balance", "alice")).toBe(3);
  theseus.close();
});

test("an inbox is resumed by its cursor through a failover", async () => {
  const theseus = connect(deployment.url);
  const accounts = theseus.machine(bank, "inbox");
  await accounts.send({ type: "deposit", account: "alice", amount: 30_000 });
  const messages = accounts.inbox("bob")[Symbol.asyncIterator]();
  const transfer = () => accounts.send({ type: "transfer", from: "alice", to: "bob", amount: 10_000 });
  expect(await transfer()).toBe("Done");
  expect((await messages.next()).value).toEqual({ cursor: 1, message: "$100 received from Alice" });
  const leader = await leaderOf("bank/inbox");
  deployment.kill(leader, "SIGKILL");
  await transfer();
  await transfer();
  expect((await messages.next()).value).toMatchObject({ cursor: 2 });
  expect((await messages.next()).value).toMatchObject({ cursor: 3 });
  theseus.close();
});

test("the state after any slot, and the log from any slot, can be asked for", async () => {
  const at = "/v1/machines/bank/past";
  const SLOTS = 300;
  for (let sent = 0; sent < SLOTS; sent++) await post(`${at}/commands`, { command: DEPOSIT });
  const state = await rawRequest(deployment.url, { path: `${at}/state?at=7` });
  expect(JSON.parse(state.text)).toEqual({ asOf: 7, state: { balances: { alice: 700 } } });
  const log = await rawRequest(deployment.url, { path: `${at}/log?from=${SLOTS - 1}` });
  expect(
    log.text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).slot),
  ).toEqual([SLOTS - 1, SLOTS]);
});

test("a second machine of a quite different shape runs beside the bank", async () => {
  const theseus = connect(deployment.url);
  const door = theseus.machine(lock, "door");
  const granted = (await door.send({ type: "acquire", client: "a" })) as { token: number };
  expect(granted.token).toBe(1);
  expect(await door.send({ type: "acquire", client: "b" })).toEqual({ position: 1 });
  await door.send({ type: "release", token: granted.token });
  const inbox = door.inbox("b")[Symbol.asyncIterator]();
  expect((await inbox.next()).value?.message).toMatchObject({ token: 2 });
  theseus.close();
});

test("a leader that is told to stop hands over: no client sees an error", async () => {
  const theseus = connect(deployment.url);
  const accounts = theseus.machine(bank, "handed");
  let isOver = false;
  const clients = Array.from({ length: 8 }, async () => {
    while (!isOver) expect(await accounts.send({ type: "deposit", account: "a", amount: 1 })).toBe("OK");
  });
  await accounts.send({ type: "deposit", account: "a", amount: 1 });
  for (let handOver = 0; handOver < 3; handOver++) {
    const leader = await leaderOf("bank/handed");
    const from = deployment.events.length;
    deployment.kill(leader, "SIGTERM");
    await deployment.event((event) => event.event === "restarted" && event.part === leader, { from });
  }
  isOver = true;
  await Promise.all(clients);
  theseus.close();
});

// What DynamoDB is asked for is counted by `npm run bench -- write-units`.
if (STORE === "sqlite")
  test("an idle machine causes no write", async () => {
    await post("/v1/machines/bank/idle/commands", { command: DEPOSIT });
    const { acceptors } = await deployment.status();
    const files = acceptors.flatMap(({ location }) => [location, `${location}-wal`]);
    const fingerprint = () => files.map((file) => [statSync(file).mtimeMs, statSync(file).size]).join();
    // Archiving trails the last command, and machines move to a leader that came back; what is written once that is
    // done would be written for nobody.
    let last = "";
    await until(async () => {
      await sleep(5_000);
      const now = fingerprint();
      const isQuiet = now === last;
      last = now;
      return isQuiet;
    });
    await sleep(3_000);
    expect(fingerprint()).toBe(last);
  });
