/** The watched side: tells every watcher that this process lives, what it leads, and what gets chosen. */
import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import { Forbidden } from "../../errors.ts";
import type { ProcessId } from "../../protocol/ballot.ts";
import type { MachineId } from "../../protocol/configuration.ts";
import type { Slot } from "../../protocol/slot.ts";
import type { Credentials } from "../tokens/credentials.ts";
import { TOKEN_HEADER } from "../tokens/token.ts";
import { decodeMessage, encodeMessage, type Identity, PEER_FORMAT, type PeerMessage } from "./message.ts";

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
  /** What a new watcher hears of this process's machines; taken piece by piece, as fast as it is heard. */
  readonly welcome: () => Iterable<PeerMessage>;
  readonly addresses: () => readonly string[];
  readonly follow: Follow;
  /** Default: whoever dials may listen. */
  readonly credentials?: Credentials | undefined;
  /** A process that watches this one made itself known. */
  readonly greeted: (watcher: Identity) => void;
}

export class Watched {
  readonly #options: WatchedOptions;
  readonly #sockets = new WebSocketServer({ noServer: true, maxPayload: 64 * 1024 });
  readonly #timer: NodeJS.Timeout;
  /** What each watcher follows, by its process. */
  readonly #followed = new Map<ProcessId, ReadonlyMap<MachineId, () => void>>();

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

  /** Whether the process hears at once what is chosen for the machine. */
  isFollowedBy(process: ProcessId, machine: MachineId): boolean {
    return this.#followed.get(process)?.has(machine) === true;
  }

  close(): void {
    clearInterval(this.#timer);
    for (const socket of this.#sockets.clients) socket.terminate();
    this.#sockets.close();
  }

  /** Browsers name their origin; no page has business here. Nothing is said before it is known who listens. */
  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    if (request.url !== PEER_PATH || request.headers.origin !== undefined) return void socket.destroy();
    const hangUp = () => socket.destroy();
    socket.on("error", hangUp);
    try {
      const process = await this.#options.credentials?.processOf(tokenIn(request));
      socket.off("error", hangUp);
      this.#sockets.handleUpgrade(request, socket, head, (watcher) => this.#welcome(watcher, process));
    } catch (error) {
      if (error instanceof Forbidden) this.#options.credentials?.refused(error, PEER_PATH);
      hangUp();
    }
  }

  /** `process`: whose the token was with which it came, where those are asked for. */
  #welcome(watcher: WebSocket, process: ProcessId | undefined): void {
    const { self, welcome, addresses } = this.#options;
    const following = new Map<MachineId, () => void>();
    let greeted: ProcessId | undefined;
    const tell = (message: PeerMessage): void => send(watcher, encodeMessage(message));
    watcher.on("error", () => watcher.terminate());
    watcher.on("close", () => {
      for (const stop of following.values()) stop();
      if (greeted !== undefined && this.#followed.get(greeted) === following) this.#followed.delete(greeted);
    });
    watcher.on("message", (data) => {
      try {
        const message = decodeMessage(String(data));
        if (message.type === "hello") {
          this.#greet(message.self, process);
          greeted = message.self.process;
          this.#followed.set(greeted, following);
        } else this.#hear(message, tell, following);
      } catch {
        watcher.terminate();
      }
    });
    tell({ type: "hello", format: PEER_FORMAT, self });
    tell({ type: "peers", addresses: addresses() });
    tellEach(watcher, withEnd(welcome()));
  }

  /** @throws RangeError when it is a process of another deployment, or not the one that it says. */
  #greet(watcher: Identity, process: ProcessId = watcher.process): void {
    if (watcher.process !== process) throw new RangeError("not the process that it says");
    if (watcher.deployment !== this.#options.self.deployment) throw new RangeError("of another deployment");
    this.#options.greeted(watcher);
  }

  #hear(
    message: PeerMessage,
    tell: (message: PeerMessage) => void,
    following: Map<MachineId, () => void>,
  ): void {
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

function tokenIn({ headers }: IncomingMessage): string | undefined {
  const token = headers[TOKEN_HEADER];
  return typeof token === "string" ? token : undefined;
}

function* withEnd(messages: Iterable<PeerMessage>): Generator<PeerMessage> {
  yield* messages;
  yield { type: "told" };
}

/** The next one once the last one has left: a newcomer to many machines must not look like one that lags. */
function tellEach(socket: WebSocket, messages: Iterator<PeerMessage>): void {
  const next = messages.next();
  if (next.done === true || socket.readyState !== socket.OPEN) return;
  socket.send(encodeMessage(next.value), (error) => {
    if (error == null) tellEach(socket, messages);
  });
}

function send(socket: WebSocket, data: string): void {
  if (socket.bufferedAmount > BACKLOG_BYTES_MAX) socket.terminate();
  else if (socket.readyState === socket.OPEN) socket.send(data);
}
