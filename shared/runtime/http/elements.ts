/**
 * A request for one thing or for an array of them. One is answered with its own HTTP status; in an array
 * each element has its own answer or its own problem, and those that are malformed take no slot.
 */
import { type TheseusError, Unavailable } from "../../errors.ts";
import type { Reply } from "../../protocol/session.ts";
import type { Command } from "../../protocol/value.ts";
import { problemFor, type Report } from "./problem.ts";
import { replyText } from "./replies.ts";
import { assertCount } from "./requests.ts";

export type Admission = { readonly send: Command } | { readonly settled: Reply };

export interface Elements {
  /** To be sent, or answered already. `index` is the place in the array; undefined: the element came alone. */
  admit(element: unknown, index: number | undefined): Admission | Promise<Admission>;
  send(commands: readonly Command[]): Promise<readonly (Reply | TheseusError)[]>;
}

/** The answer as JSON text. */
export async function answerElements(body: unknown, elements: Elements, report: Report): Promise<string> {
  if (Array.isArray(body)) return answerArray(body, elements, report);
  const admission = await elements.admit(body, undefined);
  if ("settled" in admission) return replyText(admission.settled);
  const [reply] = await elements.send([admission.send]);
  return replyText(reply as Reply | TheseusError);
}

async function answerArray(body: readonly unknown[], elements: Elements, report: Report): Promise<string> {
  assertCount(body);
  const admissions = await Promise.allSettled(
    body.map(async (element, index) => elements.admit(element, index)),
  );
  for (const one of admissions) {
    // Nothing was sent yet: all of it can be carried to whoever leads.
    if (one.status === "rejected" && one.reason instanceof Unavailable) throw one.reason;
  }
  const commands = admissions.flatMap((one) =>
    one.status === "fulfilled" && "send" in one.value ? [one.value.send] : [],
  );
  const replies = (commands.length === 0 ? [] : await elements.send(commands)).values();
  const texts = admissions.map((one) =>
    textOrProblem(() => {
      if (one.status === "rejected") throw one.reason;
      if ("settled" in one.value) return replyText(one.value.settled);
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
