/**
 * What a process that serves the registry does of itself, in one pass, for a function, which does nothing but when it is
 * asked: its own tables are looked after, and its log is trimmed. Nothing of it goes on after the pass.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { HEAD } from "../../protocol/acceptor.ts";
import type { Ports } from "../ports.ts";
import { CHECK_EVERY_MS, CHECKS_MIN, type RegistryRepairer } from "../repair/registry-repairer.ts";
import { Pace } from "../snapshots/pace.ts";
import type { SnapshotEvents } from "../snapshots/snapshots.ts";
import { takeSnapshot } from "../snapshots/take-snapshot.ts";
import { REGISTRY, type RegistryService, registryHost } from "./registry-service.ts";

/** Longer than a table takes to count as silent beside one that answers. */
const ANSWER_MS_MAX = 3_500;
/** The registry's state is small. What takes longer is given up, and tried with the next pass but a few. */
const SNAPSHOT_MS_MAX = 20_000;

export interface MaintenanceOptions {
  readonly service: RegistryService;
  readonly ports: Ports;
  readonly repairer: Pick<RegistryRepairer, "check" | "isUndecided">;
  /** A snapshot after so many (snapshots/pace.ts). */
  readonly slots: number;
  readonly events: SnapshotEvents;
}

export class Maintenance {
  readonly #options: MaintenanceOptions;
  readonly #pace: Pace;

  constructor(options: MaintenanceOptions) {
    this.#options = options;
    this.#pace = new Pace(options.slots);
    options.service.hosted.on("executed", (_, text) => this.#pace.executed(text.length));
  }

  /** @throws Unavailable when the registry cannot be led; said again, it does what this pass did not. */
  async pass(): Promise<void> {
    const { service } = this.#options;
    await service.read(() => {});
    await service.tables.record();
    await this.#repair();
    await this.#trim();
  }

  /** A complaint other than that a table is gone has to hold, as it has where checks go on all the time. */
  async #repair(): Promise<void> {
    const { repairer } = this.#options;
    for (let check = 1; check <= CHECKS_MIN; check++) {
      await this.#probe();
      await repairer.check();
      if (!repairer.isUndecided) return;
      await sleep(CHECK_EVERY_MS);
    }
  }

  /** Nobody asked them while the function was frozen, and what was owed since before then says nothing. */
  async #probe(): Promise<void> {
    const { service, ports } = this.#options;
    const { acceptors } = service.succession.current.configuration.quorums;
    const answers = acceptors.map(
      (acceptor) =>
        new Promise<void>((resolve) =>
          ports.ask(acceptor, REGISTRY, [{ verb: "read", key: HEAD }], () => resolve()),
        ),
    );
    const late = new AbortController();
    await Promise.race([
      Promise.all(answers),
      sleep(ANSWER_MS_MAX, undefined, { signal: late.signal }).catch(() => {}),
    ]);
    late.abort();
  }

  async #trim(): Promise<void> {
    const { service, events } = this.#options;
    const { host, machine } = service.hosted;
    const { configuration, replica, truncatedHead } = host;
    if (truncatedHead !== undefined) this.#pace.noteHead(truncatedHead);
    if (!host.serving || configuration === undefined || !this.#pace.isDue(replica.applied)) return;
    events.begun(machine);
    const ports = ending(this.#options.ports, SNAPSHOT_MS_MAX);
    try {
      const first = service.first;
      const taking = takeSnapshot({ ...registryHost(first), ports }, configuration);
      const taken = await Promise.race([taking, ports.ended]);
      this.#pace.noteHead({ snapshotSlot: taken.slot, snapshot: taken.snapshot });
      events.taken(machine, taken);
    } catch (error) {
      this.#pace.failed(replica.applied);
      events.failed(machine, error);
    } finally {
      ports.end();
    }
  }
}

interface EndingPorts extends Ports {
  /** Rejects when the time is over. */
  readonly ended: Promise<never>;
  end(): void;
}

/** Ports for one piece of work: once that is over, or its time is, they carry nothing more. */
function ending(ports: Ports, msMax: number): EndingPorts {
  let isOver = false;
  const cancels = new Set<() => void>();
  const { promise: ended, reject } = Promise.withResolvers<never>();
  const end = (): void => {
    isOver = true;
    for (const cancel of cancels) cancel();
  };
  cancels.add(
    ports.after(msMax, () => {
      end();
      reject(new Error(`not done in ${msMax / 1_000} s`));
    }),
  );
  return {
    ...ports,
    ended,
    end,
    ask(acceptor, machine, verbs, done) {
      if (!isOver) ports.ask(acceptor, machine, verbs, (outcomes) => !isOver && done(outcomes));
    },
    after(delayMs, call) {
      if (isOver) return () => {};
      const cancel = ports.after(delayMs, () => {
        cancels.delete(cancel);
        call();
      });
      cancels.add(cancel);
      return cancel;
    },
  };
}
