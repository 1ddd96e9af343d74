/**
 * Vertical reconfiguration (PROTOCOL §7; the talk's Part IIa): from one configuration to the next, whose first
 * ballot the registry has granted. Copy while the old configuration serves; end its ballots; transfer the tail;
 * and only when the registry has activated the new one are its votes choices (invariant 9). Until then nothing
 * of the tail is executed, answered, read or archived here.
 *
 * One try, like a leader's life: whatever fails, the next try asks the registry for another configuration.
 */
import { type Digest, HEAD, type Head, type Value, type Verb } from "./acceptor.ts";
import { Archive } from "./archive.ts";
import { type Ballot, birthBallot } from "./ballot.ts";
import type { Configuration } from "./configuration.ts";
import type { Progress } from "./copying.ts";
import type { Installed } from "./learner.ts";
import type { RecentLog } from "./log.ts";
import { type AcceptorId, QuorumSystem } from "./quorum.ts";
import { type Failure, Recovery } from "./recovery.ts";
import { type Ask, patience, type RequestInput, Requests, type Retry } from "./requests.ts";
import { type Geometry, laneOf, type Slot } from "./slot.ts";
import { encodeBatch } from "./value.ts";

export type HandoverInput =
  /** Copy what the old configuration's tables cover; it goes on serving. */
  | { readonly input: "copy" }
  /** End the old ballots and transfer: service stops here. The replica is nobody else's from now on. */
  | { readonly input: "fence" }
  | RequestInput
  /** Waited long enough: the next try is with other tables. */
  | { readonly input: "giveUp" };

export type HandoverEffect =
  | Ask
  | Retry
  /** Chosen in the old configuration and covered by a Head of it. */
  | { readonly effect: "execute"; readonly slot: Slot; readonly text: string }
  /** A table's snapshot, covered by its Head, in place of the slots that it has executed: the replica takes it over. */
  | ({ readonly effect: "install" } & Installed)
  /** How far a new table is. */
  | ({ readonly effect: "progress" } & Progress)
  /** The new tables are within a chunk of the old ones. */
  | { readonly effect: "copied" }
  /** Everything is on all acceptors of the new configuration: the registry may activate it. */
  | { readonly effect: "transferred" }
  | { readonly effect: "failed"; readonly failure: HandoverFailure };

/** As in recovery; or the old configuration has no readable table; `fenced`: by a newer reconfiguration. */
export type HandoverFailure = Failure | { readonly why: "nothingToCopyFrom" } | { readonly why: "givenUp" };

export interface HandoverOptions {
  readonly from: Configuration;
  readonly to: Configuration;
  readonly geometry: Geometry;
  readonly digest: Digest;
  readonly log: RecentLog;
  /** Acceptors that were found damaged. */
  readonly distrusted: ReadonlySet<AcceptorId>;
}

/** Each pass copies what was chosen during the one before it. */
const PASSES_MAX = 10;

export class Handover {
  /** ⟨c′, 0, 0⟩: it belongs only to the process that was granted c′ (PROTOCOL §1). */
  readonly ballot: Ballot;
  readonly #options: HandoverOptions;
  readonly #from: QuorumSystem;
  readonly #to: QuorumSystem;
  readonly #requests: Requests;
  readonly #archive: Archive;
  readonly #recovery: Recovery;
  readonly #lost: Set<AcceptorId>;
  readonly #oldHeads = new Map<AcceptorId, Head>();
  /** Acks still missing of the tail's votes, all acceptors and all slots. */
  #votesMissing = 0;
  /** What the new tables are to cover: a chunk's end, and only slots that are chosen. */
  #target: Slot = 0 as Slot;
  #lastTarget: Slot = 0 as Slot;
  #passes = 0;
  /** Old acceptors that have not been heard of in this pass. */
  #unanswered = 0;
  #effects: HandoverEffect[] = [];
  #phase: "new" | "copying" | "copied" | "fencing" | "transferring" | "over" = "new";

  /** @throws RangeError when `to` replaces another than `from`: the registry would activate it, and lose what is between. */
  constructor(options: HandoverOptions) {
    const { from, to, geometry, digest, log, distrusted } = options;
    if (to.previous !== from.number)
      throw new RangeError(`configuration ${to.number} replaces ${to.previous}, not ${from.number}`);
    this.#options = options;
    this.ballot = birthBallot(to.number);
    this.#from = new QuorumSystem(from.quorums);
    this.#to = new QuorumSystem(to.quorums);
    this.#requests = new Requests((effect) => this.#effects.push(effect));
    this.#lost = new Set(distrusted);
    this.#archive = new Archive({
      requests: this.#requests,
      quorums: this.#to,
      geometry,
      digest,
      log,
      applied: () => this.#target,
      lost: (acceptor) => this.#loseNew(acceptor),
      alarm: (alarm) => this.#fail({ why: "alarm", alarm }),
      progress: (progress) => this.#effects.push({ effect: "progress", ...progress }),
    });
    this.#recovery = new Recovery({
      configuration: from,
      quorums: this.#from,
      ballot: this.ballot,
      geometry,
      digest,
      log,
      requests: this.#requests,
      lost: this.#lost,
      lose: (acceptor) => this.#lost.add(acceptor),
      sawHead: (of, head) => this.#sawOldHead(of, head),
      knowsHead: () => this.#phase !== "fencing",
      learned: (slot, text) => this.#execute(slot, text),
      installed: (snapshot) => this.#install(snapshot),
      recovered: (tailEnd) => this.#transfer(tailEnd),
      failed: (failure) => this.#fail(failure),
    });
  }

  step(input: HandoverInput): readonly HandoverEffect[] {
    this.#effects = [];
    if (this.#phase === "over") return [];
    if (input.input === "copy") this.#copy();
    else if (input.input === "fence") this.#fence();
    else if (input.input === "outcome") this.#requests.outcome(input.request, input.outcomes);
    else if (input.input === "resend") this.#requests.resend(input.request);
    else this.#fail({ why: "givenUp" });
    if (this.#phase === "copying" || this.#phase === "transferring") this.#archive.work();
    this.#conclude();
    return this.#effects;
  }

  /** §7 step 2: only covered slots are copied, so it is safe at any time. */
  #copy(): void {
    this.#phase = "copying";
    for (const acceptor of this.#to.full) this.#readNewHead(acceptor);
    this.#readOldHeads();
  }

  /** One pass: the old Heads as they are now; those that do not answer are passed over. */
  #readOldHeads(): void {
    this.#passes++;
    this.#lastTarget = this.#target;
    this.#unanswered = this.#from.full.length;
    const answered = (): void => {
      if (--this.#unanswered === 0 && this.#oldHeads.size === 0) this.#fail({ why: "nothingToCopyFrom" });
    };
    for (const acceptor of this.#from.full)
      this.#requests.ask(
        acceptor,
        [{ verb: "read", key: HEAD }],
        (_, outcome) => {
          if (outcome.outcome === "applied" && outcome.item?.kind === "head")
            this.#sawOldHead(acceptor, outcome.item);
          answered();
        },
        patience(answered),
      );
  }

  #readNewHead(acceptor: AcceptorId): void {
    this.#requests.ask(acceptor, [{ verb: "read", key: HEAD }], (_, outcome) => {
      if (outcome.outcome === "applied" && outcome.item?.kind === "head")
        this.#archive.noteHead(acceptor, outcome.item);
      else this.#loseNew(acceptor);
    });
  }

  #sawOldHead(of: AcceptorId, head: Head): void {
    this.#oldHeads.set(of, head);
    this.#archive.noteSource(of, head);
    if (this.#phase === "copying") this.#target = Math.max(this.#target, head.covered) as Slot;
  }

  /** §7 step 3: by the first ballot of the new configuration, in the lanes of the old one. */
  #fence(): void {
    this.#phase = "fencing";
    this.#recovery.start();
  }

  /**
   * §7 step 4. Everything through S goes to the new tables as chunks, and S+1 … H as votes of ⟨c′, 0, 0⟩ in the new
   * lanes, on all acceptors of c′: with less than a read quorum usable it would be unrecoverable.
   */
  #transfer(tailEnd: Slot): void {
    const { geometry, log } = this.#options;
    this.#phase = "transferring";
    this.#target = (Math.floor(log.last / geometry.chunkSlots) * geometry.chunkSlots) as Slot;
    for (const acceptor of this.#to.full) this.#readNewHead(acceptor);
    for (let slot = (this.#target + 1) as Slot; slot <= tailEnd; slot++)
      this.#vote(slot, this.#valueOf(slot) ?? this.#hashed(encodeBatch(this.ballot, 0, [])));
  }

  /** Of an executed slot the chosen value; else the one that is safe in it. */
  #valueOf(slot: Slot): Value | undefined {
    const executed = this.#options.log.get(slot);
    return executed === undefined ? this.#recovery.voteFor(slot)?.value : this.#hashed(executed);
  }

  #hashed(text: string): Value {
    return { text, digest: this.#options.digest(text) };
  }

  #vote(slot: Slot, value: Value): void {
    const { to, geometry } = this.#options;
    const key = { kind: "cell", configuration: to.number, lane: laneOf(geometry, slot) } as const;
    const vote: Verb = { verb: "vote", key, ballot: this.ballot, slot, value };
    for (const acceptor of this.#to.acceptors) {
      this.#votesMissing++;
      this.#requests.ask(acceptor, [vote], (_, outcome) => {
        if (outcome.outcome === "applied") this.#votesMissing--;
        else if (outcome.by?.kind === "cell") this.#fail({ why: "fenced", by: outcome.by.promised });
        else this.#loseNew(acceptor);
      });
    }
  }

  #conclude(): void {
    const isCovered = this.#archive.allCover(this.#to.full, this.#target);
    if (this.#phase === "copying" && this.#unanswered === 0 && isCovered) this.#concludeCopying();
    else if (this.#phase === "copying" && this.#unanswered === 0 && this.#archive.isStuck(this.#target))
      this.#fail({ why: "nothingToCopyFrom" });
    else if (this.#phase === "transferring" && isCovered && this.#votesMissing === 0) {
      this.#phase = "over";
      this.#effects.push({ effect: "transferred" });
    }
  }

  /** While much was copied much may have been chosen: once more, unless service outruns copying for good. */
  #concludeCopying(): void {
    const isClose = this.#target - this.#lastTarget <= this.#options.geometry.lanes;
    if (!isClose && this.#passes < PASSES_MAX) return this.#readOldHeads();
    this.#phase = "copied";
    this.#effects.push({ effect: "copied" });
  }

  #install(snapshot: Installed): void {
    this.#options.log.install(snapshot.slot);
    this.#effects.push({ effect: "install", ...snapshot });
  }

  #execute(slot: Slot, text: string): void {
    this.#options.log.append(slot, text);
    this.#effects.push({ effect: "execute", slot, text });
  }

  #loseNew(acceptor: AcceptorId): void {
    this.#fail({ why: "noQuorum", lost: [acceptor] });
  }

  #fail(failure: HandoverFailure): void {
    if (this.#phase === "over") return;
    this.#phase = "over";
    this.#requests.close();
    this.#effects.push({ effect: "failed", failure });
  }
}
