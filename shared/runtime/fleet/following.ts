/**
 * Being the standby of what others lead. A peer tells all that it leads, and which of that is used: only those
 * machines are followed, so a thousand idle ones cost a standby one line each and no replica.
 */
import type { MachineId } from "../../protocol/configuration.ts";
import type { Slot } from "../../protocol/slot.ts";
import type { Identity, Led, Use } from "../peers/message.ts";
import type { Ports } from "../ports.ts";
import type { StorePool } from "../store-pool.ts";
import type { Candidates } from "./candidates.ts";
import type { Member } from "./member.ts";
import { Turns } from "./turns.ts";

/** A follower that is behind waits for the tables to be written: they lag, and asking faster does not help. */
const BEHIND_MS = 200;
/** Machines whose tables are read at once. */
const CATCH_UPS_MAX = 16;
/** Reading a long log takes a while, and others need not wait for it. */
const CATCH_UP_MS_MAX = 1_000;

export interface FollowingOptions {
  readonly candidates: Candidates;
  readonly stores: StorePool;
  readonly ports: Ports;
  /** Undefined: this process does not have the machine's code. */
  readonly memberOf: (machine: MachineId) => Member | undefined;
}

export class Following {
  readonly #options: FollowingOptions;
  readonly #turns: Turns;

  constructor(options: FollowingOptions) {
    this.#options = options;
    this.#turns = new Turns(CATCH_UPS_MAX, CATCH_UP_MS_MAX, options.ports);
  }

  listen(): void {
    const { candidates, ports } = this.#options;
    candidates.peers.on("leads", (peer, led) => this.#onLeads(peer, led));
    candidates.peers.on("used", (peer, uses) => this.#onUsed(peer, uses));
    candidates.peers.on("chosen", (peer, machine, slot, text) => this.#onChosen(peer, machine, slot, text));
    candidates.peers.on("behind", (peer, machine) =>
      ports.after(BEHIND_MS, () => {
        const member = this.#options.memberOf(machine);
        if (member !== undefined) this.#catchUp(peer, member);
      }),
    );
  }

  /** A peer leads: one with a higher ballot deposes this process. */
  #onLeads(peer: Identity, { machine, ballot, location }: Led): void {
    const { memberOf, stores } = this.#options;
    const member = memberOf(machine);
    if (member === undefined) return;
    member.learnLocation(location);
    void stores.warm(machine, location.acceptors);
    member.noteBallot(ballot);
    const host = member.loaded?.host;
    if (host?.ballot !== undefined && host.ballot < ballot) host.resign(ballot);
    member.followed = undefined;
    if (member.isInUse(this.#options.ports.elapsed())) this.#catchUp(peer, member);
  }

  #onUsed(peer: Identity, uses: readonly Use[]): void {
    const now = this.#options.ports.elapsed();
    for (const [machine, agoMs] of uses) {
      const member = this.#options.memberOf(machine);
      if (member === undefined) continue;
      member.usedAt = Math.max(member.usedAt, now - agoMs);
      if (member.followed === undefined) this.#catchUp(peer, member);
    }
  }

  /** Reads the tables as far as they go, then listens to the leader. */
  #catchUp(peer: Identity, member: Member): void {
    const leader = this.#options.candidates.peers.leaderOf(member.machine);
    if (leader?.peer !== peer || member.isLeading) return;
    member.followed = leader.led.ballot;
    void this.#turns.run(member, async () => {
      const { location, hosted } = member;
      if (location === undefined || hosted.host.leading) return;
      await hosted.catchUp(location.configuration);
      this.#follow(peer, member);
    });
  }

  #follow(peer: Identity, member: Member): void {
    const { machine, hosted } = member;
    member.isAskingToFollow = true;
    this.#options.candidates.peers.follow(peer, machine, (hosted.host.replica.applied + 1) as Slot);
  }

  #onChosen(peer: Identity, machine: MachineId, slot: Slot, text: string): void {
    const member = this.#options.memberOf(machine);
    if (member === undefined) return;
    member.usedAt = this.#options.ports.elapsed();
    if (member.hosted.host.learn(slot, text)) member.isAskingToFollow = false;
    else if (!member.isAskingToFollow) this.#follow(peer, member);
  }
}
