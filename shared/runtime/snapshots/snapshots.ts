/**
 * The snapshots of the machines that a process leads: taken when they are due, one at a time, that of the machine
 * used most recently first, and each by a thread of its own (PROTOCOL §5). A process that crashes meanwhile, or is
 * deposed, leaves nothing that the next one has to know: it looks at the tables' Heads.
 */
import type { MachineId } from "../../protocol/configuration.ts";
import type { AcceptorServer } from "../../protocol/registry.ts";
import type { Slot } from "../../protocol/slot.ts";
import { Turns } from "../fleet/turns.ts";
import type { Hosted } from "../hosted.ts";
import type { Ports } from "../ports.ts";
import { Pace } from "./pace.ts";
import type { SnapshotOrder } from "./snapshot.worker.ts";
import type { Taken } from "./take-snapshot.ts";

/** Longer than any snapshot takes that is not given up: there is only ever one of these threads in a process. */
const TURN_MS_MAX = 24 * 60 * 60 * 1_000;

/** A machine of this process. */
export interface Subject {
  readonly usedAt: number;
  /** Where its tables are, as far as is known. */
  tables(): readonly AcceptorServer[];
}

export interface SnapshotEvents {
  begun(machine: MachineId): void;
  taken(machine: MachineId, taken: Taken): void;
  failed(machine: MachineId, error: unknown): void;
}

export interface SnapshotsOptions {
  /** After how many slots (pace.ts). */
  readonly slots: number;
  readonly source: SnapshotOrder["source"];
  readonly take: (order: SnapshotOrder, signal: AbortSignal) => Promise<Taken>;
  readonly ports: Ports;
  readonly events: SnapshotEvents;
}

interface Watched {
  readonly subject: Subject;
  readonly hosted: Hosted;
  readonly pace: Pace;
  /** Waits for its turn, or has it. */
  isBusy: boolean;
}

export class Snapshots {
  readonly #options: SnapshotsOptions;
  readonly #turns: Turns;
  readonly #closing = new AbortController();
  #running: Promise<void> | undefined;

  constructor(options: SnapshotsOptions) {
    this.#options = options;
    this.#turns = new Turns(1, TURN_MS_MAX, options.ports);
  }

  /** From now on snapshots are taken of it while this process leads it. */
  watch(subject: Subject, hosted: Hosted): void {
    const watched: Watched = { subject, hosted, pace: new Pace(this.#options.slots), isBusy: false };
    hosted.on("executed", (slot, text) => {
      watched.pace.executed(text.length);
      if (!watched.isBusy && this.#isDue(watched, slot)) this.#takeInTurn(watched);
    });
  }

  /** Resolves when no thread is left. */
  async close(): Promise<void> {
    this.#closing.abort(new Error("the process is stopping"));
    await this.#running;
  }

  #isDue({ hosted, pace }: Watched, applied: Slot): boolean {
    if (!hosted.host.serving) return false;
    const head = hosted.host.truncatedHead;
    if (head !== undefined) pace.noteHead(head);
    return pace.isDue(applied);
  }

  #takeInTurn(watched: Watched): void {
    watched.isBusy = true;
    void this.#turns.run(watched.subject, async () => {
      this.#running = this.#take(watched);
      await this.#running;
      watched.isBusy = false;
    });
  }

  /** While it waited, it may have been deposed, or another process may have done it. */
  async #take(watched: Watched): Promise<void> {
    const { subject, hosted, pace } = watched;
    const { machine, host } = hosted;
    const { applied } = host.replica;
    const { configuration } = host;
    const { take, source, events } = this.#options;
    const signal = this.#closing.signal;
    if (signal.aborted || configuration === undefined || !this.#isDue(watched, applied)) return;
    events.begun(machine);
    try {
      const taken = await take({ machine, source, configuration, acceptors: subject.tables() }, signal);
      pace.noteHead({ snapshotSlot: taken.slot, snapshot: taken.snapshot });
      events.taken(machine, taken);
    } catch (error) {
      pace.failed(host.replica.applied);
      if (!signal.aborted) events.failed(machine, error);
    }
  }
}
