/** Who may ask what of a leader: tokens over real HTTP and TLS, by clients, the gateway, the registry and other leaders. */
import { randomUUID } from "node:crypto";
import { Hono } from "hono";
import { beforeEach, describe, expect, it, onTestFinished, test } from "vitest";
import { Exchange } from "../../shared/client/exchange.ts";
import type { ProcessId } from "../../shared/protocol/ballot.ts";
import type { LeaderServer } from "../../shared/protocol/registry.ts";
import { newCertificate } from "../../shared/runtime/http/certificate.ts";
import { httpInterface } from "../../shared/runtime/http/http.ts";
import { problemFor, problemResponse } from "../../shared/runtime/http/problem.ts";
import type { Bindings } from "../../shared/runtime/http/routes.ts";
import { type App, serve } from "../../shared/runtime/http/serve.ts";
import { newPrivateKey, newSigner, type Signer, signerOf } from "../../shared/runtime/signing.ts";
import { tokenGuard } from "../../shared/runtime/tokens/guard.ts";
import { needOf, RIGHT_OF_ROUTE } from "../../shared/runtime/tokens/routes.ts";
import { Signatories } from "../../shared/runtime/tokens/signatories.ts";
import { type Minted, minter, signatoriesGiven } from "../../shared/runtime/tokens/signers.ts";
import { type Claims, mintToken, type Right, TOKEN_HEADER } from "../../shared/runtime/tokens/token.ts";
import { tokenRoute } from "../../shared/runtime/tokens/tokens-http.ts";
import { MemoryBackend } from "../support/memory-backend.ts";
import { postJson } from "../support/raw-http.ts";
import { tally } from "../support/tally.ts";

const DEPLOYMENT = "d".repeat(32);
const PEER = "a".repeat(32) as ProcessId;
const NOW = 1_000_000;
const MINUTE = 60_000;
const MAIN = "/v1/machines/tally/main";
const ADD = { command: { type: "add", amount: 1 } };
const OPERATIONS = [
  ["/v1/leaders", { nonce: "n" }],
  ["/v1/leaders/leader-2/drain", {}],
  ["/v1/leaders/leader-2/retire", {}],
] as const;

const registryKey = newPrivateKey();
const registry = signerOf(registryKey);
const gateway = signerOf(newPrivateKey());
const peer = newSigner();

let backend: MemoryBackend;
let app: App;
let address: string;
let now: number;
let refusals: { why: string; method: string; path: string }[];
let leaders: LeaderServer[];

beforeEach(async () => {
  backend = new MemoryBackend(tally);
  now = NOW;
  refusals = [];
  leaders = [{ id: "leader-2", process: PEER, address: "https://127.0.0.1:1", publicKey: peer.publicKey }];
  const signatories = new Signatories({
    given: signatoriesGiven({ registry: registry.publicKey, gateway: gateway.publicKey }),
    hinted: async () => leaders,
    recorded: async () => leaders,
  });
  app = { fetch: (request) => guarded.fetch(request) };
  const { url, close } = await serve(app, { port: 0, certificate: await newCertificate() });
  onTestFinished(close);
  address = url;
  const guarded = httpInterface(
    backend,
    undefined,
    tokenGuard({
      deployment: DEPLOYMENT,
      address,
      signatoryOf: (by) => signatories.of(by),
      now: () => now,
      refused: (error, request) => refusals.push({ why: error.message, ...request }),
    }),
  );
});

function claims(over: Partial<Claims> = {}): Claims {
  return { deployment: DEPLOYMENT, machine: "tally/main", right: "use", expires: NOW + 1, ...over };
}

const byGateway = (over: Partial<Claims> = {}) => mintToken("gateway", gateway, claims(over));
const byRegistry = (over: Partial<Claims> = {}) => mintToken("registry", registry, claims(over));
const byPeer = (over: Partial<Claims> = {}, signer: Signer = peer) =>
  mintToken(PEER, signer, claims({ machine: "*", right: "peer", to: address, ...over }));

async function ask(token: string | undefined, path: string, body?: unknown) {
  const exchange = new Exchange();
  const request = {
    method: body === undefined ? "GET" : "POST",
    path,
    headers: {
      "content-type": "application/json",
      ...(token === undefined ? {} : { [TOKEN_HEADER]: token }),
    },
    body: body === undefined ? undefined : JSON.stringify(body),
  };
  const patience = { deadlineMs: 10_000, patienceMs: 10_000, giveUp: () => true };
  try {
    const answer = await exchange.run(address, request, patience, new AbortController().signal);
    if (!Buffer.isBuffer(answer.body)) return { status: answer.status, body: undefined };
    return { status: answer.status, body: JSON.parse(String(answer.body)) };
  } finally {
    exchange.close();
  }
}

/** Refused with a clear problem, noted, and nothing executed. */
async function expectRefusal(
  token: string | undefined,
  why: string,
  path = `${MAIN}/commands`,
  body: unknown = ADD,
) {
  const { status, body: problem } = await ask(token, path, body);
  expect({ status, ...problem }).toMatchObject({ status: 403, code: "forbidden", retryable: false });
  expect(problem.detail).toContain(why);
  expect(refusals).toEqual([{ why: problem.detail, method: body === undefined ? "GET" : "POST", path }]);
  expect(backend.slots).toBe(0);
}

describe("a token that is good", () => {
  it("is the gateway's, to use one machine", async () => {
    expect(await ask(byGateway(), `${MAIN}/commands`, ADD)).toMatchObject({
      status: 200,
      body: { response: 1 },
    });
    expect((await ask(byGateway(), MAIN)).status).toBe(200);
    expect((await ask(byGateway(), `${MAIN}/queries/total`, {})).body).toMatchObject({ result: 1 });
    expect((await ask(byGateway(), `${MAIN}/log?from=1`)).status).toBe(200);
    expect(refusals).toEqual([]);
  });

  it("is the registry's, to operate and so to use", async () => {
    const token = byRegistry({ right: "operate", machine: "*" });
    for (const [path, body] of OPERATIONS) expect((await ask(token, path, body)).status).toBe(200);
    expect((await ask(token, "/v1/status")).status).toBe(200);
    expect((await ask(token, `${MAIN}/commands`, ADD)).status).toBe(200);
  });

  it("is another leader's, for this one", async () => {
    const { body } = await ask(byPeer(), "/v1/endorsements", { machine: "tally/main", configuration: 2 });
    expect(body.code).toBe("not_endorsed");
    expect((await ask(byPeer(), "/v1/leaders/leader-2/drain", {})).status).toBe(200);
  });

  it("is needed for everything but health", async () => {
    expect((await ask(undefined, "/v1/health")).status).toBe(200);
    await expectRefusal(undefined, "is needed here");
  });
});

describe("a token is refused", () => {
  it("that is forged", () =>
    expectRefusal(mintToken("gateway", newSigner(), claims()), "not signed by anybody"));

  it("whose words were changed after it was signed", () => {
    const [, signature] = byGateway().split(".");
    const said = JSON.stringify({ format: 1, by: "gateway", ...claims({ machine: "*" }) });
    return expectRefusal(`${Buffer.from(said).toString("base64url")}.${signature}`, "not signed by anybody");
  });

  it("of somebody who is not known", () =>
    expectRefusal(mintToken("b".repeat(32), newSigner(), claims()), "not signed by anybody"));

  it("signed with the right key for something else", () => {
    const [text] = byGateway().split(".");
    return expectRefusal(`${text}.${gateway.sign(String(text))}`, "not signed by anybody");
  });

  it.each(["", "nonsense", "a.b", `${"a".repeat(50)}.${"b".repeat(86)}`, `e30.${"b".repeat(86)}`])(
    "that is none: %j",
    (token) => expectRefusal(token, token === "" ? "" : "is none"),
  );

  it("that has expired", async () => {
    now = NOW + 1;
    await expectRefusal(byGateway(), "has expired");
  });

  it("for another machine", () =>
    expectRefusal(byGateway({ machine: "tally/other" }), "for tally/other only"));

  it("for one machine where the question is about all", () =>
    expectRefusal(byGateway(), "for tally/main only", "/v1/status", undefined));

  it("for another deployment", () =>
    expectRefusal(byGateway({ deployment: "e".repeat(32) }), "another deployment"));

  it("to use, where there is something to operate", () =>
    expectRefusal(byRegistry({ machine: "*" }), "the right to operate", "/v1/leaders", { nonce: "n" }));

  it.each(["operate", "peer"] as const)("to %s that the gateway has signed", (right) =>
    expectRefusal(byGateway({ machine: "*", right }), `gateway may not give the right to ${right}`),
  );

  it("of a peer that the registry has signed", () =>
    expectRefusal(
      byRegistry({ machine: "*", right: "peer", to: address }),
      "may not give the right to peer",
    ));

  it("of a leader for another leader, or for none", async () => {
    await expectRefusal(byPeer({ to: "https://127.0.0.1:1" }), "another leader");
    refusals = [];
    const { to, ...forAnybody } = claims({ machine: "*", right: "peer", to: address });
    await expectRefusal(mintToken(PEER, peer, forAnybody), "does not say which leader");
  });

  it.each(["use", "operate"] as const)(
    "of a leader to %s that is for another leader, or for none",
    async (right) => {
      const path = "/v1/leaders/leader-2/drain";
      expect((await ask(byPeer({ right: "operate" }), path, {})).status).toBe(200);
      await expectRefusal(byPeer({ right, to: "https://127.0.0.1:1" }), "another leader", path, {});
      refusals = [];
      const forAnybody = mintToken(PEER, peer, claims({ machine: "*", right }));
      await expectRefusal(forAnybody, "does not say which leader", path, {});
    },
  );

  it.each([
    ["the gateway", byGateway, 16 * MINUTE],
    ["the registry", byRegistry, 16 * MINUTE],
    ["a leader", byPeer, 6 * 60 * MINUTE],
  ])("that %s made good for longer than it may, clocks being apart", async (_, by, lifeMaxMs) => {
    const expires = NOW + lifeMaxMs;
    await expectRefusal(by({ expires: expires + 1 }), "is good for longer");
    expect((await ask(by({ expires }), MAIN)).status).toBe(200);
  });

  it("of a leader that is not on record any more", async () => {
    leaders = [];
    await expectRefusal(byPeer(), "not signed by anybody");
  });

  it.each(["other/../main", "%6dain", "other/%2e%2e/main", "main%2f..%2fother", "other%2f..%2fmain"])(
    "for another machine, however the path is written: %s",
    async (written) => {
      const plain = await serve(app, { port: 0 });
      onTestFinished(plain.close);
      const headers = { [TOKEN_HEADER]: byGateway({ machine: "tally/other" }) };
      const { status } = await postJson(plain.url, `/v1/machines/tally/${written}/commands`, ADD, headers);
      expect(status).toBeGreaterThanOrEqual(400);
      expect(backend.slots).toBe(0);
    },
  );
});

describe("the registry gives tokens", () => {
  const mint = minter({ by: "registry", privateKey: registryKey, deployment: DEPLOYMENT, now: () => now });
  const issuer = new Hono<Bindings>();
  issuer.onError((error) => problemResponse(problemFor(error, () => {})));
  tokenRoute(issuer, mint);
  const wish = async (body: unknown) => {
    const headers = { "content-type": "application/json" };
    const answer = await issuer.request("/v1/tokens", {
      method: "POST",
      headers,
      body: JSON.stringify(body),
    });
    return { status: answer.status, body: (await answer.json()) as Minted };
  };

  it("that leaders take, for as long as they say", async () => {
    const { body } = await wish({ machine: "tally/main", right: "use" });
    expect(body.expires).toBe(NOW + 15 * 60_000);
    expect((await ask(body.token, `${MAIN}/commands`, ADD)).status).toBe(200);
    now = body.expires;
    expect((await ask(body.token, `${MAIN}/commands`, ADD)).status).toBe(403);
    now = NOW;
    const operator = (await wish({ machine: "*", right: "operate" })).body;
    expect((await ask(operator.token, "/v1/leaders", { nonce: "n" })).status).toBe(200);
  });

  it.each([
    {},
    null,
    { machine: "tally", right: "use" },
    { machine: "tally/main/x", right: "use" },
    { machine: "tally/main", right: "peer" },
    { machine: "tally/main" },
    { machine: "tally/main", right: "use", expires: 1e15 },
  ])("for nothing else: %j", async (body) => {
    expect(await wish(body)).toMatchObject({ status: 400, body: { code: "invalid_request" } });
  });

  it("and the gateway gives none to operate", () => {
    const gives = minter({
      by: "gateway",
      privateKey: newPrivateKey(),
      deployment: DEPLOYMENT,
      now: () => now,
    });
    expect(() => gives("*", "operate")).toThrow(RangeError);
  });
});

describe("what a call needs", () => {
  const routes = httpInterface(new MemoryBackend(tally)).routes.map(({ path }) => path);

  it("is said of every route, and of none that is not there", () => {
    expect(routes.length).toBeGreaterThan(10);
    expect([...new Set(routes)].sort()).toEqual(Object.keys(RIGHT_OF_ROUTE).sort());
  });

  it.each<[string, Right]>([
    ["/v1/machines/tally/main/reconfigure", "operate"],
    ["/v1/machines/tally/main/anything", "operate"],
    ["/v1/unknown", "operate"],
    ["/v1/healthy", "operate"],
    ["/v1/endorsements", "peer"],
  ])("of %s is %s", (path, right) => {
    expect(needOf(path)?.right).toBe(right);
  });
});

test("keys that are kept are the same keys when they are read again, and what is none tells nothing of itself", () => {
  const kept = newPrivateKey();
  expect(signerOf(kept).publicKey).toBe(signerOf(kept).publicKey);
  expect(signerOf(kept).publicKey).toMatch(/^[\w-]{43}$/);
  const secret = randomUUID();
  expect(() => signerOf(secret)).toThrow(/^not an Ed25519 key \(PKCS #8, base64\)$/);
});
