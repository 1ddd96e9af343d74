/**
 * What the gateway may pass on after an unknown outcome: it has asked more than once, and its caller knows of one
 * attempt only. An answer about the last attempt must not be taken for an answer about them all.
 */
import { type Carried, failureOf, jsonOf } from "../../client/answers.ts";
import { afterUnknown } from "../../client/doubt.ts";
import { OutcomeUnknown, type TheseusError } from "../../errors.ts";
import { errorOf, isProblem, problemOf } from "../../wire.ts";

/** @throws OutcomeUnknown in the place of a problem that says nothing of the earlier attempts. */
export function doubted(answer: Carried): Carried {
  const isOk = answer.status >= 200 && answer.status <= 299;
  const failure = isOk ? undefined : failureOf(answer);
  if (failure !== undefined) {
    const told = passedOn(failure);
    if (told instanceof OutcomeUnknown) throw told;
    return answer;
  }
  const answers = jsonOf(answer);
  if (!Array.isArray(answers)) return answer;
  const told = answers.map((one: unknown) => (isProblem(one) ? problemOf(passedOn(errorOf(one))) : one));
  return { ...answer, body: Buffer.from(JSON.stringify(told)) };
}

function passedOn(error: TheseusError): TheseusError {
  if (error.code !== "unknown_session") return afterUnknown(error);
  // To whoever asked once it would mean "never executed". Asked again, it means what it says.
  const detail = "an earlier attempt may have been executed, and the session is forgotten";
  return new OutcomeUnknown("outcome_unknown", detail, { cause: error });
}
