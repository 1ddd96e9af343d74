/**
 * Finding lost tables and putting others in their place, without a person: complaints of this process become
 * suspicions of the registry, which limits them and names one spare for each; then each machine on the suspect is
 * reconfigured by whoever leads it, or should. Everything may be repeated, by any process, at any time.
 */
import { Refused } from "../../errors.ts";
import type { MachineId } from "../../protocol/configuration.ts";
import type { AcceptorRecord, SuspectAnswer, Suspicion } from "../../protocol/pool.ts";
import type { AcceptorId } from "../../protocol/quorum.ts";
import type { AcceptorServer } from "../../protocol/registry.ts";
import type { Fleet } from "../fleet/fleet.ts";
import { Turns } from "../fleet/turns.ts";
import type { Ports } from "../ports.ts";
import type { RegistryClient } from "../registry/registry-client.ts";
import type { StorePool } from "../store-pool.ts";
import type { TableHealth } from "./table-health.ts";

const CHECK_EVERY_MS = 250;
/** A complaint other than that the table is gone must hold for so many checks in a row. */
const CHECKS_MIN = 4;
/** What the registry refused, or could not answer, is said again after so long; each time it fills its log. */
const SAY_AGAIN_MS = 5_000;
const SAY_AGAIN_MS_MAX = 300_000;
/** A pass over the machines of a suspect that left some: others do theirs, and a spare may be on its way. */
const PASS_AGAIN_MS = 500;
const PASS_AGAIN_MS_MAX = 5_000;
/** A machine that could not be repaired waits longer each time: each try is a proposal in the registry's log. */
const REPAIR_AGAIN_MS = 500;
const REPAIR_AGAIN_MS_MAX = 600_000;
/** A machine that waits for so long: nobody will endorse it. */
const CLEAR_AFTER_MS = 60_000;
/** Machines at once: each copies its log, and those in use come first. */
const REPAIRS_MAX = 4;
const TURN_MS_MAX = 2_000;

export interface RepairEvents {
  suspected(acceptor: AcceptorId, why: Suspicion): void;
  notSuspected(acceptor: AcceptorId, why: Suspicion, reason: string): void;
  notRepaired(machine: MachineId, acceptor: AcceptorId, error: unknown): void;
}

export interface RepairerOptions {
  readonly fleet: Fleet;
  readonly health: TableHealth;
  readonly registry: RegistryClient;
  readonly stores: StorePool;
  readonly ports: Ports;
  readonly events: RepairEvents;
}

interface Failure {
  readonly suspect: AcceptorId;
  readonly by: AcceptorId;
  readonly waitMs: number;
  readonly againAtMs: number;
}

export class Repairer {
  readonly #options: RepairerOptions;
  readonly #turns: Turns;
  /** How many checks in a row each complaint has held. */
  readonly #held = new Map<AcceptorId, { readonly why: Suspicion; readonly checks: number }>();
  /** When the registry is told again; what it has taken up is not said twice. */
  readonly #sayAgainAtMs = new Map<AcceptorId, number>();
  /** What the registry refused so often. */
  readonly #refusals = new Map<AcceptorId, number>();
  readonly #failures = new Map<MachineId, Failure>();
  /** In this pass. */
  readonly #cleared = new Set<AcceptorId>();
  #passAgainMs = PASS_AGAIN_MS;
  #cancelPass = (): void => {};
  #isPassing = false;
  #isClosed = false;

  constructor(options: RepairerOptions) {
    this.#options = options;
    this.#turns = new Turns(REPAIRS_MAX, TURN_MS_MAX, options.ports);
  }

  /** A process that starts may find suspects whose machines are its to repair. */
  start(): void {
    this.#options.fleet.peers.on("suspects", () => this.#passSoon());
    this.#check();
    this.pass();
  }

  close(): void {
    this.#isClosed = true;
  }

  #check(): void {
    if (this.#isClosed) return;
    const complaints = this.#options.health.complaints();
    for (const acceptor of this.#held.keys()) if (!complaints.has(acceptor)) this.#held.delete(acceptor);
    for (const [acceptor, why] of complaints) this.#complain(acceptor, why);
    this.#options.ports.after(CHECK_EVERY_MS, () => this.#check());
  }

  #complain(acceptor: AcceptorId, why: Suspicion): void {
    const before = this.#held.get(acceptor);
    const checks = before?.why === why ? before.checks + 1 : 1;
    this.#held.set(acceptor, { why, checks });
    // Whatever was said of it before, that is news.
    if (why === "gone" && checks === 1) this.#sayAgainAtMs.delete(acceptor);
    const now = this.#options.ports.elapsed();
    if ((why !== "gone" && checks < CHECKS_MIN) || now < (this.#sayAgainAtMs.get(acceptor) ?? 0)) return;
    this.#sayAgainAtMs.set(acceptor, Number.POSITIVE_INFINITY);
    void this.#suspect(acceptor, why).then((isTakenUp) => {
      if (isTakenUp) return;
      const refusals = this.#refusals.get(acceptor) ?? 0;
      this.#refusals.set(acceptor, refusals + 1);
      const waitMs = Math.min(SAY_AGAIN_MS_MAX, SAY_AGAIN_MS * 2 ** refusals);
      this.#sayAgainAtMs.set(acceptor, this.#options.ports.elapsed() + waitMs);
    });
  }

  /** Whether the registry has taken it up; it may say "not now", or not answer. */
  async #suspect(acceptor: AcceptorId, why: Suspicion): Promise<boolean> {
    const { registry, fleet, events } = this.#options;
    try {
      const command = { type: "suspectAcceptor", acceptor, by: fleet.self.id, why } as const;
      const answer = (await registry.command(command)) as SuspectAnswer;
      if (answer.suspected) {
        events.suspected(acceptor, why);
        fleet.peers.tell({ type: "suspects" });
        this.#passSoon();
      } else events.notSuspected(acceptor, why, answer.reason);
      return answer.suspected;
    } catch (error) {
      // One that it does not know is nobody's.
      return error instanceof Refused;
    }
  }

  /** There is news. */
  #passSoon(): void {
    this.#passAgainMs = PASS_AGAIN_MS;
    this.pass();
  }

  /** Pass after pass, until no machine is left on a suspect that is this process's to repair. */
  pass(): void {
    if (this.#isPassing || this.#isClosed) return;
    this.#isPassing = true;
    this.#cancelPass();
    const { ports } = this.#options;
    void this.#repairAll()
      // The registry does not answer: it is asked again.
      .catch(() => true)
      .then((isMoreToDo) => {
        this.#isPassing = false;
        if (!isMoreToDo) return;
        this.#cancelPass = ports.after(this.#passAgainMs, () => this.pass());
        this.#passAgainMs = Math.min(PASS_AGAIN_MS_MAX, 2 * this.#passAgainMs);
      });
  }

  /** Whether machines are left on suspects. */
  async #repairAll(): Promise<boolean> {
    const { fleet, registry, stores } = this.#options;
    const { acceptors } = await registry.servers();
    stores.learn(acceptors.filter(({ state }) => state !== "retired"));
    const suspects = acceptors.flatMap(({ id, state }) => (state === "suspected" ? [id] : []));
    fleet.suspectsAre(new Set(suspects));
    this.#cleared.clear();
    this.#noteCleared(acceptors);
    let isMoreToDo = false;
    for (const { id, state, replacement } of acceptors) {
      if (state !== "suspected") continue;
      const machines = await registry.machinesOn(id);
      isMoreToDo ||= machines.length > 0;
      const by = acceptors.find((each) => each.id === replacement);
      if (by !== undefined) await this.#repairMachines(machines, id, by);
    }
    return isMoreToDo;
  }

  /** What was taken up and then cleared by others may be said again, if it still holds, after a good while. */
  #noteCleared(acceptors: readonly AcceptorRecord[]): void {
    const againAtMs = this.#options.ports.elapsed() + SAY_AGAIN_MS_MAX;
    for (const { id, state } of acceptors)
      if (state === "active" && this.#sayAgainAtMs.get(id) === Number.POSITIVE_INFINITY)
        this.#sayAgainAtMs.set(id, againAtMs);
  }

  async #repairMachines(
    machines: readonly MachineId[],
    suspect: AcceptorId,
    by: AcceptorServer,
  ): Promise<void> {
    const { fleet } = this.#options;
    const mine = machines.filter((machine) => fleet.knows(machine) && fleet.isMine(machine));
    await Promise.all(
      mine.map((machine) => this.#turns.run(fleet.member(machine), () => this.#repair(machine, suspect, by))),
    );
  }

  async #repair(machine: MachineId, suspect: AcceptorId, by: AcceptorServer): Promise<void> {
    const { fleet, events, ports } = this.#options;
    const before = this.#failures.get(machine);
    const isAgain = before?.suspect === suspect && before.by === by.id;
    if (this.#cleared.has(suspect) || (isAgain && ports.elapsed() < before.againAtMs)) return;
    try {
      await fleet.replaceTable(machine, suspect, by);
      this.#failures.delete(machine);
    } catch (error) {
      events.notRepaired(machine, suspect, error);
      const waitMs = isAgain ? Math.min(REPAIR_AGAIN_MS_MAX, 2 * before.waitMs) : REPAIR_AGAIN_MS;
      this.#failures.set(machine, { suspect, by: by.id, waitMs, againAtMs: ports.elapsed() + waitMs });
      const isEndorsed = !(error instanceof Refused && error.code === "not_endorsed");
      if (!isEndorsed && waitMs >= CLEAR_AFTER_MS) await this.#clear(suspect);
    }
  }

  /** Nobody endorses that it goes, and it is not this process that suspects it. */
  async #clear(acceptor: AcceptorId): Promise<void> {
    const { fleet, health, registry } = this.#options;
    if (health.complaints().has(acceptor)) return;
    this.#cleared.add(acceptor);
    await registry.command({ type: "clearAcceptor", acceptor, by: fleet.self.id }).catch(() => undefined);
    fleet.peers.tell({ type: "suspects" });
  }
}
