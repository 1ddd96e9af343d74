/** The proxy that signs: what it forwards, which tokens it gets, whom it refuses, and what it says of trouble. */
import { expect, onTestFinished, test } from "vitest";
import { startProxy } from "../../cli/aws/proxy.ts";
import type { Fetch } from "../../shared/aws/signed-fetch.ts";
import { rawRequest } from "../support/raw-http.ts";

const GATEWAY = "https://gateway.lambda-url.us-east-1.on.aws/";
const REGISTRY = "https://registry.lambda-url.us-east-1.on.aws/";
const JSON_TYPE = { "content-type": "application/json" };

interface Said {
  readonly url: string;
  readonly method: string | undefined;
  readonly token: string | undefined;
  readonly body: string | undefined;
}

async function proxy(answer: (said: Said) => Response | Promise<Response>) {
  const said: Said[] = [];
  const fetch: Fetch = async (url, { method, headers = {}, body } = {}) => {
    if (url.href === `${REGISTRY}v1/tokens`) {
      const { machine } = JSON.parse(body ?? "");
      return Response.json({ token: `for ${machine}`, expires: Date.now() + 900_000 });
    }
    const one = { url: url.href, method, token: headers["theseus-token"], body };
    said.push(one);
    expect(headers).not.toHaveProperty("host");
    return answer(one);
  };
  const report = (error: unknown) => expect(error).toBeUndefined();
  const served = await startProxy({ gateway: GATEWAY, registry: REGISTRY, port: 0, fetch, report });
  onTestFinished(() => served.close());
  return { url: served.url, said };
}

const ok = () => Response.json({ fine: true });

test("forwards what it is asked, and the answer as it is", async () => {
  const problem = { code: "unknown_machine", status: 404 };
  const { url, said } = await proxy(({ method }) =>
    method === "GET" ? Response.json(problem, { status: 404 }) : ok(),
  );
  const path = "v1/machines/bank/main/commands?x=a%20b";
  const answer = await fetch(`${url}/${path}`, { method: "POST", headers: JSON_TYPE, body: '{"command":1}' });
  expect(await answer.json()).toEqual({ fine: true });
  expect(said).toEqual([{ url: GATEWAY + path, method: "POST", token: undefined, body: '{"command":1}' }]);
  const refused = await fetch(`${url}/v1/machines/no/one`);
  expect([refused.status, await refused.json()]).toEqual([404, problem]);
});

test("gets a token from the registry for what operators do, for that machine or for all", async () => {
  const { url, said } = await proxy(ok);
  const post = (path: string) => fetch(url + path, { method: "POST", headers: JSON_TYPE, body: "{}" });
  await post("/v1/machines/bank/main/commands");
  await post("/v1/machines/bank/main/reconfigure");
  await post("/v1/leaders/leader-1/drain");
  await fetch(`${url}/v1/status`);
  await fetch(`${url}/v1/registry/audit`);
  expect(said.map(({ token }) => token)).toEqual([undefined, "for bank/main", "for *", undefined, "for *"]);
});

test("refuses pages of other origins, and names that are not of this machine", async () => {
  const { url, said } = await proxy(ok);
  const path = "/v1/status";
  expect((await rawRequest(url, { path, headers: { origin: "https://example.org" } })).status).toBe(403);
  expect((await rawRequest(url, { path, headers: { host: "example.org" } })).status).toBe(403);
  expect(said).toEqual([]);
});

test.each([
  ["a refused connection", "connect", 503, "unavailable"],
  ["a reset connection", "read", 504, "outcome_unknown"],
])("%s is told apart", async (_, syscall, status, code) => {
  const { url } = await proxy(() => {
    throw Object.assign(new Error("no"), { syscall });
  });
  const answer = await fetch(`${url}/v1/status`);
  expect([answer.status, await answer.json()]).toMatchObject([status, { code }]);
});

test("what Lambda did not execute may be tried again", async () => {
  const { url } = await proxy(() =>
    Response.json({ Reason: "ConcurrentInvocationLimitExceeded" }, { status: 429 }),
  );
  const answer = await fetch(`${url}/v1/status`);
  expect([answer.status, await answer.json()]).toMatchObject([503, { code: "unavailable" }]);
});
