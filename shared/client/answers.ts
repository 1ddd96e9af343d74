/** Answers as JSON, and problems as the errors they stand for. */
import { Forbidden, Invalid, OutcomeUnknown, type TheseusError } from "../errors.ts";
import { errorOf, isProblem, type Problem } from "../wire.ts";
import type { Answer } from "./exchange.ts";

/** @throws the error that the answer stands for; OutcomeUnknown when it is no JSON. */
export function jsonOf(answer: Answer): unknown {
  if (answer.status < 200 || answer.status > 299) throw failureOf(answer);
  const value = parse(answer);
  if (value === undefined) throw new OutcomeUnknown("outcome_unknown", "the server's answer is no JSON");
  return value;
}

export function problemIn(answer: Answer): Problem | undefined {
  const value = parse(answer);
  return isProblem(value) ? value : undefined;
}

/** Something that is no Theseus, a proxy perhaps, may have answered. */
export function failureOf(answer: Answer): TheseusError {
  const problem = problemIn(answer);
  if (problem !== undefined) return errorOf(problem);
  const detail = `the server answered with HTTP status ${answer.status}`;
  if (answer.status >= 500) return new OutcomeUnknown("outcome_unknown", detail);
  if (answer.status === 401 || answer.status === 403) return new Forbidden("forbidden", detail);
  return new Invalid("invalid_request", detail);
}

function parse({ body }: Answer): unknown {
  if (!Buffer.isBuffer(body)) return undefined;
  try {
    return JSON.parse(body.toString());
  } catch {
    return undefined;
  }
}
