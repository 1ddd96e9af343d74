/**
 * Finding lost tables and putting others in their place, without a person: complaints of this process become
 * suspicions of the registry, which limits them and names one spare for each; then each machine on the suspect is
 * reconfigured by whoever leads it, or should. Everything may be repeated, by any process, at any time.
 */
import { Refused } from "../../errors.ts";
import type { MachineId } from "../../protocol/configuration.ts";
import type { AcceptorId } from "../../protocol/quorum.ts";
import type { AcceptorServer } from "../../protocol/registry.ts";
import type { Fleet } from "../fleet/fleet.ts";
import { Turns } from "../fleet/turns.ts";
import type { Ports } from "../ports.ts";
import type { RegistryClient } from "../registry/registry-client.ts";
import type { StorePool } from "../store-pool.ts";
import type { Complaint, TableHealth } from "./table-health.ts";

const CHECK_EVERY_MS = 250;
/** A complaint other than that the table is gone must hold for so many checks in a row. */
const CHECKS_MIN = 4;
/** What the registry refused, or could not answer, is said again after so long. */
const SAY_AGAIN_MS = 5_000;
/** A pass over the machines of a suspect that left some: others do theirs, and a spare may be on its way. */
const PASS_AGAIN_MS = 500;
/** Machines at once: each copies its log, and those in use come first. */
const REPAIRS_MAX = 4;
const TURN_MS_MAX = 2_000;

export interface RepairEvents {
  suspected(acceptor: AcceptorId, why: Complaint): void;
  notSuspected(acceptor: AcceptorId, why: Complaint, reason: string): void;
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

export class Repairer {
  readonly #options: RepairerOptions;
  readonly #turns: Turns;
  /** How many checks in a row each complaint has held. */
  readonly #held = new Map<AcceptorId, { readonly why: Complaint; readonly checks: number }>();
  /** Said to the registry; not said again before this time. */
  readonly #saidUntilMs = new Map<AcceptorId, number>();
  #isPassing = false;
  #isClosed = false;

  constructor(options: RepairerOptions) {
    this.#options = options;
    this.#turns = new Turns(REPAIRS_MAX, TURN_MS_MAX, options.ports);
  }

  /** A process that starts may find suspects whose machines are its to repair. */
  start(): void {
    this.#options.fleet.peers.on("suspects", () => this.#pass());
    this.#check();
    this.#pass();
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

  #complain(acceptor: AcceptorId, why: Complaint): void {
    const before = this.#held.get(acceptor);
    const checks = before?.why === why ? before.checks + 1 : 1;
    this.#held.set(acceptor, { why, checks });
    const now = this.#options.ports.elapsed();
    if ((why !== "gone" && checks < CHECKS_MIN) || now < (this.#saidUntilMs.get(acceptor) ?? 0)) return;
    this.#saidUntilMs.set(acceptor, now + SAY_AGAIN_MS);
    void this.#suspect(acceptor, why);
  }

  async #suspect(acceptor: AcceptorId, why: Complaint): Promise<void> {
    const { registry, fleet, events } = this.#options;
    try {
      await registry.command({ type: "suspectAcceptor", acceptor, by: fleet.self.id, why });
      events.suspected(acceptor, why);
      fleet.peers.tell({ type: "suspects" });
      this.#pass();
    } catch (error) {
      // Refused: too many at once, or it is nobody's any more; else the registry does not answer. Either may change.
      if (error instanceof Refused) events.notSuspected(acceptor, why, error.message);
    }
  }

  /** Pass after pass, until no machine is left on a suspect that is this process's to repair. */
  #pass(): void {
    if (this.#isPassing || this.#isClosed) return;
    this.#isPassing = true;
    const { ports } = this.#options;
    void this.#repairAll()
      .catch(() => true)
      .then((isMoreToDo) => {
        this.#isPassing = false;
        if (isMoreToDo) ports.after(PASS_AGAIN_MS, () => this.#pass());
      });
  }

  /** Whether machines are left on suspects. */
  async #repairAll(): Promise<boolean> {
    const { registry, stores } = this.#options;
    const { acceptors } = await registry.servers();
    stores.learn(acceptors.filter(({ state }) => state !== "retired"));
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

  async #repairMachines(
    machines: readonly MachineId[],
    suspect: AcceptorId,
    by: AcceptorServer,
  ): Promise<void> {
    const { fleet } = this.#options;
    const mine = machines.filter((machine) => fleet.knows(machine) && fleet.isMine(machine));
    await Promise.all(
      mine.map((machine) =>
        this.#turns.run(fleet.member(machine), () => this.#repair(machine, suspect, by)),
      ),
    );
  }

  async #repair(machine: MachineId, suspect: AcceptorId, by: AcceptorServer): Promise<void> {
    const { fleet, events } = this.#options;
    try {
      await fleet.replaceTable(machine, suspect, by);
    } catch (error) {
      events.notRepaired(machine, suspect, error);
    }
  }
}
