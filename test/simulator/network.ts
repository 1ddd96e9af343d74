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
const TIMEOUT_MS = 60;
const HOP_MS_MAX = 3;
/** A request that is delayed arrives this late: within its sender's reign, or long after it. */
const DELAY_MS_MAX = 3_000;
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

export class Network {
  readonly #options: NetworkOptions;

  constructor(options: NetworkOptions) {
    this.#options = options;
  }

  ask(request: Request): void {
    const { scheduler } = this.#options;
    const outcomes: Outcome[] = request.verbs.map(() => UNKNOWN);
    const groups = this.#split(request.verbs);
    let awaited = groups.length;
    let isOver = false;
    const finish = (): void => {
      if (isOver) return;
      isOver = true;
      timeout.cancelled = true;
      request.done(outcomes);
    };
    const timeout = scheduler.after(TIMEOUT_MS, finish);
    for (const group of groups)
      this.#send(request, group, (results) => {
        if (isOver) return;
        group.forEach((at, index) => {
          outcomes[at] = results[index] as Outcome;
        });
        if (--awaited === 0) finish();
      });
  }

  /** Indexes of the verbs that are executed together. */
  #split(verbs: readonly Verb[]): readonly (readonly number[])[] {
    const { random, coverage } = this.#options;
    const indexes = verbs.map((_, index) => index);
    if (verbs.length < 2 || !random.chance(this.#options.rates().verbsSplit)) return [indexes];
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
