/**
 * Everything that one run consists of, and nothing of the outside: two worlds of the same seed and flags go
 * through exactly the same events.
 */

import type { Value } from "../../shared/protocol/acceptor.ts";
import type { ConfigurationNumber } from "../../shared/protocol/ballot.ts";
import type { Configuration } from "../../shared/protocol/configuration.ts";
import type { AcceptorId } from "../../shared/protocol/quorum.ts";
import type { Slot } from "../../shared/protocol/slot.ts";
import { Bootstrap } from "./bootstrap.ts";
import { Answers } from "./checks/answers.ts";
import { Canon } from "./checks/canon.ts";
import { Epochs } from "./checks/epochs.ts";
import { Replicas } from "./checks/replicas.ts";
import { TableChecks } from "./checks/tables.ts";
import { Endorsers } from "./endorsers.ts";
import { Coverage } from "./faults.ts";
import { ledger } from "./ledger.ts";
import { Network } from "./network.ts";
import type { Draws, Options, Rates, VerticalRates } from "./options.ts";
import type { Process } from "./process.ts";
import { Provisioner } from "./provisioner.ts";
import type { Random } from "./random.ts";
import { Registrar } from "./registrar.ts";
import { registry } from "./registry.ts";
import { Scheduler } from "./scheduler.ts";
import type { Subject } from "./subject.ts";
import { Table } from "./table.ts";

export class World {
  readonly options: Options;
  readonly random: Random;
  readonly subject: Subject;
  readonly scheduler: Scheduler;
  readonly coverage: Coverage;
  readonly configuration: Configuration;
  readonly tables: Table[] = [];
  readonly registrar: Registrar;
  readonly endorsers: Endorsers;
  readonly provisioner: Provisioner;
  /** In its place, of a machine that is reconfigured horizontally. */
  readonly bootstrap: Bootstrap | undefined;
  readonly epochs: Epochs | undefined;
  readonly network: Network;
  readonly tableChecks: TableChecks;
  readonly canon: Canon;
  readonly answers: Answers;
  readonly replicas: Replicas;
  /** The processes, each in its place; a place is never empty for long. */
  readonly processes: Process[] = [];
  /** Faults are over: everything owed must be done now. */
  isHealed = false;
  readonly #trace: ((line: string) => void) | undefined;
  #unique = 0;

  /** The endorsers and the provisioner have a source of chance of their own. `within`: of the world that this one is in. */
  constructor(
    options: Options,
    { random, vertical, provisioning }: Pick<Draws, "random" | "vertical" | "provisioning">,
    trace?: (line: string) => void,
    within: Partial<Pick<World, "scheduler" | "coverage" | "subject">> = {},
  ) {
    this.options = options;
    this.random = random;
    this.#trace = trace;
    this.scheduler = within.scheduler ?? new Scheduler();
    this.coverage = within.coverage ?? new Coverage();
    this.subject = within.subject ?? (options.subject === "registry" ? registry : ledger);
    this.configuration = { number: 1 as ConfigurationNumber, previous: 0, quorums: options.quorums };
    const { horizontal, geometry } = options;
    this.epochs = horizontal && new Epochs({ first: this.configuration, ...horizontal }, geometry);
    this.tableChecks = new TableChecks({
      geometry,
      tables: this.tables,
      onChosen: (slot, _, configuration) => this.#chosen(slot, configuration),
      ...(this.epochs && { epochs: this.epochs }),
      prefix: () => this.canon.prefix,
      onSnapshot: (table, slot, frozen) => this.replicas.restored(table.id, slot, frozen),
    });
    this.endorsers = new Endorsers(this, vertical);
    this.provisioner = new Provisioner(this, provisioning);
    this.bootstrap = this.epochs && new Bootstrap(this, this.configuration, this.epochs);
    this.registrar = this.bootstrap ?? new Registrar(this, this.configuration);
    for (const id of options.quorums.acceptors) this.#create(id);
    this.endorsers.prepare();
    this.provisioner.prepare();
    this.tableChecks.add(this.configuration);
    this.canon = new Canon(this.subject, (slot) => this.#chosenIn(slot), this.epochs);
    this.answers = new Answers(this.subject, this.canon);
    this.replicas = new Replicas(this.subject, this.canon, this.tableChecks, this.epochs);
    this.network = new Network({
      random,
      scheduler: this.scheduler,
      coverage: this.coverage,
      rates: () => this.rates,
      trace: (line) => this.trace(line),
    });
  }

  #chosenIn(slot: Slot): Value | undefined {
    const { chosen } = this.tableChecks;
    if (this.epochs === undefined) return chosen.get(slot);
    return this.tableChecks.configured(this.epochs.ownerOf(slot)).votes.chosen(slot);
  }

  #chosen(slot: Slot, configuration: number): void {
    if (this.epochs === undefined) return this.canon.extend();
    if (this.epochs.chose(configuration, slot)) this.coverage.hit("voidSlot");
    this.canon.extend((executed, value) => this.#executed(this.epochs as Epochs, executed, value));
  }

  /** The log itself says which configurations there are. */
  #executed(epochs: Epochs, slot: Slot, value: Value): void {
    this.tableChecks.chosen.set(slot, value);
    const isOver = epochs.executed(slot);
    for (const configuration of [epochs.current, epochs.next?.configuration])
      if (configuration !== undefined && this.tableChecks.configured(configuration.number) === undefined)
        this.#addEpoch(epochs, configuration);
    if (isOver) this.tableChecks.begin(epochs.current.number);
  }

  /** What was chosen before by the configuration that it replaces may belong to it. */
  #addEpoch(epochs: Epochs, configuration: Configuration): void {
    this.tableChecks.add(configuration);
    const { votes } = this.tableChecks.configured(configuration.previous);
    for (let slot = epochs.firstOf(configuration.number); slot <= votes.highestChosen; slot++)
      if (votes.chosen(slot) !== undefined && epochs.chose(configuration.previous, slot))
        this.coverage.hit("voidSlot");
  }

  /** A table that nobody has used yet; registered, so it may be proposed. */
  freshTable(): Table {
    return this.#create(`t${this.tables.length}` as AcceptorId);
  }

  /** One that the registry does not know. */
  unregisteredTable(): Table {
    return this.#make(`t${this.tables.length}` as AcceptorId);
  }

  #create(id: AcceptorId): Table {
    this.registrar.register(id);
    return this.#make(id);
  }

  #make(id: AcceptorId): Table {
    const table = new Table(id, this.tables.length, (...written) => this.tableChecks.wrote(...written));
    this.tables.push(table);
    return table;
  }

  get verticalRates(): VerticalRates {
    return (this.isHealed ? undefined : (this.options.vertical ?? this.options.horizontal)) ?? NEVER;
  }

  get rates(): Rates {
    return this.isHealed ? HEALTHY : this.options.rates;
  }

  table(id: AcceptorId): Table {
    return this.tables.find((table) => table.id === id) as Table;
  }

  /** A number that no other caller got. */
  unique(): number {
    return ++this.#unique;
  }

  get isTraced(): boolean {
    return this.#trace !== undefined;
  }

  trace(line: () => string): void {
    this.#trace?.(`${this.scheduler.now.toFixed(2).padStart(9)} ${line()}`);
  }

  /** A message between clients and processes, or between processes. */
  post(arrive: () => void): void {
    this.scheduler.after(this.random.between(0.2, HOP_MS_MAX), arrive);
  }
}

const HOP_MS_MAX = 3;

const NEVER: VerticalRates = { reconfigure: 0, reconfigureWhenFenced: 0, retire: 0, stale: 0 };

const HEALTHY: Rates = {
  requestLost: 0,
  requestDelayed: 0,
  requestDuplicated: 0,
  replyLost: 0,
  replyDelayed: 0,
  throttled: 0,
  verbsSplit: 0,
  clientRequestLost: 0,
  clientReplyLost: 0,
  clientDuplicate: 0,
  clientTwoProcesses: 0,
  followerGap: 0,
  announced: 0,
  crash: 0,
  crashMidStep: 0,
  pause: 0,
  lead: 0,
  resign: 0,
  handOver: 0,
  clockJump: 0,
  tableLost: 0,
  tableRecreated: 0,
  tableSlow: 0,
  tableUnreachable: 0,
  tableOneWay: 0,
};
