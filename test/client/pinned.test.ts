/** Addresses that name a certificate, against real TLS servers. */
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { connect as connectTcp, createServer, type Server } from "node:net";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import { beforeAll, describe, expect, it, onTestFinished, test } from "vitest";
import { Addresses, addressIn } from "../../shared/client/addresses.ts";
import { Exchange, ExchangeFailed } from "../../shared/client/exchange.ts";
import { fingerprintOf, formatAddress, parseAddress } from "../../shared/client/pinned.ts";
import { newCertificate } from "../../shared/runtime/http/certificate.ts";
import { type Certificate, serve } from "../../shared/runtime/http/serve.ts";

const PIN = "ab".repeat(32);
const PATIENCE = { deadlineMs: 10_000, patienceMs: 10_000, giveUp: () => true };
const NEVER = new AbortController().signal;
const REQUEST = { method: "POST", path: "/secret", body: "a secret" };

let certificate: Certificate;
let another: Certificate;
beforeAll(async () => {
  [certificate, another] = await Promise.all([newCertificate(), newCertificate()]);
});

describe("an address", () => {
  it.each([
    ["http://127.0.0.1:80/x", "http://127.0.0.1"],
    ["https://host:4600/", "https://host:4600"],
    [`https://host:4600/#sha256=${PIN}`, `https://host:4600/#sha256=${PIN}`],
    [`https://host:4600#sha256=${PIN.toUpperCase()}`, `https://host:4600/#sha256=${PIN}`],
    [`https://[fd00::7]:4600/#sha256=${PIN}`, `https://[fd00::7]:4600/#sha256=${PIN}`],
  ])("%s is kept with its certificate", (text, kept) => {
    expect(addressIn(text)).toBe(kept);
    expect(addressIn(kept)).toBe(kept);
  });

  it.each([
    "ftp://host",
    "host:4600",
    `http://host:4600/#sha256=${PIN}`,
    "https://host:4600/#sha256=abcd",
    `https://host:4600/#sha512=${PIN}`,
    `https://host:4600/#sha256=${PIN}00`,
  ])("%s is none", (text) => {
    expect(addressIn(text)).toBeUndefined();
  });

  it("that a server names as its leader's keeps its certificate", () => {
    const addresses = new Addresses({ list: () => [], failed: () => {} });
    addresses.redirected("bank/main", `https://10.0.1.7:4600/#sha256=${PIN}`);
    expect(addresses.pick("bank/main")).toBe(`https://10.0.1.7:4600/#sha256=${PIN}`);
  });
});

interface Listener {
  readonly origin: string;
  /** All that came through, decrypted. */
  readonly heard: Buffer[];
  /** Resolves when the next connection is over. */
  over(): Promise<unknown>;
}

/** A TLS server that hangs up on whoever has said something. */
async function listener(using: Certificate): Promise<Listener> {
  const heard: Buffer[] = [];
  const server = createTlsServer(using, (socket: TLSSocket) => {
    socket
      .on("error", () => {})
      .on("data", (bytes) => {
        heard.push(bytes);
        socket.end();
      });
  });
  const origin = await originOf(server, "https");
  const over = async () => once((await once(server, "connection"))[0], "close");
  return { origin, heard, over };
}

async function originOf(server: Server, scheme: string): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const { port } = server.address() as { port: number };
  return `${scheme}://127.0.0.1:${port}`;
}

function exchange(): Exchange {
  const made = new Exchange();
  onTestFinished(() => made.close());
  return made;
}

/** Answers what it was sent, and counts connections. */
async function echo(using: Certificate): Promise<{ url: string; connections: () => number }> {
  const { url, server, close } = await serve(
    {
      fetch: async (request) =>
        Response.json({ path: new URL(request.url).pathname, body: await request.text() }),
    },
    { port: 0, certificate: using },
  );
  onTestFinished(close);
  let connections = 0;
  server.on("secureConnection", () => connections++);
  return { url, connections: () => connections };
}

async function failure(address: string, connection: "kept" | "own" = "kept"): Promise<ExchangeFailed> {
  const failed = await exchange()
    .run(address, REQUEST, PATIENCE, NEVER, connection)
    .catch((error: unknown) => error);
  expect(failed).toBeInstanceOf(ExchangeFailed);
  return failed as ExchangeFailed;
}

describe("the certificate that an address names", () => {
  it("is served under the address that a server says is its own", async () => {
    const { url } = await echo(certificate);
    const { origin, certificate: pin } = parseAddress(url) ?? { origin: "" };
    expect(origin).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
    expect(pin).toMatch(/^[0-9a-f]{64}$/);
  });

  it("is talked to, over one kept connection, and over new ones", async () => {
    const { url, connections } = await echo(certificate);
    const calls = exchange();
    const ask = async (connection: "kept" | "own") =>
      JSON.parse(String((await calls.run(url, REQUEST, PATIENCE, NEVER, connection)).body));
    for (let n = 0; n < 3; n++) expect(await ask("kept")).toEqual({ path: "/secret", body: "a secret" });
    expect(connections()).toBe(1);
    for (let n = 0; n < 3; n++) expect(await ask("own")).toEqual({ path: "/secret", body: "a secret" });
    expect(connections()).toBe(4);
  });

  it.each(["kept", "own"] as const)("is the only one: another gets not a byte (%s)", async (connection) => {
    const server = await listener(another);
    const pinOf = (of: Certificate) => fingerprintOf(new X509Certificate(of.cert));
    const wrong = formatAddress({ origin: server.origin, certificate: pinOf(certificate) });
    const [failed] = await Promise.all([failure(wrong, connection), server.over()]);
    expect(failed.message).toContain("another certificate");
    expect(failed.neverSent).toBe(true);
    expect(Buffer.concat(server.heard).toString()).toBe("");
    const right = formatAddress({ origin: server.origin, certificate: pinOf(another) });
    await Promise.all([failure(right, connection), server.over()]);
    expect(Buffer.concat(server.heard).toString()).toContain("a secret");
  });

  it("is asked for anew by each connection, also where a session could be resumed", async () => {
    // One port, whose server changes between two connections as a man in the middle would.
    let using = certificate;
    const [right, wrong] = [await echo(certificate), await listener(another)];
    const portOf = (url: string) => Number(new URL(url).port);
    const front = createServer((socket) => {
      const target = using === certificate ? portOf(right.url) : portOf(wrong.origin);
      const back = connectTcp(target, "127.0.0.1");
      socket.pipe(back).pipe(socket);
      for (const end of [socket, back]) end.on("error", () => {});
    });
    const origin = await originOf(front, "https");
    const address = formatAddress({ ...parseAddress(right.url), origin });
    const calls = exchange();
    const ask = () => calls.run(address, REQUEST, PATIENCE, NEVER, "own");
    expect((await ask()).status).toBe(200);
    expect((await ask()).status).toBe(200);
    using = another;
    await Promise.all([expect(ask()).rejects.toThrow("another certificate"), wrong.over()]);
    expect(Buffer.concat(wrong.heard).toString()).toBe("");
  });

  it("keeps connections to one place apart from those that name another", async () => {
    const { url } = await echo(certificate);
    const { origin } = parseAddress(url) ?? { origin: "" };
    const calls = exchange();
    expect((await calls.run(url, REQUEST, PATIENCE, NEVER)).status).toBe(200);
    const wrong = formatAddress({ origin, certificate: PIN });
    await expect(calls.run(wrong, REQUEST, PATIENCE, NEVER)).rejects.toThrow("another certificate");
    await expect(calls.run(origin, REQUEST, PATIENCE, NEVER)).rejects.toThrow("self-signed");
  });

  it("cannot be shown by what speaks no TLS, and nothing is sent to that", async () => {
    const heard: Buffer[] = [];
    const plain = createServer((socket) => {
      socket.on("data", (bytes) => heard.push(bytes)).on("error", () => {});
      socket.end("HTTP/1.1 200 OK\r\n\r\n");
    });
    const origin = await originOf(plain, "https");
    const failed = await failure(formatAddress({ origin, certificate: PIN }));
    expect(failed.neverSent).toBe(true);
    expect(Buffer.concat(heard).toString("latin1")).not.toContain("secret");
  });
});

test("without a certificate in the address all is as ever: authorities decide, and plain HTTP is plain", async () => {
  const { url } = await echo(certificate);
  const failed = await failure(parseAddress(url)?.origin ?? "");
  expect(failed.message).toContain("self-signed");
  const plain = await serve({ fetch: () => new Response("hello") }, { port: 0 });
  onTestFinished(plain.close);
  expect(plain.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  const answer = await exchange().run(plain.url, REQUEST, PATIENCE, NEVER);
  expect(String(answer.body)).toBe("hello");
});
