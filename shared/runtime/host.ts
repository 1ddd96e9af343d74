/**
 * The driver: one machine in one process. It carries out the core's effects, in order, and is the only
 * place where they meet the world (through `Ports`). It holds the machine's replica whether or not this
 * process leads it, so a standby that follows takes over without reading anything.
 */

import type { TheseusError } from "../errors.ts";
import type { Head } from "../protocol/acceptor.ts";
import { type Ballot, type ConfigurationNumber, parseBallot } from "../protocol/ballot.ts";
import type { Configuration, MachineId } from "../protocol/configuration.ts";
import type { Progress } from "../protocol/copying.ts";
import { Follower, type FollowerEffect, type FollowerInput } from "../protocol/follower.ts";
import {
  Handover,
  type HandoverEffect,
  type HandoverFailure,
  type HandoverInput,
} from "../protocol/handover.ts";
import type { Succession } from "../protocol/horizontal.ts";
import { type Abdication, type Effect, type Input, Leader, type LeaderOptions } from "../protocol/leader.ts";
import type { Installed } from "../protocol/learner.ts";
import { RecentLog } from "../protocol/log.ts";
import type { AcceptorId } from "../protocol/quorum.ts";
import type { ReadId } from "../protocol/reads.ts";
import { Replica } from "../protocol/replica.ts";

import type { Reply } from "../protocol/session.ts";
import type { Slot } from "../protocol/slot.ts";
import type { Snapshot } from "../protocol/snapshot.ts";
import type { Truncated } from "../protocol/truncation.ts";
import { type Command, encodeCommand } from "../protocol/value.ts";
import { carryOut } from "./carry-out.ts";
import type { HostOptions } from "./host-options.ts";
import { type Pending, Pump } from "./pump.ts";
import { notLeading, overloaded, unknownOutcome } from "./refusals.ts";
import { Rounds } from "./rounds.ts";
import { truncate } from "./truncate.ts";

export type Done<Result> = (result: Result | TheseusError) => void;

export class Host {
  readonly machine: MachineId;
  readonly replica: Replica;
  readonly log: RecentLog;
  readonly #options: HostOptions;
  readonly #pump: Pump;
  readonly #reads = new Map<ReadId, Done<Slot>>();
  readonly #waiting = new Map<Slot, readonly Pending[]>();
  readonly #distrusted = new Set<AcceptorId>();
  readonly #inputs: Input[] = [];
  #leader: Leader | undefined;
  #configuration: Configuration | undefined;
  readonly #rounds: Rounds;
  /** Configurations of which an acceptor refused everything: it may have no cells yet. */
  readonly #refused = new Set<ConfigurationNumber>();
  #lastRead = 0;
  #isStepping = false;
  #isLeaving = false;
  /** From the fence of a reconfiguration to its end, replica and log are its own. */
  #isReconfiguring = false;
  #broken: string | undefined;

  constructor(options: HostOptions) {
    this.#options = options;
    this.#rounds = options.rounds ?? new Rounds();
    this.machine = options.machine;
    const { horizontal, geometry } = options;
    this.replica = new Replica(options.code, horizontal && { ...horizontal, geometry });
    this.log = new RecentLog(options.geometry);
    this.#pump = new Pump(options.ports, (batch) => this.#propose(batch));
  }

  /** Whether this process leads the machine, and its tail is recovered. */
  get serving(): boolean {
    return this.#leader?.serving === true && !this.#isLeaving;
  }

  /** Whether it leads or is about to. */
  get leading(): boolean {
    return this.#leader !== undefined;
  }

  /** From the fence of a reconfiguration by this process to its end, nobody leads here. */
  get reconfiguring(): boolean {
    return this.#isReconfiguring;
  }

  get ballot(): Ballot | undefined {
    return this.#leader?.ballot;
  }

  /**
   * Why this process can do nothing more for the machine: what was chosen cannot be executed or read here (the
   * machine's code, or a newer version's format), or an invariant is broken. Other machines go on.
   */
  get broken(): string | undefined {
    return this.#broken;
  }

  /** Whether nothing is known here that another host of the same machine would have to find out again. */
  get isSound(): boolean {
    return this.#broken === undefined && this.#distrusted.size === 0 && !this.#isReconfiguring;
  }

  get configuration(): Configuration | undefined {
    return this.#configuration;
  }

  /** While this process leads: of the tables' Heads that it knows, the one with the newest snapshot. */
  get truncatedHead(): Head | undefined {
    return this.#leader?.truncatedHead;
  }

  get lost(): ReadonlySet<AcceptorId> {
    return this.#leader?.lost ?? new Set();
  }

  /**
   * Tries to lead `configuration` in a round above any seen (PROTOCOL §4). Of a machine that is reconfigured
   * horizontally any of its configurations will do that is still there: the leader walks on from it (§8).
   */
  lead(known: Configuration): void {
    const current = this.replica.succession?.current.configuration;
    const isAhead = current !== undefined && current.number > known.number;
    this.#lead(isAhead ? current : known, isAhead);
  }

  /** `isNew`: only the state speaks of it, so nobody may have founded it yet. */
  #lead(configuration: Configuration, isNew: boolean): void {
    if (this.#leader !== undefined || this.#isReconfiguring || this.#broken !== undefined) return;
    this.#configuration = configuration;
    const { geometry, process, ports } = this.#options;
    this.#isLeaving = false;
    this.#leader = new Leader({
      configuration,
      ballot: this.#rounds.next(configuration.number, process),
      geometry,
      digest: ports.digest,
      log: this.log,
      distrusted: this.#distrusted,
      ...this.#horizontally(isNew || this.#refused.has(configuration.number)),
    });
    this.#step({ input: "lead" });
  }

  #horizontally(isUnfounded: boolean): Pick<LeaderOptions, "horizontal"> {
    const { horizontal } = this.#options;
    if (horizontal === undefined) return {};
    const succession = (): Succession => this.replica.succession as Succession;
    return { horizontal: { ...horizontal, isUnfounded, succession } };
  }

  /** A ballot of this machine that was seen somewhere: the next round must be above it. */
  noteBallot(ballot: Ballot): void {
    this.#rounds.note(ballot);
  }

  /**
   * Gets one command chosen and executed, and answers with its reply: `Unavailable` when it was certainly
   * never proposed, `OutcomeUnknown` when it may have been. A command that is settled takes no slot.
   */
  submit(commands: readonly Command[], done: (index: number, result: Reply | TheseusError) => void): void {
    commands.forEach((command, index) => {
      this.#submitOne(command, (result) => done(index, result));
    });
    this.#pumpUnlessStepping();
  }

  /** Answers with the applied slot once the state is the newest there is (PROTOCOL §6). */
  read(done: Done<Slot>): void {
    if (!this.serving) return done(notLeading(this.machine));
    if (this.#reads.size >= READS_WAITING_MAX) return done(overloaded(this.machine));
    const read = ++this.#lastRead as ReadId;
    this.#reads.set(read, done);
    this.#step({ input: "read", read });
  }

  /** A chosen value that the leader sent: executed if it is the next. False: something before it is missing. */
  learn(slot: Slot, text: string): boolean {
    if (!this.#follows || slot <= this.replica.applied) return true;
    if (slot !== this.replica.applied + 1) return false;
    this.log.append(slot, text);
    this.#execute(slot, text);
    return true;
  }

  /** Learns from the tables what they cover; `done(false)`: none could be learned from. */
  catchUp(configuration: Configuration, done: (caughtUp: boolean) => void): void {
    const { geometry, ports, machine } = this.#options;
    this.#configuration ??= configuration;
    const follower = new Follower({ configuration, geometry, digest: ports.digest, log: this.log });
    const step = (input: FollowerInput): void => {
      // Whoever leads meanwhile learns as a leader does.
      if (!this.#follows) return done(false);
      const effects = this.#guarded(() => follower.step(input));
      if (effects === undefined) return done(false);
      for (const effect of effects) carry(effect);
    };
    const carry = (effect: FollowerEffect): void => {
      if (effect.effect === "ask" || effect.effect === "retry") carryOut(ports, machine, effect, step);
      else if (effect.effect === "execute") this.#execute(effect.slot, effect.text);
      else if (effect.effect === "install") this.#install(effect);
      else done(effect.effect === "caughtUp");
    };
    step({ input: "catchUp" });
  }

  /** Whether others may tell this process what was chosen: a leader, and whoever reconfigures, learn for themselves. */
  get #follows(): boolean {
    return this.#leader === undefined && !this.#isReconfiguring && this.#broken === undefined;
  }

  /**
   * From one configuration to another (PROTOCOL §7), up to where the registry may activate it; `done` without a
   * failure says so. While it copies, this process may go on leading; then it stops, and leads again when asked to.
   * Tables that do not answer are waited for until the function that it returns is called.
   */
  reconfigure(
    from: Configuration,
    to: Configuration,
    done: (failure?: HandoverFailure) => void,
    progress: (progress: Progress) => void = () => {},
  ): () => void {
    const { geometry, ports, machine } = this.#options;
    const handover = new Handover({
      from,
      to,
      geometry,
      digest: ports.digest,
      log: this.log,
      distrusted: this.#distrusted,
    });
    const finish = (failure?: HandoverFailure): void => {
      this.#isReconfiguring = false;
      done(failure);
    };
    const step = (input: HandoverInput): void => {
      const effects = this.#guarded(() => handover.step(input));
      if (effects === undefined) return finish({ why: "nothingToCopyFrom" });
      for (const effect of effects) carry(effect);
    };
    const carry = (effect: HandoverEffect): void => {
      switch (effect.effect) {
        case "ask":
        case "retry":
          return carryOut(ports, machine, effect, step);
        case "execute":
          this.#execute(effect.slot, effect.text);
          return;
        case "install":
          return this.#install(effect);
        case "progress":
          return progress(effect);
        case "copied":
          return this.#cede(() => step({ input: "fence" }));
        case "transferred":
          return finish();
        case "failed":
          return finish(effect.failure);
      }
    };
    step({ input: "copy" });
    return () => step({ input: "giveUp" });
  }

  /**
   * Gives the machine's tables a snapshot in place of their chunks: one of this process's replica, or of another that
   * executed the same slots, at a chunk's end. Whether this process leads does not matter.
   */
  truncate(configuration: Configuration, snapshot: Snapshot, done: (truncated: Truncated) => void): void {
    const { ports, machine, geometry } = this.#options;
    truncate(ports, machine, configuration, geometry, snapshot, done);
  }

  /** Lets what is under way finish, within bounds, and stops leading. */
  #cede(then: () => void): void {
    const cancel = this.#options.ports.after(CEDE_MS_MAX, () => this.resign());
    // From now on, so that it does not lead again between its resignation and the fence.
    this.#isReconfiguring = true;
    this.handOver(() => {
      cancel();
      then();
    });
  }

  /** Stops accepting, lets what is under way finish, then stops leading; `done` when it has. */
  handOver(done: () => void): void {
    const leader = this.#leader;
    this.#isLeaving = true;
    const wait = (): void => {
      // Deposed meanwhile, it may even lead again: that is another leader's life, and stays.
      if (leader === undefined || this.#leader !== leader) return done();
      if (this.#waiting.size === 0 && this.#pump.size === 0) this.resign();
      this.#options.ports.after(BETWEEN_CHECKS_MS, wait);
    };
    wait();
  }

  /** Stops leading at once; `by`: a successor's ballot. What is under way has an unknown outcome. */
  resign(by?: Ballot): void {
    if (this.#leader === undefined) return;
    this.#step(by === undefined ? { input: "stop" } : { input: "stop", by });
  }

  #submitOne(command: Command, done: Done<Reply>): void {
    if (!this.serving) return done(notLeading(this.machine));
    const settled = this.replica.settled(command);
    if (settled?.reply === "unknownSession") return this.#confirmUnknown(command, done);
    if (settled !== undefined) return done(settled);
    if (!this.#pump.queue({ command: encodeCommand(command), done })) done(overloaded(this.machine));
  }

  /** A leader that is deposed without knowing it does not know new sessions: look again after a read check. */
  #confirmUnknown(command: Command, done: Done<Reply>): void {
    this.read((asOf) => {
      if (typeof asOf !== "number") return done(asOf);
      const settled = this.replica.settled(command);
      if (settled?.reply === "unknownSession") done(settled);
      else this.submit([command], (_, result) => done(result));
    });
  }

  #propose(batch: readonly Pending[]): void {
    const leader = this.#leader as Leader;
    this.#waiting.set(leader.next, batch);
    const commands = batch.map((pending) => pending.command);
    this.#step({ input: "propose", commands, time: this.#options.ports.now() });
  }

  /** Inputs that arrive while effects are carried out wait their turn. */
  #step(input: Input): void {
    this.#inputs.push(input);
    if (this.#isStepping) return;
    this.#isStepping = true;
    try {
      for (let next = this.#inputs.shift(); next !== undefined; next = this.#inputs.shift()) {
        const leader = this.#leader;
        if (leader === undefined) continue;
        for (const effect of this.#guarded(() => leader.step(next)) ?? []) {
          // What it said after it ended is nobody's business.
          if (this.#leader !== leader) break;
          this.#carryOut(leader, effect);
        }
      }
    } finally {
      this.#isStepping = false;
    }
    this.#pump.pump();
  }

  /** A proposal takes its slot when it is stepped, so none may be made while a step is under way. */
  #pumpUnlessStepping(): void {
    if (!this.#isStepping) this.#pump.pump();
  }

  #carryOut(leader: Leader, effect: Effect): void {
    switch (effect.effect) {
      case "ask":
      case "retry":
        return carryOut(this.#options.ports, this.machine, effect, (input) => {
          if (this.#leader === leader) this.#step(input);
        });
      case "execute":
        return this.#answer(effect.slot, this.#execute(effect.slot, effect.text));
      case "install":
        return this.#install(effect);
      case "serve":
        this.#pump.open(leader);
        return this.#options.events.serving(leader.ballot);
      case "answerReads":
        return this.#answerReads(effect.reads);
      case "lost":
        this.#refused.add(configurationOf(leader.ballot));
        return this.#options.events.lost(effect.acceptor);
      case "epochInstalled":
        return this.#options.events.epochInstalled(this.#configuration as Configuration);
      case "abdicate":
        if (effect.abdication.why === "moved") return this.#move(leader, effect.abdication);
        return this.#abdicate(leader, effect.abdication);
    }
  }

  /** Undefined: it could not be executed, and the machine is stopped here. */
  #execute(slot: Slot, text: string): readonly Reply[] | undefined {
    const replies = this.#guarded(() => this.replica.execute(slot, text));
    if (replies !== undefined) this.#options.events.executed(slot, text);
    return replies;
  }

  /** The state of a replica that executed these slots, in place of executing them. */
  #install({ slot, frozen }: Installed): void {
    const isInstalled = this.#guarded(() => {
      this.replica.install(frozen);
      return true;
    });
    if (isInstalled) this.#options.events.installed(slot);
  }

  /** Only now, after executing, is anybody answered. */
  #answer(slot: Slot, replies: readonly Reply[] | undefined): void {
    if (replies === undefined) return;
    const waiting = this.#waiting.get(slot);
    if (waiting === undefined) return;
    this.#waiting.delete(slot);
    this.#pump.executed();
    waiting.forEach((pending, index) => {
      pending.done(replies[index] as Reply);
    });
  }

  #answerReads(reads: readonly ReadId[]): void {
    for (const read of reads) {
      const done = this.#reads.get(read);
      this.#reads.delete(read);
      done?.(this.replica.applied);
    }
  }

  /**
   * Runs the core or the machine's code. If it throws, this machine is stopped here: going on could only make it
   * worse, and stopping the whole process would take other machines down.
   */
  #guarded<Result>(work: () => Result): Result | undefined {
    try {
      return work();
    } catch (error) {
      this.#broken = error instanceof Error ? error.message : String(error);
      if (this.#leader !== undefined) this.#abdicate(this.#leader, { why: "broken", detail: this.#broken });
      return undefined;
    }
  }

  /**
   * On to the configuration of the next slot (§8). What is still under way is void, so it certainly was not executed:
   * it is proposed again there.
   */
  #move(leader: Leader, abdication: Extract<Abdication, { why: "moved" }>): void {
    const isVoid = [...this.#waiting.values()].flat();
    this.#waiting.clear();
    this.#pump.putBack(isVoid);
    if (this.#isLeaving) return this.#abdicate(leader, abdication);
    this.#leader = undefined;
    this.#inputs.length = 0;
    this.#refuseReads();
    const isNew = abdication.to.number > configurationOf(leader.ballot);
    this.#lead(abdication.to, isNew);
  }

  #abdicate(leader: Leader, abdication: Abdication): void {
    this.#leader = undefined;
    this.#inputs.length = 0;
    if (abdication.why === "fenced") this.noteBallot(abdication.by);
    if (abdication.why === "damaged") this.#distrusted.add(abdication.acceptor);
    if (abdication.why === "alarm") this.#broken = abdication.alarm.detail;
    const proposed = [...this.#waiting.values()].flat();
    this.#waiting.clear();
    for (const { done } of this.#pump.close()) done(notLeading(this.machine));
    for (const { done } of proposed) done(unknownOutcome(this.machine));
    this.#refuseReads();
    this.#options.events.abdicated(abdication, leader.ballot);
  }

  #refuseReads(): void {
    const reads = [...this.#reads.values()];
    this.#reads.clear();
    for (const done of reads) done(notLeading(this.machine));
  }
}

/** Reads waiting for their check; beyond this callers are told to come back later. */
const READS_WAITING_MAX = 20_000;

/** Commands that take longer to finish have an unknown outcome: the pause of a reconfiguration stays short. */
const CEDE_MS_MAX = 200;

/** How often a leader that hands over looks whether everything under way is finished. */
const BETWEEN_CHECKS_MS = 2;

/** The configuration of a ballot that beat this one: a higher one means that this configuration is over. */
export function configurationOf(ballot: Ballot): ConfigurationNumber {
  return parseBallot(ballot).configuration;
}
