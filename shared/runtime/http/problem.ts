/** Problem documents as HTTP answers. */
import { TheseusError } from "../../errors.ts";
import { internalProblem, type Problem, problemOf } from "../../wire.ts";

/** Told of each error that is nobody's request's fault; the caller is told nothing of its inside. */
export type Report = (error: unknown) => void;

/** What the caller is told of any error; those that are not the protocol's own are reported. */
export function problemFor(error: unknown, report: Report): Problem {
  if (error instanceof TheseusError) return problemOf(error);
  report(error);
  return internalProblem();
}

/** `status` is for the few HTTP statuses that have no error code of their own. */
export function problemResponse(problem: Problem, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(problem), {
    status: problem.status,
    headers: { "content-type": "application/problem+json", ...headers },
  });
}
