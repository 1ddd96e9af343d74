/** A machine's replies as JSON text. A response was encoded when it was executed, and is embedded as it is. */
import { OutcomeUnknown, Refused, TheseusError } from "../../errors.ts";
import type { Reply } from "../../protocol/session.ts";

/** @throws the error that the reply stands for, when it is no answer. */
export function replyText(reply: Reply | TheseusError): string {
  if (reply instanceof TheseusError) throw reply;
  const { slot } = reply;
  switch (reply.reply) {
    case "response":
      return `{"slot":${slot},"response":${reply.response}${reply.refused ? ',"refused":true' : ""}}`;
    case "opened":
      return JSON.stringify({ session: reply.session, slot });
    case "reconfiguration":
      return JSON.stringify(reply);
    case "failed":
      throw new Refused("apply_failed", `the machine failed on this command: ${reply.error}`, { slot });
    case "unknownSession":
      throw new OutcomeUnknown(
        "unknown_session",
        "the session is forgotten: the command was not executed now, and of an earlier attempt the outcome is unknown",
      );
    case "staleSequence":
      throw new Refused(
        "stale_sequence",
        "a later sequence of this session was executed already; what this one came to is no longer known",
      );
  }
}
