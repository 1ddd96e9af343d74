/**
 * A client: one operation at a time, repeated (the same pair of session and sequence, the same key, the same
 * nonce) at any process until there is a definite answer. A bare command is sent once and perhaps never
 * heard of again.
 */
import { Unavailable } from "../../shared/errors.ts";
import type { Command, Sequence, SessionId } from "../../shared/protocol/value.ts";
import type { Called } from "./checks/answers.ts";
import type { Heard, Owner } from "./owner.ts";
import type { Process } from "./process.ts";
import type { Scheduled } from "./scheduler.ts";
import type { World } from "./world.ts";

/** Without an answer for so long, it asks again. */
const PATIENCE_MS = 200;
const RETRY_MS_MAX = 30;
/** A copy that lost its way arrives this late. */
const LATE_MS_MAX = 2_000;
const NEVER_OPENED = "0-0" as SessionId;

export class Client {
  readonly name: string;
  /** Operations that got a definite answer. */
  answered = 0;
  readonly #world: World;
  readonly #owner: Owner;
  #session: SessionId | undefined;
  #sequence = 0;
  #current: Called | undefined;
  /** The next time it asks again: one at a time, or every answer would start another chain of repetitions. */
  #nextTry: Scheduled | undefined;
  #isStopped = false;

  constructor(world: World, owner: Owner, name: string) {
    this.#world = world;
    this.#owner = owner;
    this.name = name;
  }

  /** Finishes what is under way and begins nothing new. */
  stop(): void {
    this.#isStopped = true;
  }

  get isIdle(): boolean {
    return this.#current === undefined;
  }

  begin(): void {
    if (this.#isStopped) return;
    const command = this.#world.random.chance(0.25) ? undefined : this.#nextCommand();
    const called: Called = {
      client: this.name,
      call: this.#world.scheduler.now,
      ...(command && { command }),
    };
    this.#current = called;
    this.#world.answers.called(called);
    this.#transmit(called);
  }

  #nextCommand(): Command {
    const { random, coverage, subject } = this.#world;
    const unique = this.#world.unique();
    const command = subject.command(unique, () => random.fraction());
    if (this.#session !== undefined && random.chance(0.05)) {
      coverage.hit("sessionAbandoned");
      this.#session = undefined;
    }
    if (random.chance(0.03)) {
      coverage.hit("sessionUnknown");
      return { session: NEVER_OPENED, sequence: 1 as Sequence, command };
    }
    if (random.chance(0.15)) return { key: `key ${unique}`, command };
    if (random.chance(0.15)) return { command };
    if (this.#session === undefined) return { open: `nonce ${unique}` };
    return { session: this.#session, sequence: ++this.#sequence as Sequence, command };
  }

  #transmit(called: Called): void {
    if (this.#current !== called) return;
    const { random, coverage, scheduler } = this.#world;
    const { rates } = this.#world;
    this.#send(called, this.#someProcess());
    if (isRepeatable(called) && random.chance(rates.clientTwoProcesses)) {
      coverage.hit("clientTwoProcesses");
      this.#send(called, this.#someProcess());
    }
    if (isRepeatable(called) && random.chance(rates.clientDuplicate)) {
      coverage.hit("clientDuplicate");
      const place = random.below(this.#world.processes.length);
      scheduler.after(random.between(PATIENCE_MS, LATE_MS_MAX), () => this.#send(called, place));
    }
    this.#tryAfter(PATIENCE_MS, () => (isRepeatable(called) ? this.#transmit(called) : this.#finish()));
  }

  #tryAfter(delayMs: number, what: () => void): void {
    if (this.#nextTry !== undefined) this.#nextTry.cancelled = true;
    this.#nextTry = this.#world.scheduler.after(delayMs, what);
  }

  /** A place: who is in it when the message arrives gets it. Mostly that of the leader. */
  #someProcess(): number {
    const { random, processes } = this.#world;
    const leads = ({ host, isAlive }: Process): boolean => isAlive && host.serving;
    const leaders = processes.flatMap((process, place) => (leads(process) ? [place] : []));
    return leaders.length > 0 && random.chance(0.7) ? random.pick(leaders) : random.below(processes.length);
  }

  #send(called: Called, place: number): void {
    const { random, coverage } = this.#world;
    if (random.chance(this.#world.rates.clientRequestLost)) return coverage.hit("clientRequestLost");
    this.#world.post(() => {
      this.#owner.ask(this.#world.processes[place] as Process, called.command, (heard) => {
        if (random.chance(this.#world.rates.clientReplyLost)) return coverage.hit("clientReplyLost");
        this.#world.post(() => this.#hear(called, heard));
      });
    });
  }

  #hear(called: Called, heard: Heard): void {
    if (this.#current !== called) return;
    if ("error" in heard) {
      const neverExecuted = heard.error instanceof Unavailable;
      if (!neverExecuted && !isRepeatable(called)) return this.#finish();
      return this.#tryAfter(this.#world.random.between(1, RETRY_MS_MAX), () => this.#transmit(called));
    }
    called.return = this.#world.scheduler.now;
    if ("asOf" in heard) called.read = heard;
    else this.#noteReply(called, heard.reply);
    this.answered++;
    this.#finish();
  }

  #noteReply(called: Called, reply: NonNullable<Called["answer"]>): void {
    called.answer = reply;
    if (reply.reply === "opened") {
      this.#session = reply.session;
      this.#sequence = 0;
    }
    if (reply.reply === "unknownSession") this.#session = undefined;
  }

  #finish(): void {
    this.#current = undefined;
    const { random, options } = this.#world;
    this.#tryAfter(2 * options.thinkMs * random.fraction(), () => this.begin());
  }
}

/** A bare command that is sent twice may be executed twice, and a read that is repeated may be answered twice. */
function isRepeatable({ command }: Called): boolean {
  return command === undefined || "open" in command || "session" in command || "key" in command;
}
