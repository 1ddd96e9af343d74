/**
 * A scripted run: the same world without faults, in which the script decides when each verb is executed and
 * when its sender hears of it. For the few moments that random runs hardly ever meet.
 */
import {
  HEAD,
  type Head,
  keyText,
  type PartKey,
  type Value,
  type Verb,
} from "../../shared/protocol/acceptor.ts";
import type { Geometry } from "../../shared/protocol/slot.ts";
import { type Snapshot, snapshotOf } from "../../shared/protocol/snapshot.ts";
import type { Called } from "./checks/answers.ts";
import { found } from "./founder.ts";
import type { Held } from "./network.ts";
import { drawOptions } from "./options.ts";
import { Owner } from "./owner.ts";
import type { Process } from "./process.ts";
import { Random } from "./random.ts";
import { check } from "./violation.ts";
import { World } from "./world.ts";

/** Which verbs: by sender, by the table's index, and by what is said. */
export interface Which {
  readonly of?: Process;
  readonly on?: readonly number[];
  readonly verb?: (verb: Verb) => boolean;
}

const SEED = 1;
const PART_BYTES = 100;
/** Longer than whatever is not held back takes. */
const SETTLED_MS = 30;

export class Script {
  readonly world: World;
  readonly first: Process;
  readonly #owner: Owner;
  #holding: Which[] = [];

  /** Founded, and with one process. */
  constructor(quorums: string, geometry: Geometry, trace?: (line: string) => void) {
    const random = new Random(SEED);
    const { lanes, chunkSlots } = geometry;
    const draws = {
      random,
      vertical: random,
      horizontal: random,
      truncation: random,
      provisioning: random,
      registry: random,
    };
    const options = drawOptions(draws, {
      subject: "ledger",
      vertical: false,
      horizontal: "no",
      truncation: false,
      lanes,
      chunkSlots,
      quorums,
    });
    this.world = new World(options, draws, trace);
    this.world.isHealed = true;
    this.#owner = new Owner(this.world);
    this.world.network.holds = (sender, table, verb) =>
      this.#holding.some((which) => isMeant(which, { sender, table, verb }));
    this.first = this.start();
    this.first.enter(() =>
      found(this.world.configuration, geometry, this.first.foundingPorts(), SETTLED_MS, () => {
        this.#owner.activate();
      }),
    );
    this.settle();
  }

  /** A new process, which knows nothing. */
  start(): Process {
    const place = this.world.processes.length;
    this.#owner.start(place);
    return this.world.processes[place] as Process;
  }

  /** Tries to lead, above every ballot that leads now, and does whatever it can. */
  lead(process: Process): void {
    for (const { host } of this.world.processes)
      if (host.ballot !== undefined) process.host.noteBallot(host.ballot);
    this.#owner.tryToLead(process);
    this.settle();
  }

  resign(process: Process): void {
    process.enter(() => process.host.resign());
    this.settle();
  }

  /** A client asks for a command, or for a read; it may be answered now, later or never. */
  submit(process: Process): void {
    const command = this.world.subject.command(this.world.unique(), () => 0.5);
    this.#operate({ client: "script", call: this.world.scheduler.now, command: { command } }, process);
  }

  read(process: Process): void {
    this.#operate({ client: "script", call: this.world.scheduler.now }, process);
  }

  hold(...which: Which[]): void {
    this.#holding = which;
  }

  /** Tables see what was held, and senders hear of it. */
  release(which: Which): void {
    this.execute(which);
    this.reply(which);
  }

  /** Tables see what was held; senders do not hear of it yet. */
  execute(which: Which): void {
    for (const held of this.world.network.held) if (isMeant(which, held)) held.execute();
  }

  /** Senders hear of what was held: that the outcome is unknown, unless it was executed. */
  reply(which: Which): void {
    const { held } = this.world.network;
    const meant = held.filter((each) => isMeant(which, each));
    held.splice(0, held.length, ...held.filter((each) => !isMeant(which, each)));
    for (const each of meant) each.reply();
    this.settle();
  }

  /** By a snapshot of its replica as it is now, in parts of a few bytes. */
  truncate(process: Process): Snapshot {
    const { host, ports } = process;
    const snapshot = snapshotOf(host.replica.applied, host.replica.freeze(), ports.digest, PART_BYTES);
    process.enter(() => this.#owner.truncate(process, snapshot));
    this.settle();
    return snapshot;
  }

  catchUp(process: Process): void {
    process.enter(() => this.#owner.catchUp(process));
    this.settle();
  }

  /** Behind everybody's back. */
  corrupt(index: number, key: PartKey, content: Value): void {
    this.world.tables[index]?.items.set(keyText(key), { kind: "content", content });
  }

  recreate(index: number): void {
    const table = this.world.tables[index];
    if (table === undefined) throw new RangeError(`no table ${index}`);
    table.recreate();
    this.world.tableChecks.forgot(table);
  }

  /** The slot of the snapshot that a table's Head claims. */
  claimed(index: number): number {
    const head = this.world.tables[index]?.item(HEAD) as Head | undefined;
    return head?.snapshotSlot ?? 0;
  }

  /** The keys of the chunks and parts that a table has, in order. */
  deletable(index: number): readonly string[] {
    const keys = [...(this.world.tables[index]?.items.keys() ?? [])];
    return keys.filter((key) => key.startsWith("A#") || key.startsWith("S#")).sort();
  }

  settle(ms: number = SETTLED_MS): void {
    const { scheduler } = this.world;
    let isOver = false;
    scheduler.after(ms, () => {
      isOver = true;
    });
    while (!isOver) scheduler.step();
  }

  /** The script reached what it is about. */
  expect(holds: boolean, what: string): void {
    check("LIVENESS", holds, () => what);
  }

  end(): void {
    this.world.tableChecks.checkAll();
    this.world.answers.checkHistory();
  }

  #operate(called: Called, process: Process): void {
    this.world.answers.called(called);
    this.#owner.ask(process, called.command, (heard) => {
      called.return = this.world.scheduler.now;
      if ("asOf" in heard) called.read = heard;
      else if ("reply" in heard) called.answer = heard.reply;
    });
    this.settle();
  }
}

function isMeant({ of, on, verb }: Which, held: Pick<Held, "sender" | "table" | "verb">): boolean {
  const isOf = of === undefined || of.name === held.sender;
  const isOn = on === undefined || on.includes(held.table.index);
  return isOf && isOn && (verb === undefined || verb(held.verb));
}
