/**
 * One leader's life in one ballot (PROTOCOL §4): fence, recover the tail, serve, stop.
 *
 * Inputs in, effects out; synchronous, and without any I/O. A leader never leads again: the next try is a
 * new `Leader` with a higher round. Effects are ordered data, and the driver carries them out in that
 * order: a command is executed before anybody is answered, and it is chosen before it is executed.
 */
import { type Cell, type Digest, HEAD, type Head, type Outcome, type Value, type Verb } from "./acceptor.ts";
import { Archive } from "./archive.ts";
import type { Ballot } from "./ballot.ts";
import type { Configuration } from "./configuration.ts";
import { LedEpoch } from "./epoch.ts";
import { foundInPassing } from "./founding.ts";
import { successionOf } from "./frozen.ts";
import type { Horizontal, Succession } from "./horizontal.ts";
import type { Installed } from "./learner.ts";
import type { RecentLog } from "./log.ts";
import { type AcceptorId, QuorumSystem } from "./quorum.ts";
import { type ReadId, Reads } from "./reads.ts";
import { type Failure, Recovery } from "./recovery.ts";
import { type Ask, type RequestInput, Requests, type Retry } from "./requests.ts";
import { type Geometry, laneOf, type Slot } from "./slot.ts";
import { encodeBatch } from "./value.ts";

export type Input =
  | { readonly input: "lead" }
  | RequestInput
  /** Encoded commands for the next slot; only while `admits`. `time`: the wall clock, in milliseconds. */
  | { readonly input: "propose"; readonly commands: readonly string[]; readonly time: number }
  | { readonly input: "read"; readonly read: ReadId }
  /** Stop leading; `by`: the ballot of a successor that was heard of, if one was. */
  | { readonly input: "stop"; readonly by?: Ballot };

/**
 * Why a leader stopped: recovery failed; another slot is in a cell whose slot is not chosen here (so this leader is
 * deposed, though it has not seen by whom); the replica cannot execute what was chosen, or cannot read it (told by
 * the driver); it was told to stop; or its machine's next slot belongs to another configuration (§8), which is to be
 * led instead. What it voted from there on, and did not execute, is void: it certainly never will be executed.
 */
export type Abdication =
  | Failure
  | { readonly why: "moved"; readonly to: Configuration }
  | { readonly why: "overtaken"; readonly slot: Slot }
  | { readonly why: "broken"; readonly detail: string }
  | { readonly why: "stopped" };

export type Effect =
  | Ask
  | Retry
  /** Chosen, and every slot before it executed: execute it, and answer whoever waits for it. */
  | { readonly effect: "execute"; readonly slot: Slot; readonly text: string }
  /** A table's snapshot, covered by its Head, in place of the slots that it has executed: the replica takes it over. */
  | ({ readonly effect: "install" } & Installed)
  /** The tail is recovered: commands and reads are welcome. */
  | { readonly effect: "serve" }
  /** These reads may be answered from the state as it is now. */
  | { readonly effect: "answerReads"; readonly reads: readonly ReadId[] }
  /** The acceptor refuses everything, or has forgotten its cells; told once. */
  | { readonly effect: "lost"; readonly acceptor: AcceptorId }
  /** §8: nothing depends on older configurations any more. The pointer may be moved, and then their tables deleted. */
  | { readonly effect: "epochInstalled" }
  | { readonly effect: "abdicate"; readonly abdication: Abdication };

export interface LeaderOptions {
  readonly configuration: Configuration;
  readonly ballot: Ballot;
  readonly geometry: Geometry;
  readonly digest: Digest;
  /** The recent log of the replica that executes: its last slot is the one applied, and the leader appends. */
  readonly log: RecentLog;
  /** Acceptors that were found damaged: they are lost, whatever they answer. */
  readonly distrusted: ReadonlySet<AcceptorId>;
  /** Of a machine that is reconfigured horizontally (§8). */
  readonly horizontal?: HorizontalLead;
}

export interface HorizontalLead extends Horizontal {
  /** Of the replica, which has executed all that it was told to in the steps before. */
  readonly succession: () => Succession;
  /** Its acceptors may lack cells: they are created first. */
  readonly isUnfounded: boolean;
}

/** What is voted in a slot. */
interface Ballotage {
  readonly slot: Slot;
  readonly value: Value;
}

interface Proposal extends Ballotage {
  readonly acks: Set<AcceptorId>;
  chosen: boolean;
}

export class Leader {
  readonly ballot: Ballot;
  readonly #options: LeaderOptions;
  readonly #quorums: QuorumSystem;
  readonly #requests: Requests;
  readonly #recovery: Recovery;
  readonly #archive: Archive;
  readonly #reads: Reads;
  readonly #lost: Set<AcceptorId>;
  /** Of a machine that is reconfigured horizontally. */
  readonly #epoch: LedEpoch | undefined;
  /** Whether what its epoch inherits is known to be on its tables. */
  #isInstalled = false;
  /** Slots voted and not executed yet. */
  readonly #proposals = new Map<Slot, Proposal>();
  #effects: Effect[] = [];
  #phase: "new" | "recovering" | "tail" | "serving" | "stopped" = "new";
  /** H: the last slot that may hold an older ballot's vote. */
  #tailEnd: Slot = 0 as Slot;
  #next: Slot = 0 as Slot;

  constructor(options: LeaderOptions) {
    this.#options = options;
    this.ballot = options.ballot;
    this.#quorums = new QuorumSystem(options.configuration.quorums);
    this.#requests = new Requests((effect) => this.#effects.push(effect));
    this.#lost = new Set(options.distrusted);
    const shared = {
      requests: this.#requests,
      quorums: this.#quorums,
      geometry: options.geometry,
      digest: options.digest,
      applied: () => this.applied,
      lost: (acceptor: AcceptorId) => this.#lose(acceptor),
    };
    const { horizontal } = options;
    this.#epoch = horizontal && new LedEpoch({ ...options, ...horizontal, horizontal });
    this.#archive = new Archive({
      ...shared,
      log: options.log,
      alarm: (alarm) => this.#stop({ why: "alarm", alarm }),
    });
    this.#recovery = new Recovery({
      ...options,
      quorums: this.#quorums,
      requests: this.#requests,
      lost: this.#lost,
      lose: (acceptor) => this.#lose(acceptor),
      sawHead: (of, head) => this.#archive.noteHead(of, head),
      knowsHead: (of) => this.#archive.knowsHead(of),
      learned: (slot, text) => this.#execute(slot, text),
      installed: (snapshot) => this.#install(snapshot),
      recovered: (tailEnd) => this.#voteTail(tailEnd),
      failed: (failure) => this.#stop(failure),
    });
    this.#reads = new Reads({
      ...shared,
      configuration: options.configuration.number,
      ballot: options.ballot,
      passed: (reads) => this.#effects.push({ effect: "answerReads", reads }),
      fenced: (by) => this.#stop({ why: "fenced", by }),
      isLost: (acceptor) => this.#lost.has(acceptor),
    });
  }

  /** Whether commands and reads are welcome. */
  get serving(): boolean {
    return this.#phase === "serving";
  }

  /** The slot that the next proposal takes. */
  get next(): Slot {
    return this.#next;
  }

  /** Slots voted and not executed yet. */
  get inFlight(): number {
    return this.#proposals.size;
  }

  /** The last slot executed. */
  get applied(): Slot {
    return this.#options.log.last;
  }

  /** Of the tables' Heads, as far as they are known, the one with the newest snapshot. */
  get truncatedHead(): Head | undefined {
    return this.#archive.truncatedHead;
  }

  get lost(): ReadonlySet<AcceptorId> {
    return this.#lost;
  }

  /**
   * Rule U (invariant 7): slot j is voted only if j−K is applied here and full acceptors known to have a
   * Head ≥ j−K meet every read quorum. Then whoever recovers later finds every slot above its Heads.
   */
  get admits(): boolean {
    const reused = (this.#next - this.#options.geometry.lanes) as Slot;
    if (this.#epoch !== undefined && !this.#admitsInEpoch(this.#epoch)) return false;
    return this.serving && this.applied >= reused && this.#archive.covers(reused);
  }

  /** §8: the first vote waits until what the epoch inherits meets every read quorum: Heads ≥ max(j − K, F − 1). */
  #admitsInEpoch(epoch: LedEpoch): boolean {
    return this.#isInstalled && epoch.admits(this.#next, this.applied);
  }

  step(input: Input): readonly Effect[] {
    this.#effects = [];
    if (this.#phase === "stopped") return [];
    this.#epoch?.refresh();
    switch (input.input) {
      case "lead":
        this.#lead();
        break;
      case "outcome":
        this.#requests.outcome(input.request, input.outcomes);
        break;
      case "resend":
        this.#requests.resend(input.request);
        break;
      case "propose":
        this.#propose(input.commands, input.time);
        break;
      case "read":
        this.#reads.queue(input.read);
        break;
      case "stop":
        this.#stop(input.by === undefined ? { why: "stopped" } : { why: "fenced", by: input.by });
        break;
    }
    if (this.#epoch !== undefined) this.#workInEpoch(this.#epoch);
    if (this.#phase === "serving") this.#reads.work();
    if (this.#phase === "tail" || this.#phase === "serving") this.#archive.work();
    return this.#effects;
  }

  #lead(): void {
    this.#phase = "recovering";
    if (!this.#quorums.canWriteWithout(this.#lost)) this.#stop({ why: "noQuorum", lost: [...this.#lost] });
    else {
      if (this.#options.horizontal?.isUnfounded === true) this.#found();
      this.#recovery.start();
    }
  }

  #found(): void {
    const shared = { ...this.#options, quorums: this.#quorums, requests: this.#requests };
    const isAsked = (acceptor: AcceptorId): boolean => !this.#lost.has(acceptor);
    foundInPassing(shared, this.#quorums.acceptors.filter(isAsked));
  }

  /** Step 4: every slot from S+1 to H is voted again, with the value that is safe in it, or as a no-op. */
  #voteTail(tailEnd: Slot): void {
    if (this.#epoch !== undefined && this.#movesOn(this.#epoch)) return;
    this.#phase = "tail";
    this.#tailEnd = Math.min(tailEnd, this.#epoch?.last ?? tailEnd) as Slot;
    const noOp = this.#valueOf(encodeBatch(this.ballot, 0, []));
    for (let slot = (this.applied + 1) as Slot; slot <= this.#tailEnd; slot++)
      this.#vote(slot, this.#recovery.voteFor(slot)?.value ?? noOp);
    this.#next = (this.#tailEnd + 1) as Slot;
    if (this.#epoch !== undefined) this.#findSources(this.#epoch);
    this.#serveOnceRecovered();
  }

  /** A leader always leads the configuration of its next slot (§8). */
  #movesOn({ elsewhere }: LedEpoch): boolean {
    if (elsewhere !== undefined) this.#stop({ why: "moved", to: elsewhere });
    return elsewhere !== undefined;
  }

  /** What the new tables lack is copied from the old ones, until it is on enough of the new. */
  #findSources({ sources }: LedEpoch): void {
    for (const acceptor of sources)
      this.#requests.ask(
        acceptor,
        [{ verb: "read", key: HEAD }],
        (_, outcome) => {
          if (outcome.outcome === "applied" && outcome.item?.kind === "head")
            this.#archive.noteSource(acceptor, outcome.item);
        },
        () => !this.#isInstalled,
      );
  }

  #workInEpoch(epoch: LedEpoch): void {
    if (this.#phase !== "tail" && this.#phase !== "serving") return;
    if (!this.#isInstalled && this.#archive.covers(epoch.inherited)) {
      this.#isInstalled = true;
      this.#effects.push({ effect: "epochInstalled" });
    }
    this.#voteTogether(this.#noOpsDue(epoch));
  }

  /** A reconfiguration is followed by no-ops at once, as far as rule U admits them. */
  #noOpsDue(epoch: LedEpoch): readonly Ballotage[] {
    const slots: Slot[] = [];
    while (epoch.isFilled(this.#next) && this.admits) slots.push(this.#takeSlot());
    if (slots.length === 0) return [];
    const value = this.#valueOf(encodeBatch(this.ballot, 0, []));
    return slots.map((slot) => ({ slot, value }));
  }

  #valueOf(text: string): Value {
    return { text, digest: this.#options.digest(text) };
  }

  /** Step 5: serve, reads included, once H is applied. */
  #serveOnceRecovered(): void {
    if (this.#phase !== "tail" || this.applied < this.#tailEnd) return;
    this.#phase = "serving";
    this.#effects.push({ effect: "serve" });
  }

  #propose(commands: readonly string[], time: number): void {
    if (!this.admits) throw new Error(`slot ${this.#next} is not admitted: ask \`admits\` first (rule U)`);
    const slot = this.#takeSlot();
    const value = this.#valueOf(encodeBatch(this.ballot, time, commands));
    if (this.#epoch === undefined) return this.#vote(slot, value);
    this.#epoch.proposed(slot, commands);
    this.#voteTogether([{ slot, value }, ...this.#noOpsDue(this.#epoch)]);
  }

  #takeSlot(): Slot {
    const slot = this.#next;
    this.#next = (slot + 1) as Slot;
    return slot;
  }

  #vote(slot: Slot, value: Value): void {
    this.#voteTogether([{ slot, value }]);
  }

  /** In the same messages. The value of (ballot, slot) never changes: a resend repeats the identical verbs. */
  #voteTogether(ballotages: readonly Ballotage[]): void {
    const proposals = new Map(ballotages.map((each) => [this.#verbFor(each), this.#proposal(each)]));
    const verbs = [...proposals.keys()];
    for (const acceptor of verbs.length === 0 ? [] : this.#quorums.acceptors)
      if (!this.#lost.has(acceptor))
        this.#requests.ask(
          acceptor,
          verbs,
          (verb, outcome) => this.#onVote(acceptor, proposals.get(verb) as Proposal, outcome),
          () => [...proposals.values()].some(({ chosen }) => !chosen),
        );
  }

  #proposal(ballotage: Ballotage): Proposal {
    const proposal = { ...ballotage, acks: new Set<AcceptorId>(), chosen: false };
    this.#proposals.set(ballotage.slot, proposal);
    return proposal;
  }

  #verbFor({ slot, value }: Ballotage): Verb {
    const { configuration, geometry } = this.#options;
    const key = { kind: "cell", configuration: configuration.number, lane: laneOf(geometry, slot) } as const;
    return { verb: "vote", key, ballot: this.ballot, slot, value };
  }

  #onVote(of: AcceptorId, proposal: Proposal, outcome: Outcome): void {
    if (outcome.outcome === "refused") return this.#onVoteRefused(of, proposal, outcome.by as Cell);
    proposal.acks.add(of);
    if (proposal.chosen || !this.#quorums.hasWriteQuorum(proposal.acks)) return;
    proposal.chosen = true;
    this.#executeChosen();
  }

  #onVoteRefused(of: AcceptorId, proposal: Proposal, by: Cell | undefined): void {
    const { slot } = proposal;
    if (by === undefined) return this.#lose(of);
    if (by.promised > this.ballot) return this.#stop({ why: "fenced", by: by.promised });
    if (by.slot > slot) {
      // Not an ack: the cell moved on, and only a successor that had this slot chosen can have moved it.
      if (!proposal.chosen) this.#stop({ why: "overtaken", slot });
      return;
    }
    const detail = `${of} holds another value for slot ${slot} in this very ballot`;
    this.#stop({ why: "alarm", alarm: { invariant: 2, detail } });
  }

  /** Slots are chosen in any order and executed in order. */
  #executeChosen(): void {
    for (;;) {
      const slot = (this.applied + 1) as Slot;
      const proposal = this.#proposals.get(slot);
      if (proposal?.chosen !== true) break;
      this.#proposals.delete(slot);
      this.#execute(slot, proposal.value.text);
      if (this.#epoch !== undefined && this.#movesOn(this.#epoch)) return;
    }
    this.#serveOnceRecovered();
  }

  #install(snapshot: Installed): void {
    this.#options.log.install(snapshot.slot);
    this.#epoch?.installed(successionOf(snapshot.frozen));
    this.#effects.push({ effect: "install", ...snapshot });
  }

  #execute(slot: Slot, text: string): void {
    this.#options.log.append(slot, text);
    this.#epoch?.executed(slot, text);
    this.#effects.push({ effect: "execute", slot, text });
  }

  #lose(acceptor: AcceptorId): void {
    if (this.#lost.has(acceptor) || this.#phase === "stopped") return;
    this.#lost.add(acceptor);
    this.#effects.push({ effect: "lost", acceptor });
    if (!this.#quorums.canWriteWithout(this.#lost)) this.#stop({ why: "noQuorum", lost: [...this.#lost] });
  }

  #stop(abdication: Abdication): void {
    if (this.#phase === "stopped") return;
    this.#phase = "stopped";
    this.#requests.close();
    this.#effects.push({ effect: "abdicate", abdication });
  }
}
