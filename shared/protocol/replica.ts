/**
 * A replica: a machine's state after the slots it has executed, with the sessions that make every command
 * happen at most once. ⟨Command, OldState⟩ → ⟨Response, NewState⟩, as in the talk; chosen values go in in
 * slot order, and nothing else changes it but a snapshot of another replica's, in place of the slots it has seen.
 *
 * `apply` changes the state in place. When it throws, the command's reply says so, deterministically, and
 * the state is rebuilt from the last checkpoint and the commands since: rare, and correct.
 */

import { decodeFrozen, encodeFrozen } from "./frozen.ts";
import {
  afterSlot,
  firstSuccession,
  type Horizontal,
  type Reconfigure,
  reconfigured,
  type Succession,
} from "./horizontal.ts";
import { Inboxes, type Message } from "./inbox.ts";
import { type Reply, Sessions } from "./session.ts";
import { type Geometry, NO_SLOT, type Slot } from "./slot.ts";
import { type Command, decodeBatch, type Sequence, type SessionId } from "./value.ts";

/** What a deterministic function may need and may not take for itself. */
export interface Context {
  readonly slot: Slot;
  /** Milliseconds since 1970 as the proposing leader logged them; never runs backwards. */
  readonly time: number;
  /** A number in [0, 1) from a source seeded by the command's place in the log. */
  random(): number;
  /** A second response, to somebody else's inbox; counts only when `apply` returns. */
  notify(client: string, message: unknown): void;
}

/** The user's deterministic function, and how its state is copied. */
export interface MachineCode {
  init(): unknown;
  apply(state: unknown, command: unknown, context: Context): unknown;
  freeze(state: unknown): Uint8Array;
  thaw(frozen: Uint8Array): unknown;
}

/** Of a machine whose configuration is part of its state (PROTOCOL §8). */
export interface ReplicaOfHorizontal extends Horizontal {
  readonly geometry: Geometry;
}

/** Registered: a user's file may have loaded another copy of this module, and its refusals mean the same. */
const REFUSAL = Symbol.for("theseus.refusal");

/** An ordinary response that says no ("Insufficient Funds"). Made by `refuse`. */
export class Refusal<Reason = unknown> {
  readonly [REFUSAL] = true;
  readonly reason: Reason;
  constructor(reason: Reason) {
    this.reason = reason;
  }

  static [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === "object" && value !== null && REFUSAL in value;
  }
}

/** A checkpoint is due after this much log, or as much log as the checkpoint is large: its cost stays a constant factor. */
const CHECKPOINT_LOG_CHARACTERS_MIN = 1_000_000;

/** One executed slot since the checkpoint: its text, since `apply` may have changed the parsed commands. */
interface Executed {
  readonly slot: Slot;
  readonly time: number;
  readonly text: string;
  /** Which of its commands `apply` executed (repeated and failed ones are not among them). */
  readonly indexes: number[];
}

/** What executing one command came to when `apply` returned. */
interface Result {
  readonly response: string;
  readonly refused: boolean;
  readonly messages: readonly { readonly client: string; readonly message: string }[];
}

export class Replica {
  readonly #code: MachineCode;
  readonly #horizontal: ReplicaOfHorizontal | undefined;
  #sessions = new Sessions();
  #inboxes = new Inboxes();
  #state: unknown;
  #applied: Slot = NO_SLOT;
  #time = 0;
  #checkpoint: Uint8Array;
  #since: Executed[] = [];
  #sinceCharacters = 0;
  #executing: Executed = { slot: NO_SLOT, time: 0, text: "", indexes: [] };
  #succession: Succession | undefined;

  constructor(code: MachineCode, horizontal?: ReplicaOfHorizontal) {
    this.#code = code;
    this.#horizontal = horizontal;
    this.#succession = horizontal && firstSuccession(horizontal);
    this.#state = code.init();
    this.#checkpoint = code.freeze(this.#state);
  }

  /** The last slot that was executed. */
  get applied(): Slot {
    return this.#applied;
  }

  /** The state after `applied`; for reading only. */
  get state(): unknown {
    return this.#state;
  }

  /** The configurations of a machine that is reconfigured horizontally, after `applied`. */
  get succession(): Succession | undefined {
    return this.#succession;
  }

  inbox(client: string, after: number): readonly Message[] {
    return this.#inboxes.read(client, after);
  }

  /** The reply that a command has coming already, so that it needs no slot; undefined: propose it. */
  settled(command: Command): Reply | undefined {
    if ("session" in command) return this.#sessions.settled(command.session, command.sequence, this.#applied);
    return "key" in command ? this.#sessions.settledKey(command.key) : undefined;
  }

  /**
   * Executes the chosen value of the next slot; one reply for each of its commands, in order.
   * @throws RangeError when `slot` is not the next one, or the value has an unknown format: stop, never skip.
   */
  execute(slot: Slot, text: string): readonly Reply[] {
    if (slot !== this.#applied + 1)
      throw new RangeError(
        `slot ${slot} cannot follow slot ${this.#applied}: commands execute in slot order`,
      );
    const batch = decodeBatch(text);
    this.#applied = slot;
    this.#time = Math.max(this.#time, batch.time);
    this.#executing = { slot, time: this.#time, text, indexes: [] };
    this.#since.push(this.#executing);
    const replies = batch.commands.map((command, index) => this.#executeOne(command, slot, index));
    if (this.#succession !== undefined) this.#succession = afterSlot(this.#succession, slot);
    if (this.#executing.indexes.length === 0) this.#since.pop();
    else this.#sinceCharacters += text.length;
    if (this.#sinceCharacters > Math.max(CHECKPOINT_LOG_CHARACTERS_MIN, this.#checkpoint.byteLength))
      this.#takeCheckpoint();
    return replies;
  }

  /** All of it, as it is after `applied`: for a snapshot (snapshot.ts). It takes as long as the state is large. */
  freeze(): Uint8Array {
    return encodeFrozen({
      slot: this.#applied,
      time: this.#time,
      sessions: this.#sessions.freeze(),
      inboxes: this.#inboxes.freeze(),
      ...(this.#succession && { succession: this.#succession }),
      state: this.#code.freeze(this.#state),
    });
  }

  /**
   * Becomes the replica that was frozen, in place of executing the slots that it has executed.
   * @throws RangeError when it is not ahead of this one, or has an unknown format: stop, never skip.
   */
  install(frozen: Uint8Array): void {
    const { slot, time, sessions, inboxes, succession, state } = decodeFrozen(frozen);
    if (slot <= this.#applied)
      throw new RangeError(`a snapshot of slot ${slot} cannot follow slot ${this.#applied}`);
    this.#state = this.#code.thaw(state);
    this.#applied = slot;
    this.#time = time;
    this.#sessions = Sessions.thaw(sessions);
    this.#inboxes = Inboxes.thaw(inboxes);
    this.#succession = succession;
    this.#checkpoint = state;
    this.#since = [];
    this.#sinceCharacters = 0;
  }

  #executeOne(command: Command, slot: Slot, index: number): Reply {
    if ("open" in command)
      return { reply: "opened", slot, session: this.#sessions.open(command.open, slot, index) };
    if ("session" in command) return this.#executeInSession(command, slot, index);
    if ("key" in command) return this.#executeKeyed(command, slot, index);
    if ("reconfigure" in command) return this.#reconfigure(command.reconfigure, slot);
    return this.#apply(command.command, slot, index);
  }

  /** Invariant 10: each (session, sequence) executes at most once; an unknown session never executes. */
  #executeInSession(
    command: { session: SessionId; sequence: Sequence; command: unknown },
    slot: Slot,
    index: number,
  ): Reply {
    const settled = this.#sessions.settled(command.session, command.sequence, slot);
    if (settled !== undefined) return settled;
    const reply = this.#apply(command.command, slot, index);
    this.#sessions.remember(command.session, command.sequence, reply);
    return reply;
  }

  #executeKeyed(command: { key: string; command: unknown }, slot: Slot, index: number): Reply {
    const settled = this.#sessions.settledKey(command.key);
    if (settled !== undefined) return settled;
    const reply = this.#apply(command.command, slot, index);
    this.#sessions.rememberKey(command.key, reply);
    return reply;
  }

  /** Never reaches `apply`: the configuration is part of the replica's state, not of the machine's. */
  #reconfigure(command: Reconfigure, slot: Slot): Reply {
    if (this.#succession === undefined || this.#horizontal === undefined)
      return { reply: "failed", slot, error: "this machine is reconfigured through the registry" };
    const { geometry } = this.#horizontal;
    const after = reconfigured(this.#succession, command, slot, this.#horizontal, geometry);
    if (typeof after === "string")
      return { reply: "reconfiguration", slot, succession: this.#succession, void: after };
    this.#succession = after;
    return { reply: "reconfiguration", slot, succession: after };
  }

  #apply(command: unknown, slot: Slot, index: number): Reply {
    let result: Result;
    try {
      result = this.#run(command, slot, index, this.#time);
    } catch (error) {
      this.#restore();
      return { reply: "failed", slot, error: textOf(error) };
    }
    this.#executing.indexes.push(index);
    for (const { client, message } of result.messages) this.#inboxes.deliver(client, message);
    const { response } = result;
    return result.refused
      ? { reply: "response", slot, response, refused: true }
      : { reply: "response", slot, response };
  }

  /** All that a command may see or cause, so that repeating it is exactly the same; throws what `apply` throws. */
  #run(command: unknown, slot: Slot, index: number, time: number): Result {
    const messages: { client: string; message: string }[] = [];
    const notify: Context["notify"] = (client, message) => {
      messages.push({ client, message: jsonOf(message) });
    };
    const context = { slot, time, random: randomFrom(slot, index), notify };
    const returned = this.#code.apply(this.#state, command, context);
    const refused = returned instanceof Refusal;
    return { response: jsonOf(refused ? returned.reason : returned), refused, messages };
  }

  /** The state as it was before the command that threw: the same commands give the same state. */
  #restore(): void {
    this.#state = this.#code.thaw(this.#checkpoint);
    for (const { slot, time, text, indexes } of this.#since) {
      const { commands } = decodeBatch(text);
      for (const index of indexes)
        this.#run((commands[index] as { command: unknown }).command, slot, index, time);
    }
    this.#takeCheckpoint();
    this.#executing = { ...this.#executing, indexes: [] };
    this.#since.push(this.#executing);
  }

  #takeCheckpoint(): void {
    this.#checkpoint = this.#code.freeze(this.#state);
    this.#since = [];
    this.#sinceCharacters = 0;
  }
}

/** JSON has no word for undefined, and an `apply` need not return anything. */
function jsonOf(value: unknown): string {
  return JSON.stringify(value) ?? "null";
}

/** Anything can be thrown, even what has no text; that must not stop the replica. */
function textOf(error: unknown): string {
  try {
    return String(error instanceof Error ? error.message : error);
  } catch {
    return "apply threw something without a text";
  }
}

/** splitmix32, seeded by the command's place in the log: the same numbers on every replica. */
function randomFrom(slot: Slot, index: number): () => number {
  let seed = (Math.imul(slot | 0, 0x9e3779b9) ^ Math.imul(index + 1, 0x85ebca6b)) | 0;
  return () => {
    seed = (seed + 0x9e3779b9) | 0;
    let mixed = seed ^ (seed >>> 16);
    mixed = Math.imul(mixed, 0x21f0aaad);
    mixed ^= mixed >>> 15;
    mixed = Math.imul(mixed, 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
}
