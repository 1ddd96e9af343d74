/** Leader processes watching each other, on real sockets. */
import { once } from "node:events";
import type { Server } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it, onTestFinished, test } from "vitest";
import { WebSocket } from "ws";
import { ballotOf, type ConfigurationNumber, type ProcessId } from "../../shared/protocol/ballot.ts";
import type { MachineId } from "../../shared/protocol/configuration.ts";
import { type AcceptorId, majority } from "../../shared/protocol/quorum.ts";
import type { Slot } from "../../shared/protocol/slot.ts";
import { rank } from "../../shared/runtime/fleet/rendezvous.ts";
import { newCertificate } from "../../shared/runtime/http/certificate.ts";
import { type Certificate, serve } from "../../shared/runtime/http/serve.ts";
import {
  decodeMessage,
  encodeMessage,
  type Led,
  leadsMessage,
  ledIn,
} from "../../shared/runtime/peers/message.ts";
import { type Patience, Peers } from "../../shared/runtime/peers/peers.ts";
import { PEER_PATH } from "../../shared/runtime/peers/watched.ts";
import { newSigner, type Signer } from "../../shared/runtime/signing.ts";
import { Credentials } from "../../shared/runtime/tokens/credentials.ts";
import { TOKEN_HEADER } from "../../shared/runtime/tokens/token.ts";

const MACHINE = "bank/main" as MachineId;

interface Node {
  readonly peers: Peers;
  readonly server: Server;
  readonly address: string;
  /** Who asked to follow, from where. */
  readonly followed: Slot[];
  readonly send: ((slot: Slot, text: string) => void)[];
  /** Why somebody was not let in. */
  readonly refusals: string[];
}

let made = 0;
async function node({
  deployment = "one",
  led = [] as readonly Led[],
  oldest = 1,
  certificate = undefined as Certificate | undefined,
  patience = undefined as Patience | undefined,
  /** The key that it has, and those that it knows. */
  keys = undefined as { readonly signer: Signer; readonly known: Map<string, string> } | undefined,
} = {}): Promise<Node> {
  const { server, url: address } = await serve(
    { fetch: () => new Response() },
    { port: 0, ...(certificate === undefined ? {} : { certificate }) },
  );
  const id = `leader-${++made}`;
  const process = String(made).padStart(32, "0") as ProcessId;
  const followed: Slot[] = [];
  const send: ((slot: Slot, text: string) => void)[] = [];
  const refusals: string[] = [];
  const credentials =
    keys &&
    new Credentials({
      ...{ deployment, process, address, signer: keys.signer, now: Date.now },
      signatoryOf: async (by) => {
        const publicKey = keys.known.get(by);
        return publicKey === undefined ? undefined : { publicKey, right: "peer", lifeMaxMs: 86_400_000 };
      },
      refused: ({ message }) => refusals.push(message),
    });
  keys?.known.set(process, keys.signer.publicKey);
  const peers = new Peers({
    credentials,
    ...(patience === undefined ? {} : { patience }),
    self: { id, deployment, process, address, pid: made },
    server,
    welcome: () => [leadsMessage(led)],
    follow(_, from, to) {
      followed.push(from);
      if (from < oldest) return undefined;
      send.push(to);
      return () => {};
    },
  });
  onTestFinished(() => {
    peers.close();
    server.closeAllConnections();
    server.close();
  });
  return { peers, server, address, followed, send, refusals };
}

function led(round = 1): Led {
  const number = 1 as ConfigurationNumber;
  const quorums = { acceptors: [], witnesses: [], read: { atLeast: 1 }, write: { atLeast: 1 } };
  const configuration = { number, previous: 0, quorums };
  const ballot = ballotOf(number, round, "a".repeat(32) as ProcessId);
  return { machine: MACHINE, ballot, location: { configuration, active: true, acceptors: [] } };
}

test("a watched peer makes itself known, and watches back", async () => {
  const [one, other] = [await node(), await node({ led: [led()] })];
  const leads = once(one.peers, "leads");
  const back = once(other.peers, "live");
  one.peers.watch(other.address);
  expect((await leads)[1]).toEqual(led());
  await back;
  expect(one.peers.leaderOf(MACHINE)?.peer.address).toBe(other.address);
  expect(other.peers.live.map(({ address }) => address)).toEqual([one.address]);
});

test("three find each other through one", async () => {
  const [one, other, third] = [await node(), await node(), await node()];
  one.peers.watch(other.address);
  await one.peers.met(1);
  third.peers.watch(other.address);
  await Promise.all([one.peers.met(2), other.peers.met(2), third.peers.met(2)]);
});

test("a process of another deployment is nobody's peer, whatever it leads", async () => {
  const [one, stranger] = [await node(), await node({ deployment: "two", led: [led()] })];
  const heard: unknown[] = [];
  for (const event of ["live", "leads"] as const) one.peers.on(event, (peer: unknown) => heard.push(peer));
  one.peers.watch(stranger.address);
  await once(stranger.server, "upgrade");
  await once(stranger.server, "upgrade");
  expect([heard, one.peers.live, stranger.peers.live]).toEqual([[], [], []]);
});

test("a reset connection is a suspicion, with what was led", async () => {
  const [one, other] = [await node(), await node({ led: [led()] })];
  one.peers.watch(other.address);
  await once(one.peers, "leads");
  const suspected = once(one.peers, "suspected");
  other.peers.close();
  expect((await suspected)[1]).toEqual([led()]);
  expect(one.peers.leaderOf(MACHINE)).toBeUndefined();
  expect(one.peers.silent.map(({ address }) => address)).toEqual([other.address]);
});

test("what is chosen comes in order; what is older than memory is said to be", async () => {
  const [one, other] = [await node(), await node({ oldest: 5 })];
  one.peers.watch(other.address);
  const [peer] = await once(one.peers, "live");
  one.peers.follow(peer, MACHINE, 3 as Slot);
  expect((await once(one.peers, "behind"))[1]).toBe(MACHINE);
  one.peers.follow(peer, MACHINE, 5 as Slot);
  const chosen: unknown[] = [];
  one.peers.on("chosen", (_, machine, slot, text) => chosen.push([machine, slot, text]));
  while (other.send.length === 0) await sleep(1);
  for (const slot of [5, 6]) other.send[0]?.(slot as Slot, `{"slot":${slot}}`);
  while (chosen.length < 2) await once(one.peers, "chosen");
  expect(chosen).toEqual([5, 6].map((slot) => [MACHINE, slot, `{"slot":${slot}}`]));
});

test("who is unfit or leaving is passed over", async () => {
  const [one, other] = [await node(), await node()];
  one.peers.watch(other.address);
  const [peer] = await once(one.peers, "live");
  expect(one.peers.isUnfit(peer, MACHINE)).toBe(false);
  await other.peers.met(1);
  other.peers.tell({ type: "unfit", machine: MACHINE });
  other.peers.tell({ type: "leaving" });
  await once(one.peers, "leaving");
  expect(one.peers.isUnfit(peer, MACHINE)).toBe(true);
  expect(one.peers.candidates).toEqual([]);
  expect(one.peers.live).toEqual([peer]);
});

test("who drains is no candidate, and lives", async () => {
  const [one, other] = [await node(), await node()];
  one.peers.watch(other.address);
  const [peer] = await once(one.peers, "live");
  await other.peers.met(1);
  other.peers.tell({ type: "draining" });
  await once(one.peers, "draining");
  expect([one.peers.candidates, one.peers.draining, one.peers.live]).toEqual([[], [peer], [peer]]);
});

test("a newcomer is counted with once it has said all that it leads, and which of that is used", async () => {
  const all = Array.from({ length: 1_000 }, (_, index) => ({
    ...led(),
    machine: `bank/m${index}` as MachineId,
  }));
  const [one, other] = [await node(), await node({ led: all })];
  const used = once(one.peers, "used");
  one.peers.watch(other.address);
  const [peer] = await once(one.peers, "live");
  expect(one.peers.countLed(peer)).toBe(all.length);
  expect(one.peers.led).toEqual(all);
  await other.peers.met(1);
  other.peers.tell({ type: "used", machines: [[MACHINE, 5]] });
  expect(await used).toEqual([peer, [[MACHINE, 5]]]);
});

test("who hears what is chosen is known, until it is gone", async () => {
  const [one, other] = [await node(), await node()];
  const otherLive = once(other.peers, "live");
  one.peers.watch(other.address);
  const [peer] = await once(one.peers, "live");
  const [watcher] = await otherLive;
  expect(other.peers.isFollowedBy(watcher, MACHINE)).toBe(false);
  one.peers.follow(peer, MACHINE, 1 as Slot);
  while (!other.peers.isFollowedBy(watcher, MACHINE)) await sleep(1);
  one.peers.close();
  while (other.peers.isFollowedBy(watcher, MACHINE)) await sleep(1);
});

test("machines on the same tables say only once where those are", () => {
  const acceptors = ["a1", "a2", "a3"].map((id) => {
    const location = `/tables/${id}.sqlite`;
    return { id: id as AcceptorId, kind: "sqlite", location, incarnation: "i".repeat(32) };
  });
  const quorums = majority(acceptors.map(({ id }) => id));
  const all = Array.from({ length: 10 }, (_, index) => {
    const { location, ...rest } = led();
    const machine = `bank/m${index}` as MachineId;
    return {
      ...rest,
      machine,
      location: { ...location, acceptors, configuration: { ...location.configuration, quorums } },
    };
  });
  const text = encodeMessage(leadsMessage(all));
  expect(text.split("a2.sqlite").length).toBe(2);
  const message = decodeMessage(text);
  expect(message.type === "leads" && ledIn(message)).toEqual(all);
});

describe("an address where nobody answers", () => {
  const NOBODY = "http://127.0.0.1:1";

  it("is told to others only for a while", async () => {
    const [told, untold] = [await node(), await node({ patience: { tellMs: 0, forgetMs: 60_000 } })];
    for (const { peers } of [told, untold]) peers.watch(NOBODY);
    await sleep(20);
    const [one, other] = [await node(), await node()];
    one.peers.watch(told.address);
    other.peers.watch(untold.address);
    await Promise.all([one.peers.met(1), other.peers.met(1)]);
    expect(one.peers.silent.map(({ address }) => address)).toEqual([NOBODY]);
    expect(other.peers.silent).toEqual([]);
  });

  it("is forgotten in the end, and known again when somebody there makes himself known", async () => {
    const one = await node({ patience: { tellMs: 0, forgetMs: 100 } });
    const other = await node();
    one.peers.watch(other.address);
    one.peers.watch(NOBODY);
    await one.peers.met(1);
    while (one.peers.silent.length > 0) await sleep(5);
    expect(one.peers.live.map(({ address }) => address)).toEqual([other.address]);
    const late = await node();
    late.peers.watch(one.address);
    await Promise.all([one.peers.met(2), late.peers.met(1)]);
  });
});

describe("over TLS", () => {
  it("peers find each other by addresses that name their certificates", async () => {
    const [one, other] = [
      await node({ certificate: await newCertificate() }),
      await node({ certificate: await newCertificate(), led: [led()] }),
    ];
    const leads = once(one.peers, "leads");
    const back = once(other.peers, "live");
    one.peers.watch(other.address);
    expect((await leads)[0]).toMatchObject({ address: other.address });
    expect((await back)[0]).toMatchObject({ address: one.address });
  });

  it("nobody is told anything behind another certificate than the address names", async () => {
    const [one, other] = [
      await node({ certificate: await newCertificate() }),
      await node({ certificate: await newCertificate() }),
    ];
    let upgrades = 0;
    other.server.on("upgrade", () => upgrades++);
    const { origin } = new URL(other.address);
    const refused = once(other.server, "connection").then(([socket]) => once(socket, "close"));
    one.peers.watch(`${origin}/#sha256=${"ab".repeat(32)}`);
    await refused;
    expect(upgrades).toBe(0);
    expect(one.peers.live).toEqual([]);
    one.peers.watch(other.address);
    await one.peers.met(1);
    expect(upgrades).toBe(1);
  });

  it("what is no address is ignored, since others say it", async () => {
    const { peers } = await node();
    for (const text of ["", "leader-1", "https://127.0.0.1:1/#sha256=short"]) peers.watch(text);
    expect(peers.silent).toEqual([]);
  });
});

describe("with keys", () => {
  const known = new Map<string, string>();
  const keyed = async (keys = { signer: newSigner(), known }) =>
    node({ certificate: await newCertificate(), keys, led: [led()] });

  it("peers on record hear each other", async () => {
    const [one, other] = [await keyed(), await keyed()];
    const back = once(other.peers, "live");
    one.peers.watch(other.address);
    await one.peers.met(1);
    expect((await back)[0]).toMatchObject({ address: one.address });
    expect([...one.refusals, ...other.refusals]).toEqual([]);
  });

  it("a stranger hears nothing and is not watched, until it is on record", async () => {
    const unknown = { signer: newSigner(), known: new Map(known) };
    const [one, other] = [await keyed(unknown), await keyed()];
    unknown.known.set([...known.keys()].at(-1) as string, [...known.values()].at(-1) as string);
    one.peers.watch(other.address);
    while (other.refusals.length < 2) await sleep(5);
    expect(other.refusals[0]).toContain("not signed by anybody who is known here");
    expect(one.peers.live).toEqual([]);
    expect(other.peers.silent).toEqual([]);
    for (const [process, key] of unknown.known) known.set(process, key);
    await Promise.all([one.peers.met(1), other.peers.met(1)]);
  });

  it("nobody listens without a token, with one for another, or under another's name", async () => {
    const [one, other] = [await keyed(), await keyed()];
    const dial = (token: string | undefined) => {
      const headers = token === undefined ? {} : { [TOKEN_HEADER]: token };
      const url = new URL(PEER_PATH, other.address.replace("https", "wss"));
      url.hash = "";
      return new WebSocket(url, { rejectUnauthorized: false, headers });
    };
    const signer = newSigner();
    const process = "e".repeat(32) as ProcessId;
    known.set(process, signer.publicKey);
    const about = { deployment: "one", process, signer, signatoryOf: async () => undefined, now: Date.now };
    const credentials = new Credentials({ ...about, address: "https://127.0.0.1:1", refused() {} });
    for (const token of [undefined, "nonsense", credentials.tokenFor(one.address)])
      expect((await once(dial(token), "error"))[0]).toBeInstanceOf(Error);
    expect(other.refusals.length).toBe(3);
    const socket = dial(credentials.tokenFor(other.address));
    await once(socket, "open");
    const self = { id: "leader-9", deployment: "one", process: "f".repeat(32) as ProcessId, pid: 9 };
    const hello = { ...self, address: "https://127.0.0.1:1" };
    socket.send(encodeMessage({ type: "hello", format: 2, self: hello }));
    await once(socket, "close");
    expect(other.peers.silent).toEqual([]);
  });
});

test.each([["a browser", { origin: "http://evil.example" }]])("%s cannot listen", async (_, headers) => {
  const { address } = await node();
  const socket = new WebSocket(address.replace("http", "ws") + PEER_PATH, { headers });
  expect((await once(socket, "error"))[0]).toBeInstanceOf(Error);
});

test("garbage ends the connection, and nothing else", async () => {
  const { address, peers } = await node();
  const socket = new WebSocket(address.replace("http", "ws") + PEER_PATH);
  await once(socket, "open");
  socket.send("\u0000 garbage");
  await once(socket, "close");
  expect(peers.live).toEqual([]);
});

test("messages come back as what they were", () => {
  const chosen = { type: "chosen", machine: MACHINE, slot: 7 as Slot, text: '{"a":"\\n"}' } as const;
  expect(decodeMessage(encodeMessage(chosen))).toEqual(chosen);
  expect(decodeMessage(encodeMessage({ type: "beat" }))).toEqual({ type: "beat" });
  expect(() => decodeMessage("nonsense")).toThrow();
});

test("all rank alike, and only the machines of whoever leaves move", () => {
  const ids = ["leader-1", "leader-2", "leader-3"];
  const machines = Array.from({ length: 300 }, (_, index) => `bank/${index}`);
  const firsts = machines.map((machine) => rank(machine, ids)[0]);
  expect(machines.map((machine) => rank(machine, [...ids].reverse())[0])).toEqual(firsts);
  for (const id of ids) expect(firsts.filter((first) => first === id).length).toBeGreaterThan(50);
  const without = machines.map((machine) => rank(machine, ["leader-1", "leader-3"])[0]);
  machines.forEach((_, index) => {
    if (firsts[index] !== "leader-2") expect(without[index]).toBe(firsts[index]);
  });
});
