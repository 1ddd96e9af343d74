/**
 * A hosted machine: `Host` with promises, for callers that wait. Gets it to lead when asked to, and tells
 * whoever listens what was executed.
 */
import { EventEmitter } from "node:events";
import { type TheseusError, Unavailable } from "../errors.ts";
import type { Ballot } from "../protocol/ballot.ts";
import type { Configuration } from "../protocol/configuration.ts";
import type { Progress } from "../protocol/copying.ts";
import type { HandoverFailure } from "../protocol/handover.ts";
import type { Abdication } from "../protocol/leader.ts";
import type { AcceptorId } from "../protocol/quorum.ts";
import type { Reply } from "../protocol/session.ts";
import type { Slot } from "../protocol/slot.ts";
import type { Command } from "../protocol/value.ts";
import { Host } from "./host.ts";
import type { HostOptions } from "./host-options.ts";

/** Well inside the time that a container has between SIGTERM and SIGKILL. */
const HAND_OVER_MS_MAX = 3_000;

/** Without any progress of a reconfiguration: a new table that hangs must not keep another one from taking its place. */
const STALLED_MS_MAX = 30_000;

/** `executed`: a slot was chosen and executed here; `installed`: a snapshot stands for all slots up to this one. The others are what the process reports. */
export interface HostedEvents {
  serving: [ballot: Ballot];
  abdicated: [abdication: Abdication, ballot: Ballot];
  lost: [acceptor: AcceptorId];
  executed: [slot: Slot, text: string];
  epochInstalled: [configuration: Configuration];
  installed: [slot: Slot];
}

export class Hosted extends EventEmitter<HostedEvents> {
  readonly host: Host;
  readonly machine: HostOptions["machine"];
  #progress: ReadonlyMap<AcceptorId, Progress> | undefined;

  constructor(options: Omit<HostOptions, "events">) {
    super();
    this.setMaxListeners(0);
    this.machine = options.machine;
    this.host = new Host({
      ...options,
      events: {
        serving: (ballot) => this.emit("serving", ballot),
        abdicated: (abdication, ballot) => this.emit("abdicated", abdication, ballot),
        lost: (acceptor) => this.emit("lost", acceptor),
        executed: (slot, text) => this.emit("executed", slot, text),
        epochInstalled: (configuration) => this.emit("epochInstalled", configuration),
        installed: (slot) => this.emit("installed", slot),
      },
    });
  }

  /** Leads `configuration`, in one try. @throws Unavailable when it was beaten or takes longer than `deadlineMs`. */
  lead(configuration: Configuration, deadlineMs: number): Promise<void> {
    if (this.host.serving) return Promise.resolve();
    if (this.host.broken !== undefined) return Promise.reject(brokenHere(this.machine, this.host.broken));
    if (this.host.reconfiguring) return Promise.reject(beingReconfigured(this.machine));
    return new Promise((resolve, reject) => {
      const settle = (error?: TheseusError): void => {
        clearTimeout(timer);
        this.off("serving", onServing);
        this.off("abdicated", onAbdicated);
        if (error === undefined) resolve();
        else reject(error);
      };
      const onServing = (): void => settle();
      const onAbdicated = (abdication: Abdication): void => settle(notElected(this.machine, abdication));
      const timer = setTimeout(() => {
        settle(new Unavailable("unavailable", `too few acceptors of ${this.machine} answer: try later`));
        this.host.resign();
      }, deadlineMs);
      this.once("serving", onServing);
      this.once("abdicated", onAbdicated);
      this.host.lead(configuration);
    });
  }

  /** One reply or error for each command, in order. */
  send(commands: readonly Command[]): Promise<readonly (Reply | TheseusError)[]> {
    return new Promise((resolve) => {
      const results: (Reply | TheseusError)[] = [];
      let missing = commands.length;
      this.host.submit(commands, (index, result) => {
        results[index] = result;
        if (--missing === 0) resolve(results);
      });
    });
  }

  /** Learns what the tables cover; a table that does not answer is passed over. */
  catchUp(configuration: Configuration): Promise<boolean> {
    return new Promise((resolve) => this.host.catchUp(configuration, resolve));
  }

  /** Resolves once the replica's state is the newest there is, with its slot. */
  read(): Promise<Slot> {
    return new Promise((resolve, reject) => {
      this.host.read((result) => {
        if (typeof result === "number") resolve(result);
        else reject(result);
      });
    });
  }

  /** Of a reconfiguration that is under way here: what was heard of each new table last. */
  get progress(): ReadonlyMap<AcceptorId, Progress> | undefined {
    return this.#progress;
  }

  /** Up to where the registry may activate `to`. @throws Unavailable, saying why it could not be done. */
  reconfigure(from: Configuration, to: Configuration): Promise<void> {
    const progress = new Map<AcceptorId, Progress>();
    this.#progress = progress;
    return new Promise<void>((resolve, reject) => {
      const done = (failure?: HandoverFailure): void => {
        clearTimeout(timer);
        this.off("executed", onLearned);
        this.off("installed", onLearned);
        if (failure === undefined) resolve();
        else reject(notReconfigured(this.machine, failure));
      };
      let giveUp: (() => void) | undefined;
      const timer = setTimeout(() => giveUp?.(), STALLED_MS_MAX);
      // From the fence on whatever is executed here is what the old tables still have to teach.
      const onLearned = (): void => {
        if (this.host.reconfiguring) timer.refresh();
      };
      this.on("executed", onLearned);
      this.on("installed", onLearned);
      giveUp = this.host.reconfigure(from, to, done, (of) => {
        progress.set(of.acceptor, of);
        timer.refresh();
      });
    }).finally(() => {
      this.#progress = undefined;
    });
  }

  /** Stops leading once what is under way has finished; after HAND_OVER_MS_MAX its outcome is left unknown. */
  handOver(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.host.resign(), HAND_OVER_MS_MAX);
      this.host.handOver(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}

function notElected(machine: string, abdication: Abdication): Unavailable {
  switch (abdication.why) {
    case "fenced":
      return new Unavailable("not_leader", `another process leads ${machine}: ask it`);
    case "noQuorum":
      return new Unavailable(
        "unavailable",
        `${machine} has lost too many acceptors (${abdication.lost.join(", ")}): replace them`,
      );
    case "damaged":
      return new Unavailable(
        "unavailable",
        `${abdication.acceptor} is damaged (${abdication.detail}): try again`,
      );
    case "alarm":
      return brokenHere(machine, `invariant ${abdication.alarm.invariant}: ${abdication.alarm.detail}`);
    case "broken":
      return brokenHere(machine, abdication.detail);
    case "moved":
    case "overtaken":
    case "stopped":
      return new Unavailable("not_leader", `this process no longer leads ${machine}: try again`);
  }
}

function notReconfigured(machine: string, failure: HandoverFailure): Unavailable {
  if (failure.why === "nothingToCopyFrom")
    return new Unavailable("unavailable", `${machine} was not reconfigured: no table of it can be read`);
  if (failure.why === "givenUp")
    return new Unavailable("unavailable", `${machine} was not reconfigured: a table of it does not answer`);
  const { message } = notElected(machine, failure);
  return new Unavailable("unavailable", `${machine} was not reconfigured: ${message}`);
}

function beingReconfigured(machine: string): Unavailable {
  return new Unavailable("unavailable", `${machine} is being reconfigured: try again`);
}

function brokenHere(machine: string, why: string): Unavailable {
  return new Unavailable(
    "unavailable",
    `${machine} is stopped in this process, since it cannot go on rightly: ${why}`,
  );
}
