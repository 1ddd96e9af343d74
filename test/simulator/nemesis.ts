/**
 * Causes what happens to whole processes and tables: at random times, within what the configuration is meant
 * to survive.
 */
import type { Configured } from "./checks/tables.ts";
import type { Owner } from "./owner.ts";
import type { Process } from "./process.ts";
import type { Table } from "./table.ts";
import type { World } from "./world.ts";

const VISIT_MS_MAX = 40;
const PAUSE_MS_MAX = 800;
const TABLE_TROUBLE_MS_MAX = 400;
const SLOWNESS_MAX = 20;
const HOUR_MS = 3_600_000;
/** A crash in the middle of a step comes within so many effects. */
const EFFECTS_MAX = 30;

export class Nemesis {
  readonly #world: World;
  readonly #owner: Owner;

  constructor(world: World, owner: Owner) {
    this.#world = world;
    this.#owner = owner;
  }

  start(): void {
    this.#world.scheduler.after(this.#world.random.between(0, VISIT_MS_MAX), () => {
      if (this.#world.isHealed) return;
      this.#visit();
      this.start();
    });
  }

  /** Faults are over: what stands still goes on, and the tables that are left are well. */
  heal(): void {
    this.#world.isHealed = true;
    for (const table of this.#world.tables) {
      table.slowness = 1;
      table.link = "both";
    }
    for (const process of this.#world.processes) this.#resume(process);
  }

  #visit(): void {
    const { random, rates, processes, verticalRates } = this.#world;
    const process = random.pick(processes);
    const table = random.pick(this.#liveTables());
    this.#troubleProcess(process);
    this.#troubleTable(table);
    if (random.chance(rates.tableLost)) this.#lose(table);
    if (random.chance(rates.tableRecreated)) this.#recreate(table);
    if (random.chance(verticalRates.reconfigure)) this.#owner.reconfigure(random.pick(processes));
    if (random.chance(verticalRates.retire)) this.#provision();
  }

  /** Tables of the active configuration, and of those that may replace it. */
  #liveTables(): readonly Table[] {
    const ids = new Set(this.#world.registrar.live.flatMap(({ quorums }) => quorums.acceptors));
    return this.#world.tables.filter(({ id }) => ids.has(id));
  }

  #provision(): void {
    if (this.#world.options.vertical === undefined) this.#retire();
    else this.#world.provisioner.visit();
  }

  /** Deletes a table that only older configurations have (PROTOCOL §8, invariant 11). */
  #retire(): void {
    const { random, registrar, tables, coverage } = this.#world;
    const ids = registrar.retired;
    const retired = tables.filter((table) => ids.has(table.id) && !table.isLost);
    if (retired.length === 0) return;
    coverage.hit("retired");
    this.#delete(random.pick(retired));
  }

  #troubleProcess(process: Process): void {
    const { random, rates, coverage } = this.#world;
    if (random.chance(rates.lead)) this.#owner.tryToLead(process);
    if (random.chance(rates.crashMidStep)) {
      coverage.hit("crashMidStep");
      process.endAfter(random.below(EFFECTS_MAX));
    }
    if (random.chance(rates.crash)) {
      coverage.hit("crash");
      process.end();
    }
    if (random.chance(rates.pause)) this.#pause(process);
    if (random.chance(rates.clockJump)) {
      coverage.hit("clockJump");
      process.clockOffsetMs = random.between(-HOUR_MS, HOUR_MS);
    }
    if (!process.host.serving) return;
    if (random.chance(rates.resign)) {
      coverage.hit("resign");
      process.enter(() => process.host.resign());
    }
    if (random.chance(rates.handOver)) {
      coverage.hit("handOver");
      process.enter(() => process.host.handOver(() => {}));
    }
  }

  #pause(process: Process): void {
    const { random, scheduler, coverage, options } = this.#world;
    if (process.isPaused) return;
    coverage.hit("pause");
    if (process.host.leading) coverage.hit(options.subject === "registry" ? "frozenHandler" : "pausedLeader");
    this.#world.trace(() => `${process.name} stands still`);
    process.pause();
    scheduler.after(random.between(5, PAUSE_MS_MAX), () => this.#resume(process));
  }

  #resume(process: Process): void {
    if (!process.isPaused) return;
    this.#world.trace(() => `${process.name} goes on`);
    process.resume();
  }

  #troubleTable(table: Table): void {
    const { random, rates, coverage } = this.#world;
    if (random.chance(rates.tableSlow)) {
      coverage.hit("tableSlow");
      table.slowness = random.between(2, SLOWNESS_MAX);
      this.#later(() => {
        table.slowness = 1;
      });
    }
    const isUnreachable = random.chance(rates.tableUnreachable);
    const isOneWay = random.chance(rates.tableOneWay);
    if (!isUnreachable && !isOneWay) return;
    coverage.hit(isUnreachable ? "tableUnreachable" : "tableOneWay");
    table.link = isUnreachable ? "none" : "inOnly";
    this.#later(() => {
      table.link = "both";
    });
  }

  #later(what: () => void): void {
    this.#world.scheduler.after(this.#world.random.between(5, TABLE_TROUBLE_MS_MAX), what);
  }

  #lose(table: Table): void {
    if (!this.#mayForget(table)) return;
    this.#world.coverage.hit("tableLost");
    this.#delete(table);
  }

  #delete(table: Table): void {
    this.#world.trace(() => `${table.id} is lost`);
    table.lose();
    this.#world.tableChecks.forgot(table);
  }

  /** One that is lost, or one that still works. */
  #recreate(table: Table): void {
    if (!table.isLost && !this.#mayForget(table)) return;
    this.#world.coverage.hit("tableRecreated");
    this.#world.trace(() => `${table.id} is created again, empty`);
    table.recreate();
    this.#world.tableChecks.forgot(table);
  }

  /** The rest must be able to answer for everything; and, unless this run is doomed, to go on. */
  #mayForget(table: Table): boolean {
    const { registrar, tableChecks, options } = this.#world;
    if (!this.#owner.isActivated) return false;
    return registrar.live.every((configuration) => {
      const configured = tableChecks.look(configuration);
      const bit = configured.bitOf(table);
      const rest = configured.survivors & ~bit;
      const isEnough = options.doomed ? configured.families.isRead(rest) : canProgress(configured, rest);
      return bit === 0 || isEnough;
    });
  }
}

/** Rule U counts full acceptors only, so votes alone are not enough to go on (PROTOCOL §10). */
export function canProgress({ families }: Configured, usable: number): boolean {
  return (
    families.isRead(usable) &&
    families.isWrite(usable) &&
    families.meetsEveryRead(usable & ~families.witnesses)
  );
}
