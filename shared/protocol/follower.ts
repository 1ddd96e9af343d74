/**
 * Following from storage: a process that does not lead a machine learns its chosen commands from any one
 * table's chunks (PROTOCOL §5: chunks are the change stream), never from cells. What is newer than the
 * last full chunk it hears from the leader.
 */
import { type Digest, HEAD, type Outcome } from "./acceptor.ts";
import type { Configuration } from "./configuration.ts";
import { type Installed, Learner } from "./learner.ts";
import type { RecentLog } from "./log.ts";
import { type AcceptorId, QuorumSystem } from "./quorum.ts";
import { type Ask, patience, type RequestInput, Requests, type Retry } from "./requests.ts";
import type { Geometry, Slot } from "./slot.ts";

export type FollowerInput = { readonly input: "catchUp" } | RequestInput;

export type FollowerEffect =
  | Ask
  | Retry
  | { readonly effect: "execute"; readonly slot: Slot; readonly text: string }
  /** A table's snapshot, covered by its Head, in place of the slots that it has executed: the replica takes it over. */
  | ({ readonly effect: "install" } & Installed)
  /** All that any of the tables covers is executed. */
  | { readonly effect: "caughtUp" }
  /** No table could be learned from. */
  | { readonly effect: "cannotCatchUp" };

export interface FollowerOptions {
  readonly configuration: Configuration;
  readonly geometry: Geometry;
  readonly digest: Digest;
  /** The recent log of the replica that executes; its last slot is the one applied. */
  readonly log: RecentLog;
}

export class Follower {
  readonly #requests: Requests;
  readonly #learner: Learner;
  readonly #log: RecentLog;
  /** Tables not tried yet. */
  readonly #sources: AcceptorId[];
  #hasLearned = false;
  #effects: FollowerEffect[] = [];

  constructor(options: FollowerOptions) {
    this.#log = options.log;
    this.#sources = [...new QuorumSystem(options.configuration.quorums).full];
    this.#requests = new Requests((effect) => this.#effects.push(effect));
    this.#learner = new Learner({
      requests: this.#requests,
      geometry: options.geometry,
      digest: options.digest,
      applied: () => this.#log.last,
      learned: (slot, text) => this.#execute(slot, text),
      installed: (snapshot) => this.#install(snapshot),
    });
  }

  step(input: FollowerInput): readonly FollowerEffect[] {
    this.#effects = [];
    if (input.input === "catchUp") this.#catchUp();
    else if (input.input === "outcome") this.#requests.outcome(input.request, input.outcomes);
    else this.#requests.resend(input.request);
    return this.#effects;
  }

  /** One table after another, since any of them may lag behind the others or be unable to show what it claims. */
  #catchUp(): void {
    const source = this.#sources.shift();
    if (source === undefined) {
      this.#effects.push({ effect: this.#hasLearned ? "caughtUp" : "cannotCatchUp" });
      return;
    }
    const onHead = (outcome: Outcome): void => {
      const head = outcome.outcome === "applied" ? outcome.item : undefined;
      if (head?.kind !== "head") return this.#catchUp();
      this.#learner.learn(source, head, (trouble) => {
        if (trouble === undefined) this.#hasLearned = true;
        this.#catchUp();
      });
    };
    const verbs = [{ verb: "read", key: HEAD }] as const;
    this.#requests.ask(
      source,
      verbs,
      (_, outcome) => onHead(outcome),
      patience(() => this.#catchUp()),
    );
  }

  #install(snapshot: Installed): void {
    this.#log.install(snapshot.slot);
    this.#effects.push({ effect: "install", ...snapshot });
  }

  #execute(slot: Slot, text: string): void {
    this.#log.append(slot, text);
    this.#effects.push({ effect: "execute", slot, text });
  }
}
