/**
 * One leader's life in one ballot (PROTOCOL §4): fence, recover the tail, serve, stop.
 *
 * Inputs in, effects out; synchronous, and without any I/O. A leader never leads again: the next try is a
 * new `Leader` with a higher round. Effects are ordered data, and the driver carries them out in that
 * order: a command is executed before anybody is answered, and it is chosen before it is executed.
 */
import { type Cell, HEAD, type Outcome, type Value, type Verb } from "./acceptor.ts";
import { Archive } from "./archive.ts";
import type { Ballot } from "./ballot.ts";
import type { Configuration } from "./configuration.ts";
import { Fence } from "./fence.ts";
import type { Alarm } from "./invariant.ts";
import { type Digest, Learner, UNANSWERED } from "./learner.ts";
import type { RecentLog } from "./log.ts";
import { type AcceptorId, QuorumSystem } from "./quorum.ts";
import { type ReadId, Reads } from "./reads.ts";
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
 * Why a leader stopped: a higher ballot was seen; another slot is in a cell whose slot is not chosen here
 * (so this leader is deposed, though it has not seen by whom); too few acceptors are left; a table that it
 * has to learn from is damaged; or something impossible happened.
 */
export type Abdication =
  | { readonly why: "fenced"; readonly by: Ballot }
  | { readonly why: "overtaken"; readonly slot: Slot }
  | { readonly why: "noQuorum"; readonly lost: readonly AcceptorId[] }
  | { readonly why: "damaged"; readonly acceptor: AcceptorId; readonly detail: string }
  | { readonly why: "alarm"; readonly alarm: Alarm }
  /** The replica cannot execute what was chosen, or cannot read it: told by the driver. */
  | { readonly why: "broken"; readonly detail: string }
  | { readonly why: "stopped" };

export type Effect =
  | Ask
  | Retry
  /** Chosen, and every slot before it executed: execute it, and answer whoever waits for it. */
  | { readonly effect: "execute"; readonly slot: Slot; readonly text: string }
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
  readonly #fence: Fence;
  readonly #archive: Archive;
  readonly #reads: Reads;
  readonly #learner: Learner;
  readonly #lost: Set<AcceptorId>;
  /** Acceptors whose chunks could not be read while they were needed. */
  readonly #unreadable = new Set<AcceptorId>();
  /** Slots voted and not executed yet. */
  readonly #proposals = new Map<Slot, Proposal>();
  #effects: Effect[] = [];
  #phase: "new" | "fencing" | "rereading" | "learning" | "recovering" | "serving" | "stopped" = "new";
  /** H: the last slot that may hold an older ballot's vote. */
  #tailEnd: Slot = 0 as Slot;
  #next: Slot = 0 as Slot;
  #headsWereReadAgain = false;

  constructor(options: LeaderOptions) {
    this.#options = options;
    this.ballot = options.ballot;
    this.#quorums = new QuorumSystem(options.configuration.quorums);
    this.#requests = new Requests((effect) => this.#effects.push(effect));
    this.#lost = new Set(options.distrusted);
    this.#fence = new Fence(
      options.configuration,
      this.#quorums,
      options.geometry,
      options.ballot,
      options.distrusted,
    );
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
    this.#learner = new Learner({ ...shared, learned: (slot, text) => this.#execute(slot, text) });
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
    if (this.#phase === "recovering" || this.#phase === "serving") this.#archive.work();
    return this.#effects;
  }

  /** Step 2. */
  #lead(): void {
    this.#phase = "fencing";
    if (!this.#quorums.canWriteWithout(this.#lost))
      return this.#stop({ why: "noQuorum", lost: [...this.#lost] });
    for (const acceptor of this.#quorums.acceptors.filter((each) => !this.#lost.has(each)))
      this.#requests.ask(
        acceptor,
        this.#fence.verbs(acceptor),
        (verb, outcome) => this.#onFenced("fencing", acceptor, verb, outcome),
        () => this.#phase === "fencing" || !this.#archive.knowsHead(acceptor),
      );
  }

  #onFenced(
    phase: "fencing" | "rereading",
    of: AcceptorId,
    verb: Verb,
    outcome: Exclude<Outcome, { outcome: "unknown" }>,
  ): void {
    if (outcome.outcome === "refused" && outcome.by === undefined) this.#lose(of);
    this.#noteHead(of, outcome);
    if (this.#phase !== phase) return;
    this.#fence.record(of, verb, outcome);
    if (this.#fence.beatenBy !== undefined) this.#stop({ why: "fenced", by: this.#fence.beatenBy });
    else if (this.#fence.hopeless) this.#stop({ why: "noQuorum", lost: [...this.#lost] });
    else if (this.#fence.complete) this.#recover();
  }

  #noteHead(of: AcceptorId, outcome: Outcome): void {
    if (outcome.outcome === "applied" && outcome.item?.kind === "head")
      this.#archive.noteHead(of, outcome.item);
  }

  /** Step 3: S from the Heads or the own applied slot, H from the promise replies. */
  #recover(): void {
    this.#phase = "learning";
    const [source, head] = this.#highestHead();
    const covered = Math.max(head.covered, this.applied) as Slot;
    this.#tailEnd = Math.max(covered, this.#fence.highestVoted) as Slot;
    const isBeyondWindow = this.#tailEnd > covered + this.#options.geometry.lanes;
    if (isBeyondWindow && !this.#headsWereReadAgain) return this.#readHeadsAgain();
    if (isBeyondWindow) {
      const detail = `a vote for slot ${this.#tailEnd} is more than K above the Heads' ${covered}`;
      return this.#stop({ why: "alarm", alarm: { invariant: 7, detail } });
    }
    this.#learner.learn(source, head.covered, (damage) => {
      if (damage === undefined) this.#voteTail();
      else if (damage === UNANSWERED) this.#goOnWithout(source);
      else this.#stop({ why: "damaged", acceptor: source, detail: damage });
    });
  }

  #highestHead(): [AcceptorId, { covered: Slot }] {
    const byCovered = [...this.#fence.heads].sort(([, one], [, other]) => other.covered - one.covered);
    const highest = byCovered[0];
    if (highest === undefined) throw new Error("a read quorum of witnesses only: QuorumSpec forbids it");
    return highest;
  }

  /** A table that shows its Head and not its chunks: its Head does not count; those of the others will do. */
  #goOnWithout(source: AcceptorId): void {
    this.#unreadable.add(source);
    this.#fence.loseHead(source);
    if (this.#fence.hopeless) this.#stop({ why: "noQuorum", lost: [...this.#lost, ...this.#unreadable] });
    else this.#readHeadsAgain();
  }

  /**
   * The Heads were read before the promises were in and are older than the votes: read a quorum afresh.
   * The promise replies stay as they are: a later one could show a vote that these Heads do not know.
   */
  #readHeadsAgain(): void {
    this.#headsWereReadAgain = true;
    this.#phase = "rereading";
    this.#fence.heads.clear();
    for (const acceptor of this.#quorums.full.filter(
      (each) => !this.#lost.has(each) && !this.#unreadable.has(each),
    ))
      this.#requests.ask(
        acceptor,
        [{ verb: "read", key: HEAD }],
        (verb, outcome) => this.#onFenced("rereading", acceptor, verb, outcome),
        () => this.#phase === "rereading",
      );
  }

  /** Step 4: every slot from S+1 to H is voted again, with the value that is safe in it, or as a no-op. */
  #voteTail(): void {
    this.#phase = "recovering";
    const noOp = this.#valueOf(encodeBatch(this.ballot, 0, []));
    for (let slot = (this.applied + 1) as Slot; slot <= this.#tailEnd; slot++) {
      const vote = this.#fence.voteFor(slot);
      if (vote !== undefined && this.#options.digest(vote.value.text) !== vote.value.digest)
        return this.#stop({
          why: "damaged",
          acceptor: vote.of,
          detail: `the vote for slot ${slot} is damaged`,
        });
      this.#vote(slot, vote?.value ?? noOp);
    }
    this.#next = (this.#tailEnd + 1) as Slot;
    this.#serveOnceRecovered();
  }

  #valueOf(text: string): Value {
    return { text, digest: this.#options.digest(text) };
  }

  /** Step 5: serve, reads included, once H is applied. */
  #serveOnceRecovered(): void {
    if (this.#phase !== "recovering" || this.applied < this.#tailEnd) return;
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
