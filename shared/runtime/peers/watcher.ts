/**
 * The watching side: one peer, dialled until it answers and again whenever it is lost. A peer is suspected
 * when its connection is reset or it is silent for too long. A suspicion is never a fact: acting on a
 * wrong one costs a duel of ballots, and nothing else.
 */
import { type ClientOptions, WebSocket } from "ws";
import { backoffMs } from "../../backoff.ts";
import { PinningAgent, type PinOptions, parseAddress } from "../../client/pinned.ts";
import type { MachineId } from "../../protocol/configuration.ts";
import type { Slot } from "../../protocol/slot.ts";
import type { Credentials } from "../tokens/credentials.ts";
import { peerHeaders } from "./calls.ts";
import { decodeMessage, encodeMessage, type Identity, PEER_FORMAT, type PeerMessage } from "./message.ts";
import { BEAT_MS, PEER_PATH } from "./watched.ts";

/** Silence after which a peer is suspected: ten beats, since a busy machine delays some. */
export const SUSPECT_AFTER_MS = 1_000;

/** A connection is used for one watching, and then closed. */
const AGENT = new PinningAgent();

export interface WatcherEvents {
  /** The peer said who it is. */
  live(peer: Identity): void;
  /** It was live, and is suspected now. */
  suspected(peer: Identity): void;
  heard(peer: Identity, message: PeerMessage): void;
  /** Nobody answered, once more. */
  missed(): void;
}

export class Watcher {
  readonly address: string;
  readonly #url: URL;
  readonly #pin: PinOptions & Pick<ClientOptions, "agent">;
  readonly #self: Identity;
  readonly #credentials: Credentials | undefined;
  readonly #events: WatcherEvents;
  readonly #timer: NodeJS.Timeout;
  #socket: WebSocket | undefined;
  #peer: Identity | undefined;
  #lastPeer: Identity | undefined;
  #heardAt = performance.now();
  #lookedAt = performance.now();
  #aloneSince = performance.now();
  #attempts = 0;
  #redial: NodeJS.Timeout | undefined;
  #isClosed = false;

  /** @throws RangeError for a text that is no address. */
  constructor(address: string, self: Identity, credentials: Credentials | undefined, events: WatcherEvents) {
    const known = parseAddress(address);
    if (known === undefined) throw new RangeError(`not the address of a leader: ${address}`);
    const { origin, ...pin } = known;
    this.address = address;
    this.#url = new URL(PEER_PATH, origin.replace(/^http/, "ws"));
    this.#pin = origin.startsWith("https:") ? { ...pin, agent: AGENT } : {};
    this.#self = self;
    this.#credentials = credentials;
    this.#events = events;
    this.#timer = setInterval(() => this.#look(), BEAT_MS);
    this.#dial();
  }

  /** Who answers there; undefined while nobody does. */
  get peer(): Identity | undefined {
    return this.#peer;
  }

  /** For how long nobody has answered there. */
  get silentMs(): number {
    return this.#peer === undefined ? performance.now() - this.#aloneSince : 0;
  }

  /** Who answered there last. */
  get lastPeer(): Identity | undefined {
    return this.#lastPeer;
  }

  follow(machine: MachineId, from: Slot): void {
    this.#socket?.send(encodeMessage({ type: "follow", machine, from }));
  }

  close(): void {
    this.#isClosed = true;
    clearInterval(this.#timer);
    clearTimeout(this.#redial);
    this.#socket?.terminate();
  }

  #dial(): void {
    const options: ClientOptions & PinOptions = {
      handshakeTimeout: SUSPECT_AFTER_MS,
      perMessageDeflate: false,
      headers: peerHeaders(this.#credentials, this.address),
      ...this.#pin,
    };
    const socket = new WebSocket(this.#url, options);
    socket.on("open", () => {
      this.#socket = socket;
      this.#heardAt = performance.now();
      socket.send(encodeMessage({ type: "hello", format: PEER_FORMAT, self: this.#self }));
    });
    socket.on("message", (data) => this.#hear(socket, String(data)));
    socket.on("error", () => socket.terminate());
    socket.on("close", () => this.#lost());
  }

  #hear(socket: WebSocket, data: string): void {
    this.#heardAt = performance.now();
    let message: PeerMessage;
    try {
      message = decodeMessage(data);
    } catch {
      return socket.terminate();
    }
    if (message.type === "hello") {
      const isOne = message.format === PEER_FORMAT && message.self.deployment === this.#self.deployment;
      if (!isOne) return socket.terminate();
      this.#attempts = 0;
      this.#peer = message.self;
      this.#lastPeer = message.self;
      this.#events.live(message.self);
    } else if (this.#peer !== undefined) this.#events.heard(this.#peer, message);
  }

  #lost(): void {
    const peer = this.#peer;
    this.#socket = undefined;
    this.#peer = undefined;
    if (this.#isClosed) return;
    this.#redial = setTimeout(() => this.#dial(), backoffMs(++this.#attempts, Math.random));
    if (peer === undefined) return this.#events.missed();
    this.#aloneSince = performance.now();
    this.#events.suspected(peer);
  }

  /** A process that was itself asleep has heard nothing because it did not listen: it waits once more. */
  #look(): void {
    const now = performance.now();
    const wasAsleep = now - this.#lookedAt > SUSPECT_AFTER_MS / 2;
    this.#lookedAt = now;
    if (wasAsleep) this.#heardAt = now;
    else if (now - this.#heardAt > SUSPECT_AFTER_MS) this.#socket?.terminate();
  }
}
