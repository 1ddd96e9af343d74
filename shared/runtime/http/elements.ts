/**
 * A request for one thing or for an array of them. One is answered with its own HTTP status; in an array
 * each element has its own answer or its own problem, and those that are malformed take no slot.
 */
import type { TheseusError } from "../../errors.ts";
import type { Reply } from "../../protocol/session.ts";
import type { Command } from "../../protocol/value.ts";
import { problemFor, type Report } from "./problem.ts";
import { replyText } from "./replies.ts";
import { assertCount } from "./requests.ts";

export interface Elements {
  /** `index` is the place in the array; undefined: the element came alone. */
  toCommand(element: unknown, index: number | undefined): Command | Promise<Command>;
  send(commands: readonly Command[]): Promise<readonly (Reply | TheseusError)[]>;
}

/** The answer as JSON text. */
export async function answerElements(body: unknown, elements: Elements, report: Report): Promise<string> {
  if (Array.isArray(body)) return answerArray(body, elements, report);
  const [reply] = await elements.send([await elements.toCommand(body, undefined)]);
  return replyText(reply as Reply | TheseusError);
}

async function answerArray(body: readonly unknown[], elements: Elements, report: Report): Promise<string> {
  assertCount(body);
  const admissions = await Promise.allSettled(
    body.map(async (element, index) => elements.toCommand(element, index)),
  );
  const commands = admissions.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  const replies = (commands.length === 0 ? [] : await elements.send(commands)).values();
  const texts = admissions.map((one) =>
    textOrProblem(() => {
      if (one.status === "rejected") throw one.reason;
      return replyText(replies.next().value as Reply | TheseusError);
    }, report),
  );
  return `[${texts.join(",")}]`;
}

function textOrProblem(text: () => string, report: Report): string {
  try {
    return text();
  } catch (error) {
    return JSON.stringify(problemFor(error, report));
  }
}
