/**
 * Whoever provisions (PROTOCOL §9, §11): reads the outbox, carries a request out and says so; at least once, in any
 * order, as late as can be, by attempts that end half-way; and whoever sweeps up what those left behind. In the order
 * in which the product's provisioner and sweeper do it.
 */
import type { OutboxRequest } from "../../shared/protocol/outbox.ts";
import type { AcceptorId } from "../../shared/protocol/quorum.ts";
import type { RegistryCommand } from "../../shared/protocol/registry.ts";
import { HOP_MS_MAX, LATE_MS_MAX } from "./network.ts";
import type { Random } from "./random.ts";
import { serverNamed } from "./registrar.ts";
import type { Table } from "./table.ts";
import { check } from "./violation.ts";
import type { World } from "./world.ts";

const SPARES_MAX = 3;
/** Between any two things that are done for a request. */
const LATE = 0.2;
const CRASH = 0.1;
/** Per visit. */
const SWEEP = 0.3;
const SPARE_LOST = 0.05;
const FALSE_SUSPICION = 0.05;
/** How often a reconfiguration takes a spare if there is one. */
const SPARE_TAKEN = 0.7;

export class Provisioner {
  readonly #world: World;
  /** Of its own, so that runs without reconfiguration stay what they were. */
  readonly #random: Random;
  /** Tables that attempts made. */
  readonly #made: Table[] = [];
  /** By whoever provisions; others are lost. */
  readonly #deleted = new Set<AcceptorId>();

  constructor(world: World, random: Random) {
    this.#world = world;
    this.#random = random;
  }

  prepare(): void {
    if (!this.#isNeeded) return;
    const spares = this.#random.below(SPARES_MAX + 1);
    this.#world.registrar.execute({ type: "configure", spares });
  }

  /** Other machines have a bootstrap pointer, and no pool. */
  get #isNeeded(): boolean {
    return this.#world.options.vertical !== undefined;
  }

  visit(): void {
    const requests = [...this.#world.registrar.outbox.values()];
    if (requests.length > 0) this.#carryOut(this.#random.pick(requests));
    if (this.#random.chance(SWEEP)) this.#sweep();
    if (this.#random.chance(SPARE_LOST)) this.#loseSpare();
    if (this.#random.chance(FALSE_SUSPICION)) this.#suspectWrongly();
  }

  /** One that a reconfiguration may take, and mostly does. */
  spareBut(taken: readonly AcceptorId[]): AcceptorId | undefined {
    const spares = this.#spares.filter((id) => !taken.includes(id) && this.#isSound(id));
    if (spares.length === 0 || !this.#random.chance(SPARE_TAKEN)) return undefined;
    this.#world.coverage.hit("spareUsed");
    return this.#random.pick(spares);
  }

  /** By a process that could not use it. */
  suspect(acceptor: AcceptorId): void {
    if (!this.#isNeeded || this.#world.isHealed || !this.#random.chance(0.5)) return;
    this.#suspect(acceptor, "gone");
  }

  /** What the registry has for use, now or later, is there. */
  check(): void {
    for (const { id, state } of this.#world.registrar.acceptors.values())
      check(
        "PROVISIONING",
        state === "retired" || !this.#deleted.has(id),
        () => `${id} is ${state} on record, and was deleted`,
      );
  }

  get #spares(): readonly AcceptorId[] {
    return [...this.#world.registrar.acceptors.values()]
      .filter(({ state }) => state === "spare")
      .map(({ id }) => id);
  }

  /** It may have been done since it was read. */
  #carryOut(request: OutboxRequest): void {
    this.#later(() => {
      if (!this.#world.registrar.outbox.has(request.request)) this.#world.coverage.hit("carriedOutLate");
      if (request.type === "createAcceptor") this.#create(request.request);
      else if (request.type === "deleteAcceptor") {
        const table = this.#world.table(request.acceptor.id);
        if (!table.isLost) this.#world.coverage.hit("retired");
        this.#delete(table);
        this.#later(() => this.#tell({ type: "done", request: request.request }, () => {}));
      }
    });
  }

  /** Each attempt makes a table of its own, of which one is recorded. */
  #create(request: string): void {
    const { coverage } = this.#world;
    const table = this.#world.unregisteredTable();
    this.#made.push(table);
    this.#later(() =>
      this.#tell({ type: "provisioned", request, acceptor: serverNamed(table.id) }, (answer) => {
        const { recorded } = answer as { recorded: boolean };
        coverage.hit(recorded ? "provisioned" : "provisionedTwice");
        if (!recorded) this.#later(() => this.#delete(table));
      }),
    );
  }

  /** A table that has no record, and will never get one once the registry has said so. */
  #sweep(): void {
    const { registrar } = this.#world;
    const orphans = this.#made.filter(({ id, isLost }) => !isLost && !registrar.acceptors.has(id));
    if (orphans.length === 0) return;
    const orphan = this.#random.pick(orphans);
    this.#later(() =>
      this.#tell({ type: "disown", acceptor: orphan.id }, (answer) => {
        if (!(answer as { disowned: boolean }).disowned) return;
        this.#world.coverage.hit("orphan");
        this.#delete(orphan);
      }),
    );
  }

  #loseSpare(): void {
    const spares = this.#spares.filter((id) => !this.#isUsed(id));
    if (spares.length === 0) return;
    const spare = this.#random.pick(spares);
    this.#world.coverage.hit("spareLost");
    this.#world.table(spare).lose();
    this.#world.tableChecks.forgot(this.#world.table(spare));
    this.#suspect(spare, "gone");
  }

  #suspectWrongly(): void {
    this.#suspect(this.#random.pick([...this.#world.registrar.acceptors.keys()]), "silent");
  }

  #suspect(acceptor: AcceptorId, why: "gone" | "silent"): void {
    this.#world.coverage.hit("tableSuspected");
    this.#tell({ type: "suspectAcceptor", acceptor, by: "somebody", why }, () => {});
  }

  /** As whoever takes it would see by looking. */
  #isSound(id: AcceptorId): boolean {
    const { isLost, incarnation } = this.#world.table(id);
    return !isLost && incarnation === 0;
  }

  #isUsed(id: AcceptorId): boolean {
    return this.#world.registrar.live.some(({ quorums }) => quorums.acceptors.includes(id));
  }

  #delete(table: Table): void {
    const { id } = table;
    check("PROVISIONING", !this.#isUsed(id), () => `${id} is deleted, and in use`);
    this.#world.trace(() => `${id} is deleted`);
    table.lose();
    this.#world.tableChecks.forgot(table);
    this.#deleted.add(id);
    this.check();
  }

  /** Until there is an answer, or patience is at an end. */
  #tell(command: RegistryCommand, done: (answer: unknown) => void): void {
    this.#world.registrar.tell(command, (answer) => {
      if (answer !== undefined) done(answer);
      else this.#later(() => this.#tell(command, done));
    });
  }

  #later(what: () => void): void {
    const { scheduler, coverage, isHealed } = this.#world;
    const isLate = !isHealed && this.#random.chance(LATE);
    const hasCrashed = !isHealed && this.#random.chance(CRASH);
    scheduler.after(this.#random.between(0.2, isLate ? LATE_MS_MAX : HOP_MS_MAX), () => {
      if (hasCrashed) coverage.hit("provisionerCrashed");
      else what();
    });
  }
}
