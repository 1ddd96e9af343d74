/** Answers as JSON, and problems as the errors they stand for. */
import { Forbidden, Invalid, OutcomeUnknown, type TheseusError } from "../errors.ts";
import { errorOf, isProblem, type Problem } from "../wire.ts";
import { afterUnknown } from "./doubt.ts";
import type { Answer } from "./exchange.ts";

/** As a transport hands it on. `isInDoubt`: it answers commands that an earlier attempt may have executed (doubt). */
export interface Carried extends Answer {
  readonly isInDoubt?: boolean;
}

/** @throws the error that the answer stands for; OutcomeUnknown when it is no JSON. */
export function jsonOf(answer: Carried): unknown {
  if (answer.status < 200 || answer.status > 299) throw failureOf(answer);
  const value = parse(answer);
  if (value === undefined) throw new OutcomeUnknown("outcome_unknown", "the server's answer is no JSON");
  return value;
}

/** The error of what is known to be a problem by its place. */
export function failureIn(value: unknown): TheseusError {
  if (isProblem(value)) return errorOf(value);
  return new OutcomeUnknown("outcome_unknown", "the server has a problem that this version does not know");
}

export function problemIn(answer: Answer): Problem | undefined {
  const value = parse(answer);
  return isProblem(value) ? value : undefined;
}

export function failureOf(answer: Carried): TheseusError {
  const error = errorIn(answer);
  return answer.isInDoubt ? afterUnknown(error) : error;
}

/** Something that is no Theseus, a proxy perhaps, may have answered. */
function errorIn(answer: Answer): TheseusError {
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
