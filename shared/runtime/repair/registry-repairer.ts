/**
 * The registry's own tables kept whole: whoever leads the registry watches them by what it asks of them anyway, replaces
 * those that are lost, and finishes what another leader began. It has no registry but itself to limit it (own-tables.ts).
 */
import type { Suspicion } from "../../protocol/pool.ts";
import type { AcceptorId } from "../../protocol/quorum.ts";
import type { Ports } from "../ports.ts";
import type { RegistryService } from "../registry/registry-service.ts";
import type { TableHealth } from "./table-health.ts";

export const CHECK_EVERY_MS = 500;
/** A complaint other than that the table is gone must hold for so many checks in a row. */
export const CHECKS_MIN = 3;
/** What could not be done, or was refused, is tried again after so long. */
const TRY_AGAIN_MS = 5_000;
const SAY_AGAIN_CHECKS = TRY_AGAIN_MS / CHECK_EVERY_MS;

export interface RegistryRepairEvents {
  suspected(acceptor: AcceptorId, why: Suspicion): void;
  notSuspected(acceptor: AcceptorId, why: Suspicion, reason: string): void;
  failed(error: unknown): void;
}

export interface RegistryRepairerOptions {
  readonly service: RegistryService;
  readonly health: Pick<TableHealth, "complaints">;
  readonly ports: Ports;
  /** Called after something was executed. */
  readonly executed: () => void | Promise<void>;
  readonly events: RegistryRepairEvents;
}

export class RegistryRepairer {
  readonly #options: RegistryRepairerOptions;
  /** How many checks in a row each complaint has held. */
  #held: ReadonlyMap<AcceptorId, number> = new Map();
  #cancel = (): void => {};
  #isClosed = false;

  constructor(options: RegistryRepairerOptions) {
    this.#options = options;
  }

  start(): void {
    this.#checkAfter(CHECK_EVERY_MS);
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel();
  }

  /** Whether a complaint has not held for long enough yet. */
  get isUndecided(): boolean {
    return this.#held.size > 0;
  }

  #checkAfter(delayMs: number): void {
    if (this.#isClosed) return;
    this.#cancel = this.#options.ports.after(delayMs, () => {
      void this.check().then(
        () => this.#checkAfter(CHECK_EVERY_MS),
        (error: unknown) => {
          this.#options.events.failed(error);
          this.#checkAfter(TRY_AGAIN_MS);
        },
      );
    });
  }

  /** Once; only where it is led: leading it for this would take it from another process. Leaders ask it all the time. */
  async check(): Promise<void> {
    const { tables, hosted } = this.#options.service;
    if (!hosted.host.serving) return;
    await this.#suspectLost();
    for (const replace of tables.suspected) {
      await tables.reconfigure({ replace });
      await this.#options.executed();
    }
    if (await tables.settle()) await this.#options.executed();
  }

  async #suspectLost(): Promise<void> {
    const { service, health, executed, events } = this.#options;
    const { acceptors } = service.succession.current.configuration.quorums;
    const held = new Map<AcceptorId, number>();
    for (const [acceptor, why] of health.complaints()) {
      if (!acceptors.includes(acceptor) || service.tables.suspected.includes(acceptor)) continue;
      const checks = (this.#held.get(acceptor) ?? 0) + 1;
      held.set(acceptor, checks);
      if (why !== "gone" && checks < CHECKS_MIN) continue;
      const answer = await service.tables.suspect(acceptor, why);
      await executed();
      if (answer.suspected) events.suspected(acceptor, why);
      else {
        events.notSuspected(acceptor, why, answer.reason);
        held.set(acceptor, CHECKS_MIN - SAY_AGAIN_CHECKS);
      }
    }
    this.#held = held;
  }
}
