/**
 * Causes what happens to whole processes and tables: at random times, within what the configuration is meant
 * to survive.
 */
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
    const { random, rates, processes, tables } = this.#world;
    const process = random.pick(processes);
    const table = random.pick(tables);
    this.#troubleProcess(process);
    this.#troubleTable(table);
    if (random.chance(rates.tableLost)) this.#lose(table);
    if (random.chance(rates.tableRecreated)) this.#recreate(table);
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
    const { families, tableChecks, options } = this.#world;
    if (!this.#owner.isActivated) return false;
    const rest = tableChecks.usable & ~(1 << table.index);
    return families.isRead(rest) && (options.doomed || canProgress(this.#world, rest));
  }
}

/** Rule U counts full acceptors only, so votes alone are not enough to go on (PROTOCOL §10). */
export function canProgress({ families }: World, usable: number): boolean {
  return (
    families.isRead(usable) &&
    families.isWrite(usable) &&
    families.meetsEveryRead(usable & ~families.witnesses)
  );
}
