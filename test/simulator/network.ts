/**
 * The way between processes and tables, and everything that may go wrong on it. Verbs of one request are
 * atomic one by one and not together, so they may be executed apart and in any order.
 */
import { type Outcome, UNKNOWN, type Verb } from "../../shared/protocol/acceptor.ts";
import type { Coverage } from "./faults.ts";
import type { Rates } from "./options.ts";
import type { Random } from "./random.ts";
import type { Scheduler } from "./scheduler.ts";
import type { Table } from "./table.ts";

/** After this a request's outcome is reported as unknown, whatever becomes of it. */
export const TIMEOUT_MS = 60;
export const HOP_MS_MAX = 3;
/** A request that is delayed arrives this late: within its sender's reign, or long after it. */
const DELAY_MS_MAX = 3_000;
/** As late as a request to the registry comes. */
export const LATE_MS_MAX = 1_000;
const GROUPS_MAX = 4;

export interface NetworkOptions {
  readonly random: Random;
  readonly scheduler: Scheduler;
  readonly coverage: Coverage;
  /** All zero once faults are over. */
  readonly rates: () => Rates;
  readonly trace: (line: () => string) => void;
}

/** `incarnation`: a request that is only meant for that one (founding addresses a table that it knows). */
export interface Request {
  readonly sender: string;
  readonly table: Table;
  readonly verbs: readonly Verb[];
  readonly done: (outcomes: readonly Outcome[]) => void;
  readonly incarnation?: number;
}

/** One verb that a script keeps back: it decides when the table sees it and when the sender hears of it. */
export interface Held {
  readonly sender: string;
  readonly table: Table;
  readonly verb: Verb;
  execute(): void;
  /** Of an unknown outcome, when it was not executed. */
  reply(): void;
}

export class Network {
  /** Scripts only (script.ts): the verbs that are kept back, and those that are being. */
  holds: (sender: string, table: Table, verb: Verb) => boolean = () => false;
  readonly held: Held[] = [];
  readonly #options: NetworkOptions;

  constructor(options: NetworkOptions) {
    this.#options = options;
  }

  ask(request: Request): void {
    const { scheduler } = this.#options;
    const outcomes: Outcome[] = request.verbs.map(() => UNKNOWN);
    const { sender, table, verbs } = request;
    const isHeld = (index: number): boolean => this.holds(sender, table, verbs[index] as Verb);
    const kept = [...verbs.keys()].filter(isHeld);
    const groups = [
      ...this.#split([...verbs.keys()].filter((index) => !isHeld(index))),
      ...kept.map((at) => [at]),
    ];
    let awaited = groups.length;
    let isOver = false;
    const finish = (): void => {
      if (isOver) return;
      isOver = true;
      timeout.cancelled = true;
      request.done(outcomes);
    };
    const timeout = scheduler.after(kept.length > 0 ? Number.POSITIVE_INFINITY : TIMEOUT_MS, finish);
    for (const group of groups) {
      const reply = (results: readonly Outcome[]): void => {
        if (isOver) return;
        group.forEach((at, index) => {
          outcomes[at] = results[index] as Outcome;
        });
        if (--awaited === 0) finish();
      };
      if (kept.includes(group[0] as number)) this.#hold(request, group, reply);
      else this.#send(request, group, reply);
    }
  }

  #hold(request: Request, group: readonly number[], reply: (results: readonly Outcome[]) => void): void {
    const { sender, table, verbs } = request;
    let results: readonly Outcome[] = [UNKNOWN];
    this.held.push({
      sender,
      table,
      verb: verbs[group[0] as number] as Verb,
      execute: () => {
        results = this.#execute(request, group);
      },
      reply: () => reply(results),
    });
  }

  /** Indexes of the verbs that are executed together. */
  #split(indexes: readonly number[]): readonly (readonly number[])[] {
    const { random, coverage } = this.#options;
    if (indexes.length === 0) return [];
    if (indexes.length < 2 || !random.chance(this.#options.rates().verbsSplit)) return [indexes];
    coverage.hit("verbsSplit");
    const groups: number[][] = Array.from({ length: GROUPS_MAX }, () => []);
    for (const index of indexes) random.pick(groups).push(index);
    return groups.filter((group) => group.length > 0);
  }

  #send(request: Request, group: readonly number[], reply: (results: readonly Outcome[]) => void): void {
    const { random, scheduler, coverage } = this.#options;
    const rates = this.#options.rates();
    const execute = (): readonly Outcome[] => this.#execute(request, group);
    if (random.chance(rates.requestLost)) return coverage.hit("requestLost");
    if (random.chance(rates.throttled)) {
      coverage.hit("throttled");
      scheduler.after(this.#hop(request.table), () => reply(group.map(() => UNKNOWN)));
      return;
    }
    const isDelayed = random.chance(rates.requestDelayed);
    if (isDelayed) coverage.hit("requestDelayed");
    scheduler.after(isDelayed ? this.#longDelay() : this.#hop(request.table), () => {
      if (!this.#arrives(request.table)) return;
      const results = execute();
      if (this.#replyIsLost(request.table)) return;
      scheduler.after(this.#replyHop(request.table), () => reply(results));
    });
    if (random.chance(rates.requestDuplicated)) this.#duplicate(request, execute);
  }

  /** Nobody hears of the second execution. */
  #duplicate(request: Request, execute: () => unknown): void {
    const { random, scheduler, coverage } = this.#options;
    const isLate = random.chance(0.5);
    coverage.hit(isLate ? "requestRepeatedLate" : "requestDuplicated");
    scheduler.after(isLate ? this.#longDelay() : 2 * this.#hop(request.table), () => {
      if (this.#arrives(request.table)) execute();
    });
  }

  #execute({ sender, table, verbs, incarnation }: Request, group: readonly number[]): readonly Outcome[] {
    // A request for the table that once had this name is not obeyed by the one that has it now: names are
    // never reused, and a table is only deleted once requests for it have expired (PROTOCOL §11).
    if (incarnation !== undefined && incarnation !== table.incarnation) return group.map(() => UNKNOWN);
    return group.map((index) => {
      const verb = verbs[index] as Verb;
      const outcome = table.execute(verb);
      if (verb.verb === "read" && verb.key.kind === "part" && outcome.outcome === "applied" && !outcome.item)
        this.#options.coverage.hit("truncatedUnderReader");
      this.#options.trace(() => `${sender} → ${table.id} ${textOfVerb(verb)} → ${textOfOutcome(outcome)}`);
      return outcome;
    });
  }

  #arrives(table: Table): boolean {
    return table.link !== "none";
  }

  #replyIsLost(table: Table): boolean {
    if (table.link === "inOnly") return true;
    if (!this.#options.random.chance(this.#options.rates().replyLost)) return false;
    this.#options.coverage.hit("replyLost");
    return true;
  }

  #hop(table: Table): number {
    return this.#options.random.between(0.2, HOP_MS_MAX) * table.slowness;
  }

  #replyHop(table: Table): number {
    const { random, coverage } = this.#options;
    if (!random.chance(this.#options.rates().replyDelayed)) return this.#hop(table);
    coverage.hit("replyDelayed");
    return random.between(0.5, 0.9) * TIMEOUT_MS;
  }

  /** More often short than long: the square of a fraction. */
  #longDelay(): number {
    return TIMEOUT_MS / 2 + DELAY_MS_MAX * this.#options.random.fraction() ** 2;
  }
}

function textOfVerb(verb: Verb): string {
  return JSON.stringify(verb, shortened);
}

function textOfOutcome(outcome: Outcome): string {
  return JSON.stringify(outcome, shortened);
}

/** Digests say nothing to a reader. */
function shortened(name: string, value: unknown): unknown {
  return name === "digest" ? undefined : value;
}
