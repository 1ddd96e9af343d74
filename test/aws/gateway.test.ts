/** The gateway's function, invoked in this process: its directory is on DynamoDB Local, its leader a server of the test's. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, expect, inject, test, vi } from "vitest";
import type { ProcessId } from "../../shared/protocol/ballot.ts";
import { Directory } from "../../shared/runtime/directory.ts";
import { signatoriesGiven, type TokenKeys } from "../../shared/runtime/tokens/signers.ts";
import { verifyToken } from "../../shared/runtime/tokens/token.ts";
import {
  deleteDocumentsTable,
  dynamodbDocuments,
  makeDocumentsTable,
} from "../../shared/storage/documents-dynamodb.ts";
import { type Asked, urlEvent } from "../support/function-url.ts";
import { placeOf } from "../support/registry-places.ts";

const DEPLOYMENT = "d".repeat(32);

let location: string;
let directory: Directory;
let keys: TokenKeys;
let leader: Server;
let seen: { readonly request: IncomingMessage; readonly body: string }[];
let answer: { readonly status: number; readonly body: string };

beforeEach(async () => {
  vi.resetModules();
  vi.stubEnv("AWS_ENDPOINT_URL_DYNAMODB", inject("dynamodbLocal"));
  vi.stubEnv("AWS_REGION", "us-east-1");
  location = `us-east-1/theseus-${randomBytes(8).toString("hex")}-directory`;
  // The first one is in a Region that this function cannot reach.
  vi.stubEnv("THESEUS_DIRECTORY", `eu-west-1/nowhere,${location}`);
  await makeDocumentsTable(location, { tags: {}, isProtected: false });
  directory = new Directory([dynamodbDocuments(location)]);
  seen = [];
  answer = { status: 200, body: '{"slot":1,"response":"OK"}' };
  leader = createServer(async (request, response) => {
    seen.push({ request, body: await text(request) });
    response.writeHead(answer.status, { "content-type": "application/json" }).end(answer.body);
  });
  leader.listen(0, "127.0.0.1");
  await once(leader, "listening");
});
afterEach(async () => {
  leader.close();
  leader.closeAllConnections();
  directory.close();
  await deleteDocumentsTable(location);
  vi.unstubAllEnvs();
});

async function invoke(path: string, asked: Asked = {}) {
  const { handler } = await import("../../functions/aws/gateway.ts");
  const answered = await handler(urlEvent(path, asked) as never, {} as never);
  return { status: answered.statusCode, body: JSON.parse(answered.body) as Record<string, unknown> };
}

async function deployed(): Promise<void> {
  keys = await directory.makeKeys();
  await directory.make({ ...placeOf("a"), deployment: DEPLOYMENT });
  const { port } = leader.address() as AddressInfo;
  const process = "9".repeat(32) as ProcessId;
  const address = `http://127.0.0.1:${port}`;
  await directory.tellLeaders([{ id: "leader-1", process, address, publicKey: "A".repeat(43) }], 1);
}

const COMMANDS = "/v1/machines/bank/main/commands";
const command = { command: { type: "deposit", account: "alice", amount: 1 } };

test("a command goes to a leader that the directory lists, without the caller's credentials", async () => {
  await deployed();
  const headers = { authorization: "AWS4-HMAC-SHA256 secret", "x-amz-security-token": "secret" };
  const answered = await invoke(COMMANDS, { body: command, headers });
  expect(answered).toEqual({ status: 200, body: { slot: 1, response: "OK" } });
  const [{ request, body }] = seen as [(typeof seen)[number]];
  expect([request.method, request.url, JSON.parse(body)]).toEqual(["POST", COMMANDS, command]);
  expect(request.headers).toMatchObject({ "theseus-deployment": DEPLOYMENT });
  expect(JSON.stringify(request.headers)).not.toContain("secret");
});

test("leaders are shown that the caller may use the machine, and no more, or what the caller brings", async () => {
  await deployed();
  const shown = async () => {
    const token = String(seen.pop()?.request.headers["theseus-token"]);
    return verifyToken(token, async (by) => signatoriesGiven(keys).get(by), Date.now());
  };
  await invoke(COMMANDS, { body: command });
  expect(await shown()).toMatchObject({
    by: "gateway",
    deployment: DEPLOYMENT,
    machine: "bank/main",
    right: "use",
  });
  await invoke("/v1/status");
  expect(await shown()).toMatchObject({ machine: "*", right: "use" });
  await invoke("/v1/leaders", { body: { nonce: "n" }, headers: { "theseus-token": "the caller's own" } });
  expect(seen.pop()?.request.headers["theseus-token"]).toBe("the caller's own");
});

test("before anything is deployed it says so, and goes on once it is", async () => {
  expect(await invoke(COMMANDS, { body: command })).toMatchObject({ status: 503 });
  await deployed();
  expect(await invoke(COMMANDS, { body: command })).toMatchObject({ status: 200 });
});

test("an inbox, which has no end, is not passed on", async () => {
  await deployed();
  const { status, body } = await invoke("/v1/machines/bank/main/inbox/bob");
  expect([status, body.detail]).toEqual([400, expect.stringContaining("connect to a leader")]);
  expect(seen).toEqual([]);
});

test("an answer that Lambda would drop is a problem: nothing happened, or nobody knows", async () => {
  await deployed();
  answer = { status: 200, body: JSON.stringify({ state: "x".repeat(7 * 1024 * 1024) }) };
  expect(await invoke("/v1/machines/bank/main/state")).toMatchObject({
    status: 413,
    body: { code: "too_large", detail: expect.stringContaining("connect to a leader") },
  });
  const { body } = await invoke(COMMANDS, { body: command });
  expect(body.code).toBe("outcome_unknown");
});

test("a request for another deployment is not answered", async () => {
  await deployed();
  const headers = { "theseus-deployment": "e".repeat(32) };
  expect(await invoke("/v1/status", { headers })).toMatchObject({ status: 503 });
  expect(seen).toEqual([]);
});
