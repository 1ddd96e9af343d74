/**
 * The other leader processes: who lives, who leads what, and what gets chosen there. Containers watch each
 * other directly, so neither storage nor the registry is on the path of a failover.
 */
import { EventEmitter, once } from "node:events";
import type { Server } from "node:http";
import { addressIn } from "../../client/addresses.ts";
import { type Ballot, parseBallot } from "../../protocol/ballot.ts";
import type { MachineId } from "../../protocol/configuration.ts";
import type { Slot } from "../../protocol/slot.ts";
import type { Credentials } from "../tokens/credentials.ts";
import { PeerCalls } from "./calls.ts";
import { type Identity, type Led, ledIn, type PeerMessage, type Use } from "./message.ts";
import { type Follow, Watched } from "./watched.ts";
import { Watcher } from "./watcher.ts";

export interface PeersEvents {
  /** And has said all that it leads. */
  live: [peer: Identity];
  /** With what it led, as it last said. */
  suspected: [peer: Identity, led: readonly Led[]];
  /** Is about to stop, and still leads what it does not say it left. */
  leaving: [peer: Identity];
  /** Hands its machines over, and is no candidate while there is another. */
  draining: [peer: Identity];
  leads: [peer: Identity, led: Led];
  used: [peer: Identity, machines: readonly Use[]];
  /** Handed over: the next candidate should lead. */
  left: [peer: Identity, led: Led];
  /** The registry suspects a table. */
  suspects: [peer: Identity];
  behind: [peer: Identity, machine: MachineId];
  chosen: [peer: Identity, machine: MachineId, slot: Slot, text: string];
}

interface Known {
  readonly led: Map<MachineId, Led>;
  /** Until when, on the clock of performance.now(). */
  readonly unfitUntilMs: Map<MachineId, number>;
  readonly sinceMs: number;
  /** It has said all that it led when it came. */
  isTold: boolean;
  isDraining: boolean;
  isLeaving: boolean;
}

/** A process that could not lead a machine is passed over for so long, unless all could not. */
export const UNFIT_MS = 10_000;

/** Where leaders come and go, as in containers, no address is used again: what stays silent has ended for good. */
export interface Patience {
  /** Others are not told of an address that has been silent for longer. */
  readonly tellMs: number;
  /** One that has been silent for longer is dialled no more; should it live, it dials this process. */
  readonly forgetMs: number;
}
const PATIENCE: Patience = { tellMs: 60_000, forgetMs: 3_600_000 };

export interface PeersOptions {
  readonly self: Identity;
  readonly server: Server;
  readonly welcome: () => Iterable<PeerMessage>;
  readonly follow: Follow;
  /** Default: processes believe each other who they are, as on one machine. */
  readonly credentials?: Credentials | undefined;
  /** Default: a minute, and an hour. */
  readonly patience?: Patience;
}

export class Peers extends EventEmitter<PeersEvents> {
  readonly calls: PeerCalls;
  readonly #self: Identity;
  readonly #credentials: Credentials | undefined;
  readonly #patience: Patience;
  readonly #watched: Watched;
  readonly #watchers = new Map<string, Watcher>();
  /** By process: a restarted peer is another one, and leads nothing yet. */
  readonly #known = new Map<string, Known>();

  constructor({ self, server, welcome, follow, credentials, patience = PATIENCE }: PeersOptions) {
    super();
    this.#patience = patience;
    this.#self = self;
    this.#credentials = credentials;
    this.calls = new PeerCalls(credentials);
    this.#watched = new Watched(server, {
      self,
      welcome,
      follow,
      credentials,
      addresses: () => this.#addresses(),
      greeted: (watcher) => this.watch(watcher.address),
    });
  }

  /** Watches whoever answers at the address, from now on; what is no address is ignored, since others say it. */
  watch(text: string): void {
    const address = addressIn(text);
    if (address === undefined || address === this.#self.address || this.#watchers.has(address)) return;
    const watcher = new Watcher(address, this.#self, this.#credentials, {
      live: (peer) => this.#greeted(peer),
      suspected: (peer) => this.#suspected(peer),
      heard: (peer, message) => this.#heard(peer, message),
      missed: () => {
        if (watcher.silentMs <= this.#patience.forgetMs) return;
        watcher.close();
        this.#watchers.delete(address);
      },
    });
    this.#watchers.set(address, watcher);
  }

  #addresses(): readonly string[] {
    const { tellMs } = this.#patience;
    return [...this.#watchers.values()]
      .filter(({ silentMs }) => silentMs <= tellMs)
      .map(({ address }) => address);
  }

  /** The peers that live, and neither leave nor drain. */
  get candidates(): readonly Identity[] {
    return this.#staying.filter((peer) => !this.isDraining(peer));
  }

  /** The peers that should lead only what nobody else can. */
  get draining(): readonly Identity[] {
    return this.#staying.filter((peer) => this.isDraining(peer));
  }

  get #staying(): readonly Identity[] {
    return this.live.filter(({ process }) => this.#known.get(process)?.isLeaving !== true);
  }

  isDraining({ process }: Identity): boolean {
    return this.#known.get(process)?.isDraining === true;
  }

  /** Whether it has lived for so long without a break. */
  hasLived({ process }: Identity, forMs: number): boolean {
    const known = this.#known.get(process);
    return known !== undefined && performance.now() - known.sinceMs >= forMs;
  }

  /** How many machines it leads. */
  countLed({ process }: Identity): number {
    return this.#known.get(process)?.led.size ?? 0;
  }

  /** Resolves once so many peers live. */
  async met(count: number): Promise<void> {
    while (this.live.length < count) await once(this, "live");
  }

  /** Who has said what it leads. */
  get live(): readonly Identity[] {
    return this.#answering.filter(({ process }) => this.#known.get(process)?.isTold === true);
  }

  get #answering(): readonly Identity[] {
    return [...this.#watchers.values()].flatMap(({ peer }) => (peer === undefined ? [] : [peer]));
  }

  /** Where nobody answers now, and who answered there last; an address that never answered is its own id. */
  get silent(): readonly Pick<Identity, "id" | "address">[] {
    return [...this.#watchers.values()]
      .filter(({ peer }) => peer === undefined)
      .map(({ address, lastPeer }) => ({ id: lastPeer?.id ?? address, address }));
  }

  /** The live peer that leads the machine in the highest ballot. */
  leaderOf(machine: MachineId): { peer: Identity; led: Led } | undefined {
    let leader: { peer: Identity; led: Led } | undefined;
    for (const peer of this.#answering) {
      const led = this.#known.get(peer.process)?.led.get(machine);
      if (led !== undefined && (leader === undefined || led.ballot > leader.led.ballot))
        leader = { peer, led };
    }
    return leader;
  }

  /** The live peer that owns a ballot. */
  ownerOf(ballot: Ballot): Identity | undefined {
    const { process } = parseBallot(ballot);
    return this.live.find((peer) => peer.process === process);
  }

  /** Every machine that live peers lead. */
  get led(): readonly Led[] {
    return this.live.flatMap((peer) => [...(this.#known.get(peer.process)?.led.values() ?? [])]);
  }

  follow(peer: Identity, machine: MachineId, from: Slot): void {
    this.#watchers.get(peer.address)?.follow(machine, from);
  }

  /** Whether the peer hears at once what this process gets chosen for the machine. */
  isFollowedBy({ process }: Identity, machine: MachineId): boolean {
    return this.#watched.isFollowedBy(process, machine);
  }

  /** Whether the peer said lately that it cannot lead the machine. */
  isUnfit({ process }: Identity, machine: MachineId): boolean {
    return (this.#known.get(process)?.unfitUntilMs.get(machine) ?? 0) > performance.now();
  }

  tell(
    message: Extract<
      PeerMessage,
      { type: "leads" | "left" | "unfit" | "used" | "suspects" | "draining" | "leaving" }
    >,
  ): void {
    this.#watched.tell(message);
  }

  close(): void {
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watched.close();
    this.calls.close();
  }

  #greeted(peer: Identity): void {
    this.#known.set(peer.process, {
      led: new Map(),
      unfitUntilMs: new Map(),
      sinceMs: performance.now(),
      isTold: false,
      isDraining: false,
      isLeaving: false,
    });
  }

  #suspected(peer: Identity): void {
    const led = [...(this.#known.get(peer.process)?.led.values() ?? [])];
    this.#known.delete(peer.process);
    this.emit("suspected", peer, led);
  }

  #heard(peer: Identity, message: PeerMessage): void {
    const known = this.#known.get(peer.process);
    if (known === undefined) return;
    switch (message.type) {
      case "peers":
        for (const address of message.addresses) this.watch(address);
        break;
      case "leads":
        for (const led of ledIn(message)) {
          known.led.set(led.machine, led);
          this.emit("leads", peer, led);
        }
        break;
      case "told":
        known.isTold = true;
        this.emit("live", peer);
        break;
      case "used":
        this.emit("used", peer, message.machines);
        break;
      case "draining":
        known.isDraining = true;
        this.emit("draining", peer);
        break;
      case "left": {
        const led = known.led.get(message.machine);
        known.led.delete(message.machine);
        if (led !== undefined) this.emit("left", peer, led);
        break;
      }
      case "unfit":
        known.unfitUntilMs.set(message.machine, performance.now() + UNFIT_MS);
        break;
      case "suspects":
        this.emit("suspects", peer);
        break;
      case "leaving":
        known.isLeaving = true;
        this.emit("leaving", peer);
        break;
      case "behind":
        this.emit("behind", peer, message.machine);
        break;
      case "chosen":
        this.emit("chosen", peer, message.machine, message.slot, message.text);
        break;
    }
  }
}
