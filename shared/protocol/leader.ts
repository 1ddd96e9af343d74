/**
 * One leader's life in one ballot (PROTOCOL §4): fence, recover the tail, serve, stop.
 *
 * Inputs in, effects out; synchronous, and without any I/O. A leader never leads again: the next try is a
 * new `Leader` with a higher round. Effects are ordered data, and the driver carries them out in that
 * order: a command is executed before anybody is answered, and it is chosen before it is executed.
 */
import type { Cell, Digest, Head, Outcome, Value } from "./acceptor.ts";
import { Archive } from "./archive.ts";
import type { Ballot } from "./ballot.ts";
import type { Configuration } from "./configuration.ts";
import type { Installed } from "./learner.ts";
import type { RecentLog } from "./log.ts";
import { type AcceptorId, QuorumSystem } from "./quorum.ts";
import { type ReadId, Reads } from "./reads.ts";
import { type Failure, Recovery } from "./recovery.ts";
import { type Ask, type RequestId, Requests, type Retry } from "./requests.ts";
import { type Geometry, laneOf, type Slot } from "./slot.ts";
import { encodeBatch } from "./value.ts";

export type Input =
  | { readonly input: "lead" }
  | { readonly input: "outcome"; readonly request: RequestId; readonly outcomes: readonly Outcome[] }
  | { readonly input: "resend"; readonly request: RequestId }
  /** Encoded commands for the next slot; only while `admits`. `time`: the wall clock, in milliseconds. */
  | { readonly input: "propose"; readonly commands: readonly string[]; readonly time: number }
  | { readonly input: "read"; readonly read: ReadId }
  /** Stop leading; `by`: the ballot of a successor that was heard of, if one was. */
  | { readonly input: "stop"; readonly by?: Ballot };

/**
 * Why a leader stopped: recovery failed; another slot is in a cell whose slot is not chosen here (so this leader is
 * deposed, though it has not seen by whom); the replica cannot execute what was chosen, or cannot read it (told by
 * the driver); or it was told to stop.
 */
export type Abdication =
  | Failure
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
}

interface Proposal {
  readonly value: Value;
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
    return this.serving && this.applied >= reused && this.#archive.covers(reused);
  }

  step(input: Input): readonly Effect[] {
    this.#effects = [];
    if (this.#phase === "stopped") return [];
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
    if (this.#phase === "serving") this.#reads.work();
    if (this.#phase === "tail" || this.#phase === "serving") this.#archive.work();
    return this.#effects;
  }

  #lead(): void {
    this.#phase = "recovering";
    if (!this.#quorums.canWriteWithout(this.#lost)) this.#stop({ why: "noQuorum", lost: [...this.#lost] });
    else this.#recovery.start();
  }

  /** Step 4: every slot from S+1 to H is voted again, with the value that is safe in it, or as a no-op. */
  #voteTail(tailEnd: Slot): void {
    this.#phase = "tail";
    this.#tailEnd = tailEnd;
    const noOp = this.#valueOf(encodeBatch(this.ballot, 0, []));
    for (let slot = (this.applied + 1) as Slot; slot <= tailEnd; slot++)
      this.#vote(slot, this.#recovery.voteFor(slot)?.value ?? noOp);
    this.#next = (tailEnd + 1) as Slot;
    this.#serveOnceRecovered();
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
    const slot = this.#next;
    this.#next = (slot + 1) as Slot;
    this.#vote(slot, this.#valueOf(encodeBatch(this.ballot, time, commands)));
  }

  /** The value of (ballot, slot) never changes: a resend repeats the identical verb. */
  #vote(slot: Slot, value: Value): void {
    const proposal: Proposal = { value, acks: new Set(), chosen: false };
    this.#proposals.set(slot, proposal);
    const configuration = this.#options.configuration.number;
    const key = { kind: "cell", configuration, lane: laneOf(this.#options.geometry, slot) } as const;
    for (const acceptor of this.#quorums.acceptors)
      if (!this.#lost.has(acceptor))
        this.#requests.ask(
          acceptor,
          [{ verb: "vote", key, ballot: this.ballot, slot, value }],
          (_, outcome) => this.#onVote(acceptor, slot, proposal, outcome),
          () => !proposal.chosen,
        );
  }

  #onVote(of: AcceptorId, slot: Slot, proposal: Proposal, outcome: Outcome): void {
    if (outcome.outcome === "refused") return this.#onVoteRefused(of, slot, proposal, outcome.by as Cell);
    proposal.acks.add(of);
    if (proposal.chosen || !this.#quorums.hasWriteQuorum(proposal.acks)) return;
    proposal.chosen = true;
    this.#executeChosen();
  }

  #onVoteRefused(of: AcceptorId, slot: Slot, proposal: Proposal, by: Cell | undefined): void {
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
    }
    this.#serveOnceRecovered();
  }

  #install(snapshot: Installed): void {
    this.#options.log.install(snapshot.slot);
    this.#effects.push({ effect: "install", ...snapshot });
  }

  #execute(slot: Slot, text: string): void {
    this.#options.log.append(slot, text);
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
