/**
 * AT_MOST_ONCE for what a process answers, checked as soon as it is said, whether or not the client hears
 * it; and LINEARIZABLE for what clients heard, checked when the run ends.
 */
import type { Reply } from "../../../shared/protocol/session.ts";
import type { Slot } from "../../../shared/protocol/slot.ts";
import type { Command } from "../../../shared/protocol/value.ts";
import { faultOfHistory, type Operation, type Sequential } from "../../support/linearizable.ts";
import type { Subject } from "../subject.ts";
import { check } from "../violation.ts";
import { type Canon, type Executed, identityOf } from "./canon.ts";

/** One operation of a client, from its first call to its definite answer. */
export interface Called {
  readonly client: string;
  readonly call: number;
  /** Absent: a read. */
  readonly command?: Command;
  return?: number;
  answer?: Reply;
  read?: { readonly asOf: Slot; readonly summary: string };
}

export class Answers {
  readonly #subject: Subject;
  readonly #canon: Canon;
  readonly #called: Called[] = [];

  constructor(subject: Subject, canon: Canon) {
    this.#subject = subject;
    this.#canon = canon;
  }

  called(called: Called): void {
    this.#called.push(called);
  }

  /** A process gives this reply to this command. */
  replied(command: Command, reply: Reply): void {
    const what = (): string => `${identityOf(command)} was answered ${JSON.stringify(reply)}`;
    if (reply.reply === "unknownSession") return this.#checkUnknown(command, reply.slot, what);
    if (reply.reply === "staleSequence") return this.#checkStale(command, what);
    const given = textOf(reply);
    const executions = this.#canon.executions(command);
    check(
      "AT_MOST_ONCE",
      executions.some((executed) => textOf(executed.reply) === given),
      () => `${what()}, but the log gives ${JSON.stringify(executions.map((executed) => executed.reply))}`,
    );
  }

  /** A process answers a read from this state. */
  read(asOf: Slot, summary: string): void {
    check(
      "EXECUTED_IS_CHOSEN",
      summary === this.#canon.summaryAt(asOf),
      () => `a read as of slot ${asOf} shows ${summary} and not ${this.#canon.summaryAt(asOf)}`,
    );
  }

  checkHistory(): void {
    const executed = new Map(this.#canon.executed.map((each) => [placeOf(each), each]));
    const operations: Operation[] = [];
    for (const called of this.#called) {
      const operation = this.#operationOf(called);
      operations.push(operation);
      if (operation.slot !== undefined) executed.delete(`${operation.slot}-${operation.index}`);
    }
    // Executed, and no client's operation: a repeated `open`, or a copy that came when its client had given up.
    for (const each of executed.values()) operations.push(unattended(each));
    const fault = faultOfHistory(operations, this.#machine());
    check("LINEARIZABLE", fault === undefined, () => fault as string);
  }

  #machine(): Sequential {
    const reference = this.#subject.reference();
    return {
      execute: (input) => (isOfMachine(input as Command) ? null : reference.execute((input as Bare).command)),
      read: () => reference.summary(),
    };
  }

  #operationOf({ client, call, command, answer, read, ...called }: Called): Operation {
    const times = { client, call, return: called.return ?? Number.POSITIVE_INFINITY };
    if (command === undefined) {
      const asOf = read === undefined ? {} : { asOf: read.asOf };
      return { ...times, ...asOf, input: null, output: read?.summary, ok: read !== undefined };
    }
    const executions = this.#canon.executions(command);
    const executed = executions.find((each) => each.slot === answer?.slot) ?? executions[0];
    const place = executed === undefined ? {} : { slot: executed.slot, index: executed.index };
    const output = answer === undefined ? undefined : resultOf(answer);
    return { ...times, ...place, input: command, output, ok: output !== undefined && executed !== undefined };
  }

  /** Nobody names a session before it was opened, so a process that is up to date knows it until it is evicted. */
  #checkUnknown(command: Command, asOf: Slot, what: () => string): void {
    const session = "session" in command ? this.#canon.session(command.session) : undefined;
    if (session === undefined) return;
    check("LINEARIZABLE", session.opened <= asOf, () => `${what()}, from a state before it was opened`);
    check(
      "AT_MOST_ONCE",
      session.evicted !== undefined && session.evicted <= asOf,
      () => `${what()}, and is remembered`,
    );
  }

  #checkStale(command: Command, what: () => string): void {
    if (!("session" in command)) return check("AT_MOST_ONCE", false, what);
    const { lastSequence = 0 } = this.#canon.session(command.session) ?? {};
    check("AT_MOST_ONCE", command.sequence < lastSequence, what);
  }
}

/** What the machine's code never sees. */
function isOfMachine(command: Command): boolean {
  return "open" in command || "reconfigure" in command;
}

/** Why a reconfiguration was void is for people. */
function textOf(reply: Reply): string {
  const isVoid = "void" in reply && reply.void !== undefined;
  return JSON.stringify(isVoid ? { ...reply, void: "" } : reply);
}

type Bare = { readonly command: unknown };

function placeOf({ slot, index }: Executed): string {
  return `${slot}-${index}`;
}

function unattended(executed: Executed): Operation {
  const { slot, index, command } = executed;
  return { client: "nobody", call: 0, return: 0, slot, index, input: command, output: null, ok: false };
}

/** What the sequential machine says of the same command; undefined when the reply does not tell what it came to. */
function resultOf(reply: Reply): unknown {
  switch (reply.reply) {
    case "failed":
      return { error: reply.error };
    case "opened":
    case "reconfiguration":
      return null;
    case "response":
      return reply.refused ? { response: reply.response, refused: true } : { response: reply.response };
    default:
      return undefined;
  }
}
