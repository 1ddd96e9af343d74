/**
 * The chosen log, executed once, by an implementation of sessions that shares nothing with the product's:
 * what every replica and every answer is compared with.
 */
import type { Value } from "../../../shared/protocol/acceptor.ts";
import type { Reconfigure } from "../../../shared/protocol/horizontal.ts";
import { KEYS_MAX, type Reply, SESSIONS_MAX } from "../../../shared/protocol/session.ts";
import type { Slot } from "../../../shared/protocol/slot.ts";
import type { Batch, Command, SessionId } from "../../../shared/protocol/value.ts";
import type { Reference, Subject } from "../subject.ts";
import { check } from "../violation.ts";
import type { Epochs } from "./epochs.ts";

/** One command that had an effect of its own, and where. */
export interface Executed {
  readonly command: Command;
  readonly slot: Slot;
  readonly index: number;
  readonly reply: Reply;
}

interface Session {
  readonly nonce: string;
  readonly opened: Slot;
  evicted?: Slot;
  lastUse: number;
  lastSequence: number;
}

export class Canon {
  /** The last slot up to which everything is chosen. */
  prefix = 0 as Slot;
  readonly executed: Executed[] = [];
  readonly #reference: Reference;
  readonly #chosen: (slot: Slot) => Value | undefined;
  readonly #sessions = new Map<SessionId, Session>();
  readonly #byIdentity = new Map<string, Executed[]>();
  /** Identities of the keys that are remembered, oldest first. */
  readonly #keys: string[] = [];
  readonly #summaries: string[] = [];
  readonly #epochs: Epochs | undefined;
  #uses = 0;

  constructor(subject: Subject, chosen: (slot: Slot) => Value | undefined, epochs?: Epochs) {
    this.#epochs = epochs;
    this.#reference = subject.reference();
    this.#chosen = chosen;
    this.#summaries.push(this.#reference.summary());
  }

  /** Executes what has become a prefix of the log, and tells of each slot. */
  extend(executed?: (slot: Slot, value: Value) => void): void {
    for (let value = this.#chosen(this.#next); value !== undefined; value = this.#chosen(this.#next)) {
      this.prefix = this.#next;
      const { commands } = JSON.parse(value.text) as Batch;
      for (const [index, command] of commands.entries()) this.#execute(command, index);
      this.#summaries.push(this.#reference.summary());
      executed?.(this.prefix, value);
    }
  }

  summaryAt(slot: Slot): string | undefined {
    return this.#summaries[slot];
  }

  /** Where commands with this identity were executed: a bare one twice only when it was chosen twice. */
  executions(command: Command): readonly Executed[] {
    return this.#byIdentity.get(identityOf(command)) ?? [];
  }

  session(id: SessionId): Session | undefined {
    return this.#sessions.get(id);
  }

  /** Every session that was ever opened. */
  get sessions(): ReadonlyMap<SessionId, Session> {
    return this.#sessions;
  }

  get #next(): Slot {
    return (this.prefix + 1) as Slot;
  }

  #execute(command: Command, index: number): void {
    if ("open" in command) return this.#open(command, index);
    if ("reconfigure" in command) return this.#reconfigure(command, index);
    const identity = identityOf(command);
    if ("session" in command) {
      const session = this.#sessions.get(command.session);
      if (session === undefined || session.evicted !== undefined) return;
      if (command.sequence <= session.lastSequence) return;
      session.lastSequence = command.sequence;
      session.lastUse = ++this.#uses;
    } else if ("key" in command) {
      if (this.#keys.includes(identity)) return;
      this.#keys.push(identity);
      if (this.#keys.length > KEYS_MAX) this.#keys.shift();
    } else
      check(
        "AT_MOST_ONCE",
        !this.#byIdentity.has(identity),
        () => `${identity} is in slot ${this.prefix} and was in the log before`,
      );
    this.#note(command, index, this.#replyTo(command.command));
  }

  #reconfigure(command: Command & { reconfigure: Reconfigure }, index: number): void {
    if (this.#epochs === undefined)
      throw new Error("a reconfiguration in the log of a machine with a registry");
    this.#note(command, index, this.#epochs.reconfigured(command.reconfigure, this.prefix));
  }

  #open(command: Command & { open: string }, index: number): void {
    const present = [...this.#sessions].find(
      ([, { nonce, evicted }]) => nonce === command.open && evicted === undefined,
    );
    const id = present?.[0] ?? (`${this.prefix}-${index}` as SessionId);
    if (present === undefined) {
      this.#sessions.set(id, { nonce: command.open, opened: this.prefix, lastUse: 0, lastSequence: 0 });
      this.#evict();
    }
    (this.#sessions.get(id) as Session).lastUse = ++this.#uses;
    this.#note(command, index, { reply: "opened", slot: this.prefix, session: id });
  }

  /** The least recently used; a session that is being opened now is not. */
  #evict(): void {
    const present = [...this.#sessions.values()].filter(({ evicted }) => evicted === undefined);
    if (present.length <= SESSIONS_MAX) return;
    const used = present.filter(({ lastUse }) => lastUse > 0);
    used.reduce((least, other) => (other.lastUse < least.lastUse ? other : least)).evicted = this.prefix;
  }

  #replyTo(command: unknown): Reply {
    const result = this.#reference.execute(command);
    if ("error" in result) return { reply: "failed", slot: this.prefix, error: result.error };
    return { reply: "response", slot: this.prefix, ...result };
  }

  #note(command: Command, index: number, reply: Reply): void {
    const executed = { command, slot: this.prefix, index, reply };
    const identity = identityOf(command);
    this.executed.push(executed);
    this.#byIdentity.set(identity, [...(this.#byIdentity.get(identity) ?? []), executed]);
  }
}

/** Commands with the same identity are one command that was sent again. */
export function identityOf(command: Command): string {
  if ("reconfigure" in command) return `reconfigure ${JSON.stringify(command.reconfigure)}`;
  if ("open" in command) return `open ${command.open}`;
  if ("session" in command) return `session ${command.session} ${command.sequence}`;
  return "key" in command ? `key ${command.key}` : `bare ${JSON.stringify(command.command)}`;
}
