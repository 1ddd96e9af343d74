/**
 * Machines move to where they belong: to a leader that joined, since rendezvous hashing ranks it first for them, and
 * away from one that drains. Its leader lets what is under way finish and stops; the other one, which followed it
 * until then, goes on. Callers are told whom to ask, and none of them sees an error.
 *
 * Nothing moves towards a peer that has just come, or before it follows; what came back waits longer each time.
 */
import type { Identity } from "../peers/message.ts";
import type { Ports } from "../ports.ts";
import type { Candidates } from "./candidates.ts";
import type { Member } from "./member.ts";

/** A peer that comes and goes is not worth moving for. */
const STEADY_MS = 3_000;
/** Machines in use under way at once: each is without a leader for a round trip or two. */
const MOVES_MAX = 4;
/** The other one leads well within that, or something is wrong with it and the next machine need not wait. */
const MOVE_MS_MAX = 2_000;
/** A machine that came back stays for this long, and each time twice as long. */
const STAY_MS = 10_000;
const STAY_MS_MAX = 600_000;
/** Machines looked at in one go, and how soon the next ones are. */
const LOOKS_MAX = 250;
const LOOK_EVERY_MS = 50;
/** How soon a machine is looked at again that cannot move yet. */
const LOOK_AGAIN_MS = 500;

type Verdict = "stays" | "later" | "moves";

interface Past {
  readonly moves: number;
  readonly stayUntilMs: number;
}

export interface RebalancingOptions {
  readonly candidates: Candidates;
  readonly members: () => Iterable<Member>;
  readonly ports: Ports;
}

export class Rebalancing {
  readonly #options: RebalancingOptions;
  /** Machines that may belong elsewhere, and when to look at each. */
  readonly #reviews = new Map<Member, number>();
  readonly #moving = new Map<Member, () => void>();
  readonly #past = new Map<Member, Past>();
  #cancel: (() => void) | undefined;

  constructor(options: RebalancingOptions) {
    this.#options = options;
  }

  listen(): void {
    const { peers } = this.#options.candidates;
    peers.on("live", () => this.reviewAll());
    peers.on("draining", () => this.reviewAll());
    peers.on("leads", (_, { machine }) => {
      for (const [member, arrived] of this.#moving) if (member.machine === machine) arrived();
    });
  }

  /** Who should lead has changed. */
  reviewAll(): void {
    for (const member of this.#options.members()) if (member.isServing) this.review(member);
  }

  /** This process has begun to lead the machine. */
  review(member: Member): void {
    this.#reviews.set(member, this.#options.ports.elapsed());
    this.#lookSoon();
  }

  #lookSoon(): void {
    if (this.#cancel !== undefined || this.#reviews.size === 0) return;
    this.#cancel = this.#options.ports.after(LOOK_EVERY_MS, () => {
      this.#cancel = undefined;
      this.#look();
      this.#lookSoon();
    });
  }

  #look(): void {
    const now = this.#options.ports.elapsed();
    let looks = 0;
    for (const [member, lookAtMs] of this.#reviews) {
      const isTurn = !member.isInUse(now) || this.#moving.size < MOVES_MAX;
      if (lookAtMs > now || !isTurn) continue;
      if (looks++ === LOOKS_MAX) return;
      const verdict = this.#verdict(member, now);
      if (verdict === "later") this.#reviews.set(member, now + LOOK_AGAIN_MS);
      else this.#reviews.delete(member);
      if (verdict === "moves") this.#move(member);
    }
  }

  #verdict(member: Member, now: number): Verdict {
    const { candidates } = this.#options;
    // Whoever leads it again later is asked again.
    if (!member.isServing || candidates.isLeaving) return "stays";
    if (candidates.home(member) === candidates.self) return candidates.isDraining ? "later" : "stays";
    const to = this.#target(member, now);
    if (to === undefined || member.reconfiguring !== undefined) return "later";
    // Whoever cannot follow it would keep its users waiting.
    const isReady = !member.isInUse(now) || candidates.peers.isFollowedBy(to, member.machine);
    return isReady ? "moves" : "later";
  }

  /** Where it may go now. One that drains is content with any that can lead; else only its home is worth a move. */
  #target(member: Member, now: number): Identity | undefined {
    const { candidates } = this.#options;
    if (candidates.isDraining) return candidates.better(member);
    const home = candidates.home(member);
    if (home === undefined || candidates.isUnfit(home, member)) return undefined;
    const mayMove = (this.#past.get(member)?.stayUntilMs ?? 0) <= now;
    return mayMove && candidates.peers.hasLived(home, STEADY_MS) ? home : undefined;
  }

  #move(member: Member): void {
    const { ports } = this.#options;
    const now = ports.elapsed();
    const moves = (this.#past.get(member)?.moves ?? 0) + 1;
    const stayMs = Math.min(STAY_MS_MAX, STAY_MS * 2 ** (moves - 1));
    this.#past.set(member, { moves, stayUntilMs: now + stayMs });
    // The idle one is led again when somebody uses it.
    if (!member.isInUse(now)) return member.hosted.host.resign();
    const cancel = ports.after(MOVE_MS_MAX, () => this.#moving.delete(member));
    this.#moving.set(member, () => {
      cancel();
      this.#moving.delete(member);
    });
    void member.hosted.handOver();
  }
}
