/** Signed requests to functions' URLs, and the registry's client over them, against a server of the test's own. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { signedFetch } from "../shared/aws/signed-fetch.ts";
import { Invalid } from "../shared/errors.ts";
import { registryClient } from "../shared/runtime/registry/registry-client.ts";
import { problemOf } from "../shared/wire.ts";

const HOST = "abc.lambda-url.eu-central-1.on.aws";
const PROBLEM = "application/problem+json";

let server: Server;
let seen: { readonly request: IncomingMessage; readonly body: string }[];
let answers: { readonly status: number; readonly type?: string; readonly body?: string }[];

beforeEach(async () => {
  [seen, answers] = [[], []];
  server = createServer(async (request, response) => {
    seen.push({ request, body: await text(request) });
    const { status, type = "application/json", body = "" } = answers.shift() ?? { status: 200, body: "{}" };
    response.writeHead(status, { "content-type": type }).end(body);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
});
afterEach(() => {
  server.close();
  server.closeAllConnections();
});

const signed = () => signedFetch({ AWS_ENDPOINT_URL: emulator() });
const emulator = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
const client = () => registryClient(`https://${HOST}/`, signed());

describe("a request", () => {
  test("goes to the emulator under the function's name, signed, with its body's hash", async () => {
    const body = '{"type":"configure"}';
    const answer = await signed()(new URL(`https://${HOST}/v1/registry/machines?after=bank%2Fmain`), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
    });
    expect(await answer.json()).toEqual({});
    const [{ request, body: sent }] = seen as [(typeof seen)[number]];
    expect([request.method, request.url, sent]).toEqual([
      "POST",
      "/v1/registry/machines?after=bank%2Fmain",
      body,
    ]);
    expect(request.headers).toMatchObject({
      host: HOST,
      "content-type": "application/json",
      "x-amz-content-sha256": createHash("sha256").update(body).digest("hex"),
      "x-amz-date": expect.stringMatching(/^\d{8}T\d{6}Z$/),
    });
    expect(request.headers.authorization).toMatch(
      /^AWS4-HMAC-SHA256 Credential=test\/\d{8}\/eu-central-1\/lambda\/aws4_request, SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date, Signature=[0-9a-f]{64}$/,
    );
  });

  test("signs another path, query or body otherwise", async () => {
    const fetch = signed();
    await fetch(new URL(`https://${HOST}/a?x=1`));
    await fetch(new URL(`https://${HOST}/a?x=2`));
    await fetch(new URL(`https://${HOST}/b?x=1`));
    await fetch(new URL(`https://${HOST}/a?x=1`), { method: "POST", body: "1" });
    const signatures = seen.map(
      ({ request }) => /Signature=(.*)/.exec(request.headers.authorization ?? "")?.[1],
    );
    expect(new Set(signatures).size).toBe(4);
  });

  test.each([204, 304])("may be answered with %d, which has no body", async (status) => {
    answers.push({ status });
    expect(await (await signed()(new URL(`https://${HOST}/`))).text()).toBe("");
  });

  test("that AWS refuses says which permissions its role needs", async () => {
    answers.push({ status: 403, body: '{"Message":"Forbidden"}' });
    await expect(signed()(new URL(`https://${HOST}/`))).rejects.toThrow(
      "lambda:InvokeFunctionUrl and lambda:InvokeFunction",
    );
  });

  test("that the application refuses is an answer", async () => {
    answers.push({ status: 403, type: PROBLEM, body: "{}" });
    expect((await signed()(new URL(`https://${HOST}/`))).status).toBe(403);
  });

  test.each(["https://example.org/", "https://lambda-url.eu-central-1.on.aws/", "http://127.0.0.1/"])(
    "does not go to %s, which is no function's URL",
    async (url) => {
      await expect(signed()(new URL(url))).rejects.toThrow("no function's URL");
      expect(seen).toEqual([]);
    },
  );

  test("goes nowhere while nothing says where AWS is, or an emulator elsewhere", () => {
    expect(() => signedFetch({})).toThrow("nothing says where AWS is");
    expect(() => signedFetch({ AWS_ENDPOINT_URL: "http://10.0.0.1:4566" })).toThrow("only an emulator");
  });
});

describe("the registry's client", () => {
  test("asks again when the platform fails, and tells a problem as what it is", async () => {
    const problem = problemOf(new Invalid("unknown_machine", "bank/main was never started"));
    answers.push(
      { status: 502, body: '{"message":"Internal server error"}' },
      { status: 429, type: "text/html", body: "<html>" },
      { status: problem.status, type: PROBLEM, body: JSON.stringify(problem) },
    );
    await expect(client().lookup("bank/main" as never)).rejects.toThrow("never started");
    expect(seen).toHaveLength(3);
  });

  test("does not ask again for what it has no right to", async () => {
    answers.push({ status: 403, body: '{"Message":"Forbidden"}' });
    await expect(client().provisioning()).rejects.toThrow("lambda:InvokeFunction");
    expect(seen).toHaveLength(1);
  });
});
