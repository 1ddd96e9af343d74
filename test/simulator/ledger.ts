/**
 * Accounts, and a list of every command that was executed: the list shows who was executed twice.
 * Some commands are refused, and some throw half-way, when the state is changed already.
 */
import { deserialize, serialize } from "node:v8";
import { type Context, Refusal } from "../../shared/protocol/replica.ts";
import type { Reference, Result, Subject } from "./subject.ts";

interface Command {
  readonly type: "add" | "take" | "fail";
  readonly unique: number;
  readonly account: number;
  readonly amount: number;
}

interface State {
  executed: number[];
  /** A digest of `executed`, so that comparing two states costs nothing. */
  order: number;
  balances: number[];
  /** Mixed from everything that a context offers: replicas must be offered the same. */
  offered: number;
}

const ACCOUNTS = 4;
/** Hears of every command that does not fail. */
const AUDITOR = "auditor";
const THROWN = "failed half-way";

export const ledger: Subject = {
  code: {
    init: empty,
    apply: (state, command, context) => apply(state as State, command as Command, context),
    freeze: serialize,
    thaw: deserialize,
  },
  reference: () => new LedgerReference(),
  summary: (state) => summaryOf(state as State),
  fingerprint: (state) => String((state as State).offered),
  inbox: { client: AUDITOR, message: (command) => (command as Command).unique },
  diagnose(state) {
    const { executed } = state as State;
    return new Set(executed).size < executed.length ? "AT_MOST_ONCE" : "REPLICAS_AGREE";
  },
  command(unique, random): Command {
    const type = random() < 0.08 ? "fail" : random() < 0.4 ? "take" : "add";
    return { type, unique, account: Math.floor(random() * ACCOUNTS), amount: 1 + Math.floor(random() * 9) };
  },
};

function empty(): State {
  return { executed: [], order: 0, balances: Array(ACCOUNTS).fill(0), offered: 0 };
}

function apply(state: State, command: Command, context: Context): unknown {
  const { type, unique, account, amount } = command;
  state.executed.push(unique);
  state.order = mixed(state.order, unique);
  state.offered = mixed(state.offered, context.slot + context.time + context.random() * 2 ** 31);
  if (type === "fail") throw new Error(THROWN);
  context.notify(AUDITOR, unique);
  const balance = state.balances[account] ?? 0;
  if (type === "take" && balance < amount) return new Refusal({ place: state.executed.length, balance });
  state.balances[account] = type === "add" ? balance + amount : balance - amount;
  return { place: state.executed.length, balance: state.balances[account] };
}

function summaryOf({ executed, order, balances }: State): string {
  return `${executed.length}:${order}:${balances}`;
}

function mixed(before: number, value: number): number {
  return (Math.imul(before ^ (value | 0), 0x9e3779b1) + 1) | 0;
}

/** Decides before it changes anything, so it has nothing to undo. */
class LedgerReference implements Reference {
  readonly #balances: number[] = Array(ACCOUNTS).fill(0);
  #place = 0;
  #order = 0;

  execute(command: unknown): Result {
    const { type, unique, account, amount } = command as Command;
    if (type === "fail") return { error: THROWN };
    this.#place++;
    this.#order = mixed(this.#order, unique);
    const balance = this.#balances[account] ?? 0;
    const refused = type === "take" && balance < amount;
    const changed = type === "add" ? balance + amount : balance - amount;
    if (refused) return { response: JSON.stringify({ place: this.#place, balance }), refused };
    this.#balances[account] = changed;
    return { response: JSON.stringify({ place: this.#place, balance: changed }) };
  }

  summary(): string {
    return `${this.#place}:${this.#order}:${this.#balances}`;
  }
}
