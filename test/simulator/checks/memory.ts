/**
 * What a replica remembers besides its state: sessions, idempotency keys and inboxes, compared with what the log
 * gives. A replica that executed everything has it right or answers wrongly sooner or later; one that took a
 * snapshot over is looked at at once.
 */
import { INBOX_MESSAGES_MAX } from "../../../shared/protocol/inbox.ts";
import type { Replica } from "../../../shared/protocol/replica.ts";
import { KEYS_MAX, type Reply } from "../../../shared/protocol/session.ts";
import type { Command, Sequence, SessionId } from "../../../shared/protocol/value.ts";
import type { Subject } from "../subject.ts";
import type { Canon, Executed } from "./canon.ts";

/** Higher than any that a client uses: a session that is known would execute it. */
const UNUSED = Number.MAX_SAFE_INTEGER as Sequence;

export function faultOfMemory(subject: Subject, canon: Canon, replica: Replica): string | undefined {
  const executed = canon.executed.filter(({ slot }) => slot <= replica.applied);
  return (
    faultOfSessions(canon, executed, replica) ??
    faultOfKeys(executed, replica) ??
    faultOfInbox(subject, executed, replica)
  );
}

function faultOfSessions(canon: Canon, executed: readonly Executed[], replica: Replica): string | undefined {
  const last = new Map<SessionId, Executed & { command: Command & { session: SessionId } }>();
  for (const each of executed) if ("session" in each.command) last.set(each.command.session, each as never);
  for (const [id, { opened, evicted }] of canon.sessions) {
    if (opened > replica.applied) continue;
    const isRemembered = evicted === undefined || evicted > replica.applied;
    const isKnown = replica.settled({ session: id, sequence: UNUSED, command: null }) === undefined;
    if (isKnown !== isRemembered) return `session ${id} is ${isKnown ? "known" : "not known"}`;
    const { command, reply } = last.get(id) ?? {};
    if (isKnown && command !== undefined && !isSame(replica.settled(command), reply))
      return `session ${id} remembers ${JSON.stringify(replica.settled(command))}`;
  }
  return undefined;
}

function faultOfKeys(executed: readonly Executed[], replica: Replica): string | undefined {
  const keyed = executed.filter(({ command }) => "key" in command).slice(-KEYS_MAX);
  const forgotten = keyed.find(({ command, reply }) => !isSame(replica.settled(command), reply));
  return forgotten && `${JSON.stringify(forgotten.command)} is not remembered`;
}

function faultOfInbox(
  { inbox }: Subject,
  executed: readonly Executed[],
  replica: Replica,
): string | undefined {
  if (inbox === undefined) return undefined;
  const messages = executed.flatMap(({ command, reply }) =>
    reply.reply === "response" && "command" in command
      ? [JSON.stringify(inbox.message(command.command))]
      : [],
  );
  const expected = messages
    .map((message, index) => ({ cursor: index + 1, message }))
    .slice(-INBOX_MESSAGES_MAX);
  const found = replica.inbox(inbox.client, 0);
  return isSame(found, expected)
    ? undefined
    : `its inbox has ${found.length} messages, ${JSON.stringify(found.at(-1))}`;
}

function isSame(one: Reply | readonly unknown[] | undefined, other: typeof one): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
