/**
 * The talk's drawing as a bench: three tables S1, S2, S3, servers that may lead, and the messages between
 * them, which arrive only when a test says so. Everything in between is the production core, step by step.
 *
 * The talk's servers store and lead; here storing is a table's work and leading a process's. A process and
 * a table may bear the same name, as if they were one server of the talk.
 */
import { hash } from "node:crypto";
import { expect } from "vitest";
import {
  type Cell,
  decide,
  GONE,
  HEAD,
  type Head,
  type Item,
  type Key,
  keyText,
  type Outcome,
  UNKNOWN,
  type Value,
  type Verb,
} from "../../shared/protocol/acceptor.ts";
import {
  type Ballot,
  ballotOf,
  type ConfigurationNumber,
  type ProcessId,
  parseBallot,
} from "../../shared/protocol/ballot.ts";
import type { Configuration } from "../../shared/protocol/configuration.ts";
import type { Progress } from "../../shared/protocol/copying.ts";
import { Founding, type FoundingEffect } from "../../shared/protocol/founding.ts";
import {
  Handover,
  type HandoverEffect,
  type HandoverFailure,
  type HandoverInput,
} from "../../shared/protocol/handover.ts";
import type { Horizontal, Succession } from "../../shared/protocol/horizontal.ts";
import { type Effect, type Input, Leader, type LeaderOptions } from "../../shared/protocol/leader.ts";
import { RecentLog } from "../../shared/protocol/log.ts";
import { type AcceptorId, majority, type QuorumSpec, QuorumSystem } from "../../shared/protocol/quorum.ts";
import type { ReadId } from "../../shared/protocol/reads.ts";
import { type MachineCode, Replica } from "../../shared/protocol/replica.ts";
import { type Ask, type RequestId, TRIES_MAX } from "../../shared/protocol/requests.ts";
import type { Reply } from "../../shared/protocol/session.ts";
import {
  type ChunkNumber,
  type Geometry,
  laneOf,
  MACHINE_GEOMETRY,
  type Slot,
} from "../../shared/protocol/slot.ts";
import { type Snapshot, snapshotOf } from "../../shared/protocol/snapshot.ts";
import { Truncation, type TruncationEffect } from "../../shared/protocol/truncation.ts";
import { decodeBatch, encodeBatch, encodeCommand } from "../../shared/protocol/value.ts";

const PART_BYTES = 40;
export const CONFIGURATION = 1 as ConfigurationNumber;

export function sha256(text: string): string {
  return hash("sha256", text);
}

export function hashed(text: string): Value {
  return { text, digest: sha256(text) };
}

/** The process of a server: its number, 32 times. */
export function processOf(name: string): ProcessId {
  return (name.at(-1) as string).repeat(32) as ProcessId;
}

export function acceptors(...names: readonly string[]): AcceptorId[] {
  return names as AcceptorId[];
}

export function chunkKey(chunk: number): Key {
  return { kind: "chunk", chunk: chunk as ChunkNumber };
}

/** A batch as text, by its commands' names. */
export function batchOf(ballot: Ballot, ...names: readonly string[]): string {
  return encodeBatch(
    ballot,
    0,
    names.map((name) => encodeCommand({ command: name })),
  );
}

/** The names of a value's commands. */
export function nameOf(text: string): string {
  const names = decodeBatch(text).commands.map((command) => {
    if ("reconfigure" in command) return command.reconfigure.quorums.acceptors.join(" ");
    return "command" in command ? command.command : "?";
  });
  return names.length === 0 ? "no-op" : names.join("+");
}

/** Whose requests, of what: messages are chosen by all filters given. */
export type Filter = (ask: Ask) => boolean;
export const to =
  (...names: readonly string[]): Filter =>
  (ask) =>
    names.includes(ask.of);
export const saying =
  (verb: Verb["verb"], kind?: Key["kind"]): Filter =>
  (ask) =>
    ask.verbs.some((each) => each.verb === verb && (kind === undefined || each.key.kind === kind));
export const votingIn =
  (slot: number): Filter =>
  (ask) =>
    ask.verbs.some((each) => each.verb === "vote" && each.slot === slot);

/** One vote that a table cast, ever. */
export interface CastVote {
  readonly of: AcceptorId;
  readonly ballot: Ballot;
  readonly slot: Slot;
  readonly value: Value;
}

export class Table {
  readonly items = new Map<string, Item>();
  readonly #cast: (vote: Omit<CastVote, "of">) => void;
  isLost = false;

  constructor(cast: (vote: Omit<CastVote, "of">) => void) {
    this.#cast = cast;
  }

  execute(verb: Verb): Outcome {
    if (this.isLost) return GONE;
    const key = keyText(verb.key);
    const { outcome, next } = decide(verb, this.items.get(key));
    if (next === null) this.items.delete(key);
    else if (next !== undefined) this.items.set(key, next);
    if (verb.verb === "vote" && outcome.outcome === "applied") this.#cast(verb);
    return outcome;
  }

  read(key: Key): Item | undefined {
    return this.items.get(keyText(key));
  }

  get head(): Head | undefined {
    return this.read(HEAD) as Head | undefined;
  }

  set(key: Key, item: Item): void {
    this.items.set(keyText(key), item);
  }

  /** Everything that stands in the table. */
  get contents(): Record<string, Item> {
    return structuredClone(Object.fromEntries(this.items));
  }
}

export interface BenchOptions {
  readonly quorums?: QuorumSpec;
  readonly geometry?: Geometry;
  readonly isFounded?: boolean;
  readonly number?: number;
  /** The configuration is part of the state; `alpha` absent: epochs. */
  readonly horizontal?: { readonly alpha?: number };
}

export class Bench {
  readonly configuration: Configuration;
  readonly geometry: Geometry;
  readonly tables = new Map<AcceptorId, Table>();
  readonly votes: CastVote[] = [];
  readonly horizontal: Horizontal | undefined;

  constructor(options: BenchOptions = {}) {
    const quorums = options.quorums ?? majority(acceptors("S1", "S2", "S3"));
    const number = (options.number ?? CONFIGURATION) as ConfigurationNumber;
    this.configuration = { number, previous: number - 1, quorums };
    this.geometry = options.geometry ?? MACHINE_GEOMETRY;
    this.horizontal = options.horizontal && { ...options.horizontal, first: this.configuration };
    this.add(...quorums.acceptors);
    if (options.isFounded !== false) this.found();
  }

  /** Tables that no configuration has yet. */
  add(...names: readonly string[]): void {
    for (const id of acceptors(...names))
      this.tables.set(id, new Table((vote) => this.votes.push({ of: id, ...vote })));
  }

  table(name: string): Table {
    const table = this.tables.get(name as AcceptorId);
    if (table === undefined) throw new RangeError(`there is no table ${name}`);
    return table;
  }

  /** A server starts to lead: its promises are on the way. `from`: the same process, or one that followed it. */
  server(name: string, round: number, from?: Predecessor, configuration = this.configuration): Server {
    return new Server(this, name, round, from, configuration);
  }

  /** A server that leads: everything that it asked to lead was answered. */
  leader(name: string, round: number, from?: Predecessor, configuration = this.configuration): Server {
    const server = this.server(name, round, from, configuration);
    server.exchange();
    if (!server.leader.serving) throw new Error(`${name} does not lead but ${JSON.stringify(server.told)}`);
    return server;
  }

  /** Somebody who takes the machine to another configuration, whose tables are founded; `from`: whose replica it is. */
  reconfigurer(to: Configuration, from?: Predecessor, old = this.configuration): Reconfigurer {
    return new Reconfigurer(this, old, to, from);
  }

  found(configuration = this.configuration): void {
    const founding = new Founding(configuration, this.geometry);
    let effects: readonly FoundingEffect[] = founding.step({ input: "found" });
    while (effects.length > 0)
      effects = effects.flatMap((effect) => {
        if (effect.effect !== "ask") return [];
        const outcomes = effect.verbs.map((verb) => this.table(effect.of).execute(verb));
        return founding.step({ input: "outcome", request: effect.request, outcomes });
      });
  }

  /** A machine's state before its first command. */
  replica(): Replica {
    const { horizontal, geometry } = this;
    return new Replica(names, horizontal && { ...horizontal, geometry });
  }

  /** Gives the tables a snapshot of this replica, in parts of a few bytes. */
  truncate(replica: Replica, configuration = this.configuration): Snapshot {
    const snapshot = snapshotOf(replica.applied, replica.freeze(), sha256, PART_BYTES);
    const { geometry } = this;
    const truncation = new Truncation({ configuration, geometry, digest: sha256, snapshot });
    let effects: readonly TruncationEffect[] = truncation.step({ input: "truncate" });
    while (effects.length > 0)
      effects = effects.flatMap((effect) => {
        if (effect.effect !== "ask") return [];
        const outcomes = effect.verbs.map((verb) => this.table(effect.of).execute(verb));
        return truncation.step({ input: "outcome", request: effect.request, outcomes });
      });
    return snapshot;
  }

  cell(name: string, slot: number, configuration = this.configuration): Cell {
    return this.#cell(name as AcceptorId, slot, configuration) as Cell;
  }

  /** What each table has voted in a slot's cell, if it is about that slot: `{ S1: "2: B1" }`, ballot's round first. */
  standing(slot: number, configuration = this.configuration): Record<string, string> {
    const standing: Record<string, string> = {};
    for (const id of this.tables.keys()) {
      const cell = this.#cell(id, slot, configuration);
      if (cell?.vote !== undefined && cell.slot === slot)
        standing[id] = `${roundOf(cell.vote.ballot)}: ${nameOf(cell.vote.value.text)}`;
    }
    return standing;
  }

  /** "A command C is chosen at ballot b iff a write quorum votes for C in ballot b", counted over all votes ever cast. */
  chosen(slot: number, configuration = this.configuration): readonly string[] {
    const quorums = new QuorumSystem(configuration.quorums);
    const voters = new Map<string, Set<AcceptorId>>();
    const isOfIt = ({ ballot }: CastVote): boolean =>
      parseBallot(ballot).configuration === configuration.number;
    for (const vote of this.votes.filter((each) => each.slot === slot && isOfIt(each))) {
      const id = `${vote.ballot} ${vote.value.text}`;
      voters.set(id, (voters.get(id) ?? new Set()).add(vote.of));
    }
    const texts = [...voters]
      .filter(([, of]) => quorums.hasWriteQuorum(of))
      .map(([id]) => id.slice(id.indexOf(" ")));
    return [...new Set(texts)].map(nameOf);
  }

  get contents(): Record<string, unknown> {
    return Object.fromEntries([...this.tables].map(([id, table]) => [id, table.contents]));
  }

  #cell(id: AcceptorId, slot: number, { number }: Configuration): Cell | undefined {
    const lane = laneOf(this.geometry, slot as Slot);
    const cell = this.tables.get(id)?.read({ kind: "cell", configuration: number, lane });
    return cell as Cell | undefined;
  }
}

export function roundOf(ballot: Ballot): number {
  return Number.parseInt(ballot.split(".")[1] as string, 16);
}

/** A machine that is a list of the commands' names; each response is the command's number. */
const names: MachineCode = {
  init: () => [],
  apply: (state, command) => (state as unknown[]).push(command),
  freeze: (state) => new TextEncoder().encode(JSON.stringify(state)),
  thaw: (frozen) => JSON.parse(new TextDecoder().decode(frozen)),
};

/** Whose replica somebody goes on with. */
interface Predecessor {
  readonly log: RecentLog;
  readonly replica: Replica;
  readonly distrusted?: Set<AcceptorId>;
}

interface Answer {
  readonly ask: Ask;
  readonly outcomes: readonly Outcome[];
}

/** What arrives from tables, or does not. */
type Message = Extract<Input, { input: "outcome" | "resend" }>;

/** Somebody who asks tables: what it asks is on the way until a test says what becomes of it. */
abstract class Asker {
  /** On the way to tables, and on the way back. */
  requests: Ask[] = [];
  replies: Answer[] = [];
  retries: RequestId[] = [];
  protected readonly bench: Bench;

  constructor(bench: Bench) {
    this.bench = bench;
  }

  protected abstract hear(message: Message): void;

  /** These requests reach their tables, which answer; the replies are on the way. */
  arrive(...filters: readonly Filter[]): number {
    const [chosen, rest] = split(this.requests, (ask) => filters.every((filter) => filter(ask)));
    this.requests = rest;
    for (const ask of chosen)
      this.replies.push({ ask, outcomes: ask.verbs.map((verb) => this.bench.table(ask.of).execute(verb)) });
    return chosen.length;
  }

  /** These replies reach the leader. */
  receive(...filters: readonly Filter[]): number {
    const [chosen, rest] = split(this.replies, ({ ask }) => filters.every((filter) => filter(ask)));
    this.replies = rest;
    for (const { ask, outcomes } of chosen) this.hear({ input: "outcome", request: ask.request, outcomes });
    return chosen.length;
  }

  /** These requests and their replies arrive, and so do those that follow from them, until nothing is left. */
  exchange(...filters: readonly Filter[]): void {
    for (let round = 0; this.arrive(...filters) + this.receive(...filters) > 0; round++)
      if (round > 1_000) throw new Error(`no end: ${JSON.stringify(this.requests[0])}`);
  }

  /** These requests never arrive, or these replies do not: their outcome is unknown. */
  lose(...filters: readonly Filter[]): void {
    const [requests, laterRequests] = split(this.requests, (ask) => filters.every((filter) => filter(ask)));
    const [replies, laterReplies] = split(this.replies, ({ ask }) => filters.every((filter) => filter(ask)));
    this.requests = laterRequests;
    this.replies = laterReplies;
    for (const ask of [...requests, ...replies.map((reply) => reply.ask)])
      this.hear({ input: "outcome", request: ask.request, outcomes: ask.verbs.map(() => UNKNOWN) });
  }

  /** The back-offs are over. */
  resend(): void {
    const retries = this.retries;
    this.retries = [];
    for (const request of retries) this.hear({ input: "resend", request });
  }
}

/** A process in one ballot. Its replica and log may be those of an earlier one. */
export class Server extends Asker {
  readonly leader: Leader;
  readonly log: RecentLog;
  readonly replica: Replica;
  readonly distrusted: Set<AcceptorId>;
  /** Every effect that is no message, in order. */
  readonly told: Effect[] = [];
  readonly answers: Reply[] = [];

  constructor(
    bench: Bench,
    name: string,
    round: number,
    from?: Predecessor,
    configuration = bench.configuration,
  ) {
    super(bench);
    this.log = from?.log ?? new RecentLog(bench.geometry);
    this.replica = from?.replica ?? bench.replica();
    this.distrusted = from?.distrusted ?? new Set();
    this.leader = new Leader({
      configuration,
      ballot: ballotOf(configuration.number, round, processOf(name)),
      geometry: bench.geometry,
      digest: sha256,
      log: this.log,
      distrusted: this.distrusted,
      ...this.#horizontally(configuration),
    });
    this.step({ input: "lead" });
  }

  get ballot(): Ballot {
    return this.leader.ballot;
  }

  /** A configuration that the machine began with is founded. */
  #horizontally(configuration: Configuration): Pick<LeaderOptions, "horizontal"> {
    const { horizontal } = this.bench;
    if (horizontal === undefined) return {};
    const isUnfounded = configuration !== this.bench.configuration;
    return { horizontal: { ...horizontal, isUnfounded, succession: () => this.succession } };
  }

  /** What the state says of the machine's configurations. */
  get succession(): Succession {
    return this.replica.succession as Succession;
  }

  protected override hear(message: Message): void {
    this.step(message);
  }

  step(input: Input): readonly Effect[] {
    const effects = this.leader.step(input);
    for (const effect of effects) this.#carryOut(effect);
    return effects;
  }

  /** One slot for each command. */
  propose(...commands: readonly string[]): void {
    for (const command of commands)
      this.step({ input: "propose", commands: [encodeCommand({ command })], time: 0 });
  }

  /** "Acting as a client, issues a reconfiguration command". */
  reconfigure(expect: number, quorums: QuorumSpec): void {
    const reconfigure = { expect: expect as ConfigurationNumber, quorums };
    this.step({ input: "propose", commands: [encodeCommand({ reconfigure })], time: 0 });
  }

  read(read: number): void {
    this.step({ input: "read", read: read as ReadId });
  }

  /** What was executed, as the talk writes it: `1: B1`. */
  get executed(): readonly string[] {
    return this.told.flatMap((effect) =>
      effect.effect === "execute" ? [`${effect.slot}: ${nameOf(effect.text)}`] : [],
    );
  }

  get abdication(): Extract<Effect, { effect: "abdicate" }>["abdication"] | undefined {
    return this.told.find((effect) => effect.effect === "abdicate")?.abdication;
  }

  get answeredReads(): readonly number[] {
    return this.told.flatMap((effect) => (effect.effect === "answerReads" ? effect.reads : []));
  }

  get lost(): readonly string[] {
    return this.told.flatMap((effect) => (effect.effect === "lost" ? [effect.acceptor] : []));
  }

  #carryOut(effect: Effect): void {
    if (effect.effect === "ask") this.requests.push(effect);
    else if (effect.effect === "retry") this.retries.push(effect.request);
    else this.told.push(effect);
    if (effect.effect === "execute") this.answers.push(...this.replica.execute(effect.slot, effect.text));
    else if (effect.effect === "install") this.replica.install(effect.frozen);
  }
}

/** Whoever reconfigures: one try. */
export class Reconfigurer extends Asker {
  readonly handover: Handover;
  readonly log: RecentLog;
  readonly replica: Replica;
  /** Every effect that is no message, in order. */
  readonly told: HandoverEffect[] = [];

  constructor(bench: Bench, old: Configuration, to: Configuration, from?: Predecessor) {
    super(bench);
    this.log = from?.log ?? new RecentLog(bench.geometry);
    this.replica = from?.replica ?? bench.replica();
    this.handover = new Handover({
      from: old,
      to,
      geometry: bench.geometry,
      digest: sha256,
      log: this.log,
      distrusted: from?.distrusted ?? new Set(),
    });
  }

  step(input: HandoverInput): void {
    for (const effect of this.handover.step(input)) {
      if (effect.effect === "ask") this.requests.push(effect);
      else if (effect.effect === "retry") this.retries.push(effect.request);
      else this.told.push(effect);
      if (effect.effect === "execute") this.replica.execute(effect.slot, effect.text);
      else if (effect.effect === "install") this.replica.install(effect.frozen);
    }
  }

  copy(...filters: readonly Filter[]): void {
    this.step({ input: "copy" });
    this.exchange(...filters);
  }

  fence(...filters: readonly Filter[]): void {
    this.step({ input: "fence" });
    this.exchange(...filters);
  }

  /** Nobody at these tables answers, for as long as anybody wants to know. */
  waitInVain(...filters: readonly Filter[]): void {
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      this.lose(...filters);
      this.resend();
    }
  }

  /** But for how far it is. */
  get said(): readonly string[] {
    return this.told.flatMap(({ effect }) => (effect === "progress" ? [] : [effect]));
  }

  get progress(): readonly Progress[] {
    return this.told.flatMap((effect) => (effect.effect === "progress" ? [effect] : []));
  }

  get failure(): HandoverFailure | undefined {
    return this.told.find((effect) => effect.effect === "failed")?.failure;
  }

  protected override hear(message: Message): void {
    this.step(message);
  }
}

function split<Item>(items: readonly Item[], isChosen: (item: Item) => boolean): [Item[], Item[]] {
  return [items.filter(isChosen), items.filter((item) => !isChosen(item))];
}

/** "Each command number has at most one chosen command", for all numbers that were ever voted on. */
export function expectAgreement(bench: Bench): void {
  for (const slot of new Set(bench.votes.map((vote) => vote.slot)))
    expect(bench.chosen(slot).length, `slot ${slot}: ${bench.chosen(slot)}`).toBeLessThanOrEqual(1);
}
