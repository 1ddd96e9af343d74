/**
 * What ECS is on AWS: a process for each task that is to run. A task that was stopped has its process stopped, once those
 * that came with it are ready; a process that died has its task stopped, and another one is run in its place.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { backoffMs } from "../../shared/backoff.ts";
import type { Service, Task } from "./service.ts";

export interface TaskProcess {
  /** Resolves when it serves; never, when it dies before that. */
  readonly ready: Promise<void>;
  /** Resolves with how it ended. */
  readonly ended: Promise<string>;
  /** Lets it finish; resolves when it is gone. */
  stop(): Promise<void>;
}

export interface TaskRunnerOptions {
  readonly service: Service;
  readonly start: (task: Task) => Promise<TaskProcess>;
  /** AWS does not answer, or a task cannot be started; it is tried again. */
  readonly failed: (error: unknown) => void;
}

const POLL_MS = 300;
/** A process that takes longer than that does not keep the ones in whose place it came. */
const READY_MS_MAX = 30_000;

export class TaskRunner {
  readonly #options: TaskRunnerOptions;
  /** By their tasks' ids. */
  readonly #processes = new Map<string, TaskProcess>();
  /** Died by themselves, and ECS has not heard of it yet; with how. */
  readonly #dead = new Map<Task, string>();
  readonly #over = new AbortController();
  readonly #stopping = new Set<Promise<void>>();
  #following: Promise<void> = Promise.resolve();
  /** In a row; what dies at once is not started again at once. */
  #deaths = 0;

  constructor(options: TaskRunnerOptions) {
    this.#options = options;
  }

  /** Resolves when as many processes serve as are wanted; from then on they are looked after. */
  async start(): Promise<void> {
    const complete = Promise.withResolvers<void>();
    this.#following = this.#follow(complete.resolve);
    await Promise.race([complete.promise, this.#following]);
  }

  async stop(): Promise<void> {
    this.#over.abort();
    await this.#following;
    await Promise.all([...this.#processes.values()].map((each) => each.stop()));
    await Promise.all(this.#stopping);
  }

  async #follow(complete: () => void): Promise<void> {
    while (!this.#over.signal.aborted) {
      try {
        if (await this.#pass()) complete();
      } catch (error) {
        if (!this.#over.signal.aborted) this.#options.failed(error);
      }
      await this.#pause(POLL_MS);
    }
  }

  /** True: all that are wanted serve. */
  async #pass(): Promise<boolean> {
    const { service } = this.#options;
    await this.#reportDead();
    const { running, wanted } = await service.tasks();
    if (running.length < wanted) await service.replaceStopped();
    const fresh = running.filter(({ id }) => !this.#processes.has(id));
    if (fresh.length > 0 && this.#deaths > 0) await this.#pause(backoffMs(this.#deaths, Math.random));
    const ready = await Promise.all(fresh.map((task) => this.#start(task)));
    const isWanted = new Set(running.map(({ id }) => id));
    for (const [id, process] of this.#processes) if (!isWanted.has(id)) this.#stop(id, process);
    return running.length >= wanted && ready.every(Boolean);
  }

  async #reportDead(): Promise<void> {
    for (const [task, how] of this.#dead) {
      await this.#options.service.stopped(task, how);
      this.#dead.delete(task);
      this.#processes.delete(task.id);
    }
  }

  /** True: it serves. */
  async #start(task: Task): Promise<boolean> {
    const process = await this.#options.start(task);
    this.#processes.set(task.id, process);
    void process.ended.then((how) => {
      // Unless it was stopped.
      if (this.#processes.get(task.id) !== process) return;
      this.#deaths++;
      this.#dead.set(task, how);
    });
    const isReady = await Promise.race([
      process.ready.then(() => true),
      process.ended.then(() => false),
      this.#pause(READY_MS_MAX),
    ]);
    if (isReady === true) this.#deaths = 0;
    return isReady === true;
  }

  async #pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#over.signal }).catch(() => {});
  }

  #stop(id: string, process: TaskProcess): void {
    this.#processes.delete(id);
    const stopping = process.stop().finally(() => this.#stopping.delete(stopping));
    this.#stopping.add(stopping);
  }
}
