/** The watched side: tells every watcher that this process lives, what it leads, and what gets chosen. */
import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import type { MachineId } from "../../protocol/configuration.ts";
import type { Slot } from "../../protocol/slot.ts";
import {
  decodeMessage,
  encodeMessage,
  type Identity,
  type Led,
  PEER_FORMAT,
  type PeerMessage,
} from "./message.ts";

export const PEER_PATH = "/v1/peer";
/** Ten beats fit into the silence after which a peer is suspected (watcher.ts). */
export const BEAT_MS = 100;
/** A watcher that lags by more is cut off; it reads the tables and follows again. */
const BACKLOG_BYTES_MAX = 16 * 1024 * 1024;

/** Sends what is chosen from `from` on until the returned function is called; undefined: that is too old. */
export type Follow = (
  machine: MachineId,
  from: Slot,
  send: (slot: Slot, text: string) => void,
) => (() => void) | undefined;

export interface WatchedOptions {
  readonly self: Identity;
  readonly leads: () => Iterable<Led>;
  readonly addresses: () => readonly string[];
  readonly follow: Follow;
  /** A process that watches this one made itself known. */
  readonly greeted: (watcher: Identity) => void;
}

export class Watched {
  readonly #options: WatchedOptions;
  readonly #sockets = new WebSocketServer({ noServer: true, maxPayload: 64 * 1024 });
  readonly #timer: NodeJS.Timeout;

  constructor(server: Server, options: WatchedOptions) {
    this.#options = options;
    server.on("upgrade", (request, socket, head) => this.#upgrade(request, socket, head));
    this.#timer = setInterval(() => this.tell({ type: "beat" }), BEAT_MS);
  }

  /** Tells all watchers. */
  tell(message: PeerMessage): void {
    const data = encodeMessage(message);
    for (const socket of this.#sockets.clients) send(socket, data);
  }

  close(): void {
    clearInterval(this.#timer);
    for (const socket of this.#sockets.clients) socket.terminate();
    this.#sockets.close();
  }

  /** Browsers name their origin; no page has business here. */
  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (request.url !== PEER_PATH || request.headers.origin !== undefined) socket.destroy();
    else this.#sockets.handleUpgrade(request, socket, head, (watcher) => this.#welcome(watcher));
  }

  #welcome(watcher: WebSocket): void {
    const { self, leads, addresses } = this.#options;
    const following = new Map<MachineId, () => void>();
    const tell = (message: PeerMessage): void => send(watcher, encodeMessage(message));
    watcher.on("error", () => watcher.terminate());
    watcher.on("close", () => {
      for (const stop of following.values()) stop();
    });
    watcher.on("message", (data) => {
      try {
        this.#hear(decodeMessage(String(data)), tell, following);
      } catch {
        watcher.terminate();
      }
    });
    tell({ type: "hello", format: PEER_FORMAT, self });
    tell({ type: "peers", addresses: addresses() });
    for (const led of leads()) tell({ type: "leads", led });
  }

  /** @throws RangeError when it is a process of another deployment. */
  #greet(watcher: Identity): void {
    if (watcher.deployment !== this.#options.self.deployment) throw new RangeError("of another deployment");
    this.#options.greeted(watcher);
  }

  #hear(
    message: PeerMessage,
    tell: (message: PeerMessage) => void,
    following: Map<MachineId, () => void>,
  ): void {
    if (message.type === "hello") this.#greet(message.self);
    if (message.type !== "follow") return;
    const { machine, from } = message;
    following.get(machine)?.();
    following.delete(machine);
    const stop = this.#options.follow(machine, from, (slot, text) =>
      tell({ type: "chosen", machine, slot, text }),
    );
    if (stop === undefined) tell({ type: "behind", machine });
    else following.set(machine, stop);
  }
}

function send(socket: WebSocket, data: string): void {
  if (socket.bufferedAmount > BACKLOG_BYTES_MAX) socket.terminate();
  else if (socket.readyState === socket.OPEN) socket.send(data);
}
