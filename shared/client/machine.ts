/** One machine as a client sees it, typed from its definition. */
import { setTimeout as sleep } from "node:timers/promises";
import { backoffMs } from "../backoff.ts";
import { Invalid, OutcomeUnknown, TheseusError, Unavailable } from "../errors.ts";
import { INSTANCE_ID_PATTERN, MACHINE_NAME_PATTERN } from "../limits.ts";
import type {
  CommandOf,
  MachineDefinition,
  QueryArgsOf,
  QueryNameOf,
  QueryResultOf,
  ResponseOf,
} from "../machine.ts";
import type { CommandAnswer, LogLine, MachineStatus, QueryAnswer, StateAnswer } from "../wire.ts";
import { failureIn, jsonOf } from "./answers.ts";
import { Batcher } from "./batch.ts";
import { type Attempt, CommandOutcomeUnknown } from "./errors.ts";
import { type Session, SessionPool } from "./session.ts";
import { eventsOf, linesOf, logLineOf, resuming, streamOf } from "./streams.ts";
import type { Transport } from "./transport.ts";

export interface SendOptions {
  /** Default: that of `connect`. */
  readonly deadlineMs?: number;
  /** Asks again for the outcome of a command, which must be the same: from a CommandOutcomeUnknown. */
  readonly attempt?: Attempt;
}

export interface QueryOptions {
  /** Answered at once from what the server has, which may be behind. */
  readonly stale?: boolean;
}

export interface InboxOptions {
  /** The cursor of the last message seen. */
  readonly after?: number;
  readonly signal?: AbortSignal;
}

/** `cursor` is what `after` resumes from. */
export interface InboxMessage {
  readonly cursor: number;
  readonly message: unknown;
}

/** A query without a second parameter needs no arguments. */
type QueryParameters<Args> = undefined extends Args
  ? [args?: Args, options?: QueryOptions]
  : [args: Args, options?: QueryOptions];

export class MachineClient<Machine extends MachineDefinition = MachineDefinition> {
  readonly #transport: Transport;
  readonly #machine: string;
  readonly #path: string;
  readonly #deadlineMs: number;
  readonly #commands: Batcher;
  readonly #sessions: SessionPool;

  /** @throws Invalid when it cannot be a machine's name or an instance's id. */
  constructor(transport: Transport, name: string, id: string, deadlineMs: number) {
    if (!MACHINE_NAME_PATTERN.test(name))
      throw new Invalid("invalid_request", `not a machine's name: ${name}`);
    if (!INSTANCE_ID_PATTERN.test(id)) throw new Invalid("invalid_request", `not an instance's id: ${id}`);
    this.#transport = transport;
    this.#machine = `${name}/${id}`;
    this.#path = `/v1/machines/${this.#machine}`;
    this.#deadlineMs = deadlineMs;
    this.#commands = new Batcher(transport, this.#machine, `${this.#path}/commands`);
    const openings = new Batcher(transport, this.#machine, `${this.#path}/sessions`);
    this.#sessions = new SessionPool(openings, deadlineMs);
  }

  /**
   * The one response of the one execution, however often it had to be sent.
   * @throws CommandOutcomeUnknown without a definite answer by the deadline, with what asks for it again;
   * Unavailable or Invalid when it was never executed; Refused when the machine failed on it.
   */
  async send(command: CommandOf<Machine>, options: SendOptions = {}): Promise<ResponseOf<Machine>> {
    const { attempt, deadlineMs = this.#deadlineMs } = options;
    const text = JSON.stringify(command);
    if (text === undefined) throw new Invalid("invalid_command", "the command is not JSON data");
    const response = attempt
      ? await this.#execute(attempt, text, deadlineMs, true)
      : await this.#executeInSession(text, deadlineMs);
    return response as ResponseOf<Machine>;
  }

  async query<Name extends QueryNameOf<Machine>>(
    name: Name,
    ...[args, { stale = false } = {}]: QueryParameters<QueryArgsOf<Machine, Name>>
  ): Promise<QueryResultOf<Machine, Name>> {
    const path = `/queries/${encodeURIComponent(name)}?consistency=${stale ? "stale" : "linearizable"}`;
    const { result } = (await this.#read("POST", path, JSON.stringify({ args }))) as QueryAnswer;
    return result as QueryResultOf<Machine, Name>;
  }

  /** The messages to `client`, those there are and then new ones, through failover, until the signal. */
  inbox(client: string, { after = 0, signal }: InboxOptions = {}): AsyncIterable<InboxMessage> {
    const until = AbortSignal.any([this.#transport.closed, ...(signal === undefined ? [] : [signal])]);
    const path = `/inbox/${encodeURIComponent(client)}?after=`;
    let cursor = after;
    const open = async function* (this: MachineClient<Machine>) {
      for await (const { id, event, data } of eventsOf(await this.#open(`${path}${cursor}`, until))) {
        if (event === "problem") throw failureIn(JSON.parse(data));
        cursor = Number(id);
        yield { cursor, message: JSON.parse(data) as unknown };
      }
    };
    return resuming(open.bind(this), { endless: true, signal: until });
  }

  /**
   * Chosen slots from `from` on (default: the first that is not trimmed), through the newest at the time of the call.
   * @throws Invalid (trimmed) when a snapshot has taken the next slot's place.
   */
  log({ from }: { readonly from?: number } = {}): AsyncIterable<LogLine> {
    let next = from;
    const open = async function* (this: MachineClient<Machine>) {
      const path = next === undefined ? "/log" : `/log?from=${next}`;
      for await (const text of linesOf(await this.#open(path, this.#transport.closed))) {
        const line = logLineOf(text);
        next = line.slot + 1;
        yield line;
      }
    };
    return resuming(open.bind(this), { endless: false, signal: this.#transport.closed });
  }

  /** The state after slot `at`; default: the newest. @throws Invalid (trimmed) when it is before the newest snapshot. */
  async state({ at }: { readonly at?: number } = {}): Promise<StateAnswer> {
    return (await this.#read("GET", at === undefined ? "/state" : `/state?at=${at}`)) as StateAnswer;
  }

  async status(): Promise<MachineStatus> {
    return (await this.#read("GET", "")) as MachineStatus;
  }

  async #executeInSession(command: string, deadlineMs: number): Promise<unknown> {
    const deadline = performance.now() + deadlineMs;
    const leftMs = () => Math.max(1, Math.ceil(deadline - performance.now()));
    for (let attempts = 1; ; attempts++) {
      const session = await this.#sessions.take(leftMs());
      const attempt = { session: session.id, sequence: ++session.sequence };
      try {
        const response = await this.#execute(attempt, command, leftMs(), false);
        this.#sessions.release(session);
        return response;
      } catch (error) {
        this.#giveBack(session, error);
        // Every session of a client that was idle for long may be forgotten, and none of them executed anything.
        if (!(error instanceof Unavailable) || error.code !== "unknown_session") throw error;
      }
      await sleep(backoffMs(attempts, Math.random));
    }
  }

  #giveBack(session: Session, error: unknown): void {
    const code = error instanceof TheseusError ? error.code : undefined;
    if (code === "unknown_session") this.#sessions.dropForgotten();
    else if (error instanceof OutcomeUnknown || code === "stale_sequence") this.#sessions.drop();
    else this.#sessions.release(session);
  }

  async #execute(
    attempt: Attempt,
    command: string,
    deadlineMs: number,
    isInDoubt: boolean,
  ): Promise<unknown> {
    const { session, sequence } = attempt;
    const text = `{"session":${JSON.stringify(session)},"sequence":${sequence},"command":${command}}`;
    try {
      return ((await this.#commands.add(text, deadlineMs, isInDoubt)) as CommandAnswer).response;
    } catch (error) {
      if (!(error instanceof OutcomeUnknown)) throw error;
      throw new CommandOutcomeUnknown(error.code, error.message, attempt, { slot: error.slot, cause: error });
    }
  }

  async #read(method: string, path: string, body?: string): Promise<unknown> {
    const headers = { "content-type": "application/json" };
    const request = { method, path: `${this.#path}${path}`, headers, body };
    const [machine, deadlineMs] = [this.#machine, this.#deadlineMs];
    return jsonOf(await this.#transport.call({ machine, request, deadlineMs, mayRepeat: () => true }));
  }

  async #open(path: string, signal: AbortSignal) {
    const request = { method: "GET", path: `${this.#path}${path}` };
    const [machine, deadlineMs] = [this.#machine, this.#deadlineMs];
    return streamOf(
      await this.#transport.call({ machine, request, deadlineMs, mayRepeat: () => true, signal }),
    );
  }
}
