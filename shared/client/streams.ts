/** Reading answers without a fixed end: lines, server-sent events, and going on where a stream broke off. */
import type { IncomingMessage } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { backoffMs } from "../backoff.ts";
import { OutcomeUnknown, TheseusError } from "../errors.ts";
import type { LogLine } from "../wire.ts";
import { failureIn, failureOf } from "./answers.ts";
import type { Answer } from "./exchange.ts";

/** Openings in a row that bring nothing new before a finite stream is given up. */
const FRUITLESS_MAX = 10;

export interface Event {
  readonly id: string;
  readonly event: string;
  readonly data: string;
}

/** @throws the error that the answer stands for, when it is no stream. */
export function streamOf(answer: Answer): IncomingMessage {
  if (answer.status !== 200) throw failureOf(answer);
  if (Buffer.isBuffer(answer.body)) throw new OutcomeUnknown("outcome_unknown", "the answer is no stream");
  return answer.body;
}

/** Lines without their ends; what follows the last end is a torn line, and is dropped. */
export async function* linesOf(stream: IncomingMessage): AsyncGenerator<string> {
  stream.setEncoding("utf8");
  let rest = "";
  for await (const chunk of stream) {
    const lines: string[] = (rest + chunk).split("\n");
    rest = lines.pop() as string;
    yield* lines;
  }
}

/** Server-sent events as our servers write them: `field: value` lines, an empty line after each event. */
export async function* eventsOf(stream: IncomingMessage): AsyncGenerator<Event> {
  let fields: Record<string, string> = {};
  for await (const line of linesOf(stream)) {
    if (line !== "") {
      const colon = line.indexOf(": ");
      if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 2);
      continue;
    }
    const { id = "", event = "message", data } = fields;
    if (data !== undefined) yield { id, event, data };
    fields = {};
  }
}

/** @throws the error of the problem that a log breaks off with: alone among the lines, it has no `commands`. */
export function logLineOf(text: string): LogLine {
  const value = JSON.parse(text) as Partial<LogLine>;
  if (value.commands === undefined) throw failureIn(value);
  return value as LogLine;
}

/**
 * The elements of a stream that is opened again where it broke off (`open` knows where). An endless one
 * goes on until the signal; a finite one until it has come to its end.
 */
export async function* resuming<Element>(
  open: () => AsyncIterable<Element>,
  { endless, signal }: { readonly endless: boolean; readonly signal: AbortSignal },
): AsyncGenerator<Element> {
  for (let fruitless = 1; ; fruitless++) {
    try {
      for await (const element of open()) {
        fruitless = 0;
        yield element;
      }
      if (!endless) return;
    } catch (error) {
      if (!signal.aborted && isFinal(error, endless, fruitless)) throw error;
    }
    if (signal.aborted) return;
    await sleep(backoffMs(fruitless, Math.random), undefined, { signal }).catch(() => {});
    if (signal.aborted) return;
  }
}

/** Opening has a deadline of its own, so one that failed has been tried often enough where there is an end. */
function isFinal(error: unknown, endless: boolean, fruitless: number): boolean {
  const isError = error instanceof TheseusError;
  if (isError && !error.retryable) return true;
  return !endless && fruitless >= (isError ? 1 : FRUITLESS_MAX);
}
