/**
 * What must be true of the tables after every single write: MONOTONE, WINDOW, CHUNKS_CHOSEN, HEAD_CLAIM,
 * RECOVERABLE, SUCCESSION and UNACTIVATED. The checkers see all tables at once, which no process ever does.
 */
import { hash } from "node:crypto";
import {
  type Cell,
  type Content,
  FIRST_HEAD,
  HEAD,
  type Head,
  type Item,
  type Key,
  keyText,
  type PartKey,
  type Value,
} from "../../../shared/protocol/acceptor.ts";
import { birthBallot } from "../../../shared/protocol/ballot.ts";
import type { Configuration } from "../../../shared/protocol/configuration.ts";
import {
  allLanes,
  type ChunkNumber,
  firstSlotOf,
  type Geometry,
  laneOf,
  lastSlotOf,
  type Slot,
} from "../../../shared/protocol/slot.ts";
import { decodePart, nameOf, partKeys } from "../../../shared/protocol/snapshot.ts";
import type { Table } from "../table.ts";
import { type Check, check } from "../violation.ts";
import type { Epochs } from "./epochs.ts";
import { type Bits, Families } from "./families.ts";
import { Votes } from "./votes.ts";

export interface TableChecksOptions {
  readonly geometry: Geometry;
  readonly tables: readonly Table[];
  readonly onChosen: (slot: Slot, value: Value, configuration: number) => void;
  /** What a table's Head claims as its snapshot, put together from its parts. */
  readonly onSnapshot: (table: Table, slot: Slot, frozen: Uint8Array) => void;
  /** Of a machine that is reconfigured horizontally. */
  readonly epochs?: Epochs;
  /** The last slot up to which everything is chosen. */
  readonly prefix: () => Slot;
}

/** One configuration as the checkers see it. */
export class Configured {
  readonly configuration: Configuration;
  readonly families: Families;
  readonly votes: Votes;
  /** In the order of its bits. */
  readonly tables: readonly Table[];
  /** Tables that have all their cells and their Head: the others refuse. */
  usable: Bits = 0;

  readonly #isHorizontal: boolean;

  constructor(
    configuration: Configuration,
    { tables, epochs }: TableChecksOptions,
    votesFor: (of: Families) => Votes,
  ) {
    this.#isHorizontal = epochs !== undefined;
    this.configuration = configuration;
    this.families = new Families(configuration.quorums);
    this.votes = votesFor(this.families);
    this.tables = configuration.quorums.acceptors.map(
      (id) => tables.find((table) => table.id === id) as Table,
    );
  }

  bitOf(table: Table): Bits {
    return this.families.bitsOf([table.id]);
  }

  /** Those that still can be used, or can still be founded: horizontally at any time. */
  get survivors(): Bits {
    if (this.votes.isActivated && !this.#isHorizontal) return this.usable;
    const gone = this.tables.filter(({ isLost, incarnation }) => isLost || incarnation > 0);
    return this.families.all & ~this.families.bitsOf(gone.map(({ id }) => id));
  }
}

export class TableChecks {
  /** Horizontally: the prefix of the log only, and nothing that is void. */
  readonly chosen = new Map<Slot, Value>();
  readonly #options: TableChecksOptions;
  readonly #configurations = new Map<number, Configured>();
  #active: Configured | undefined;
  /** The highest slot that each table's Head ever covered, lost or not (rule U counts lost ones too). */
  readonly #covered = new Map<Table, number>();
  /** Slots of all snapshots that a Head ever named. */
  readonly #claimed = new Set<Slot>();
  #highestChosen = 0;

  constructor(options: TableChecksOptions) {
    this.#options = options;
  }

  /** The one that was activated last, or is to be activated first; horizontally: that was installed last. */
  get active(): Configured {
    return this.#active as Configured;
  }

  configured(number: number): Configured {
    return this.#configurations.get(number) as Configured;
  }

  /** Whether a Head ever claimed a snapshot of this slot. */
  isClaimed(slot: Slot): boolean {
    return this.#claimed.has(slot);
  }

  /** From now on its tables may be founded. */
  add(configuration: Configuration): void {
    const { epochs } = this.#options;
    const onChosen = (slot: Slot, value: Value): void => {
      this.#highestChosen = Math.max(this.#highestChosen, slot);
      this.#options.onChosen(slot, value, configuration.number);
      this.#checkSlot(slot);
    };
    const chosen = epochs === undefined ? this.chosen : new Map<Slot, Value>();
    const configured = new Configured(
      configuration,
      this.#options,
      (families) => new Votes(families, chosen, onChosen),
    );
    this.#configurations.set(configuration.number, configured);
    this.#active ??= configured;
  }

  /** One that is not in the log yet too: what it would be. */
  look(configuration: Configuration): Configured {
    const known = this.#configurations.get(configuration.number);
    return known ?? new Configured(configuration, this.#options, (of) => new Votes(of, new Map(), () => {}));
  }

  /** Horizontally: it is current. Everything must be recoverable from the one before until it is installed. */
  begin(number: number): void {
    this.configured(number).votes.activate();
    this.#noteInstalled();
  }

  /** Whether the tables hold what it inherits, so that every read quorum meets one that does (PROTOCOL §8). */
  isInstalled(number: number): boolean {
    const { families, tables } = this.configured(number);
    const inherited = (this.#options.epochs as Epochs).firstOf(number) - 1;
    const covering = tables.filter((table) => (this.#covered.get(table) ?? 0) >= inherited);
    return families.meetsEveryRead(families.bitsOf(covering.map(({ id }) => id)));
  }

  #noteInstalled(): void {
    const { epochs } = this.#options;
    const current = epochs && this.configured(epochs.current.number);
    if (current === undefined || current === this.active || !this.isInstalled(current.configuration.number))
      return;
    this.#active = current;
    this.checkAll();
  }

  /** From now on its votes are choices, and everything must be recoverable from its read quorums. */
  activate(number: number): void {
    const configured = this.configured(number);
    const { previous } = configured.configuration;
    const before = this.active.votes.isActivated ? this.active.configuration.number : 0;
    check(
      "SUCCESSION",
      previous === before,
      () => `configuration ${number} replaces ${previous}, and ${before} was active`,
    );
    this.#active = configured;
    this.#checkWindow(configured, configured.votes.highest as Slot);
    configured.votes.activate();
    this.checkAll();
  }

  /** Which check it fails to take this value for the chosen one of this slot. */
  diagnose(slot: Slot, text: string, otherwise: Check): Check {
    const owner = this.#options.epochs?.ownerOf(slot);
    const isOthers = [...this.#configurations].some(
      ([number, { votes }]) => owner !== undefined && number !== owner && votes.holds(slot, text),
    );
    if (isOthers) return "EPOCHS";
    const pending = [...this.#configurations.values()].filter(({ votes }) => !votes.isActivated);
    return pending.some(({ votes }) => votes.holds(slot, text)) ? "UNACTIVATED" : otherwise;
  }

  wrote(table: Table, key: Key, before: Item | undefined, after: Item | undefined): void {
    if (key.kind === "cell")
      this.#wroteCell(table, before as Cell | undefined, after as Cell | undefined, key);
    else if (key.kind === "head")
      this.#wroteHead(table, before as Head | undefined, after as Head | undefined);
    else if (key.kind === "chunk") this.#wroteChunk(table, key.chunk, after as Content | undefined);
    else this.#wrotePart(table, key, after as Content | undefined);
    if (before === undefined && (key.kind === "cell" || key.kind === "head"))
      for (const configured of this.#configurations.values()) this.#noteUsable(configured, table);
  }

  /** The table was lost, or created again: what it held no longer counts. */
  forgot(table: Table): void {
    for (const configured of this.#configurations.values()) configured.usable &= ~configured.bitOf(table);
  }

  /** RECOVERABLE for every slot that is chosen, and HEAD_CLAIM for every table from its first slot on. */
  checkAll(): void {
    for (let slot = 1; slot <= this.#highestChosen; slot++) this.#checkSlot(slot as Slot);
    for (const table of this.active.tables) {
      const head = table.item(HEAD) as Head | undefined;
      if (head === undefined) continue;
      this.#checkSnapshot(table, head);
      this.#checkHeadClaim(table, head.snapshotSlot, head.covered);
    }
  }

  #wroteCell(table: Table, before: Cell | undefined, after: Cell | undefined, key: CellKey): void {
    const where = (): string => `${keyText(key)} of ${table.id}: ${textOf(before)} became ${textOf(after)}`;
    check("MONOTONE", after !== undefined, where);
    const { promised, slot, vote } = after;
    const configured = this.configured(key.configuration) as Configured | undefined;
    check("EPOCHS", configured !== undefined, () => `${where()}, and the log has no such configuration`);
    check(
      "UNACTIVATED",
      configured.votes.isActivated || promised === birthBallot(key.configuration),
      () => `${where()}, and configuration ${key.configuration} is not activated`,
    );
    check("MONOTONE", vote === undefined || vote.ballot <= promised, where);
    if (before !== undefined) {
      check("MONOTONE", before.promised <= promised && before.slot <= slot, where);
      const isOlder = before.slot === slot && (before.vote?.ballot ?? "") > (vote?.ballot ?? "");
      check("MONOTONE", !isOlder, where);
    }
    if (vote === undefined || (before?.vote?.ballot === vote.ballot && before.slot === slot)) return;
    if (configured.votes.isActivated) this.#checkWindow(configured, slot);
    configured.votes.voted(configured.bitOf(table), slot, vote);
    this.#checkSlot(slot);
    if (before !== undefined && before.slot !== slot && before.slot > 0) this.#checkSlot(before.slot);
  }

  /**
   * Rule U, by what the tables hold and not by what the leader knows. In a configuration that is not activated
   * nothing is chosen, so it is checked when it is.
   */
  #checkWindow({ families, tables, configuration }: Configured, slot: Slot): void {
    const { epochs, prefix } = this.#options;
    const inherited = (epochs?.firstOf(configuration.number) ?? 1) - 1;
    const reused = Math.max(slot - this.#options.geometry.lanes, inherited);
    check(
      "ALPHA",
      slot - (epochs?.alpha ?? slot) <= prefix(),
      () => `slot ${slot} was voted when the log was chosen up to ${prefix()}`,
    );
    const full = tables.filter(({ id }) => (families.bitsOf([id]) & families.witnesses) === 0);
    const covering = full.filter((table) => reused <= 0 || (this.#covered.get(table) ?? 0) >= reused);
    check(
      "WINDOW",
      families.meetsEveryRead(families.bitsOf(covering.map(({ id }) => id))),
      () =>
        `slot ${slot} was voted when the Heads were ${full.map((table) => this.#covered.get(table) ?? 0)}`,
    );
  }

  #wroteHead(table: Table, before: Head | undefined, after: Head | undefined): void {
    const where = (): string =>
      `Head of ${table.id}: ${JSON.stringify(before)} became ${JSON.stringify(after)}`;
    check("MONOTONE", after !== undefined, where);
    check("MONOTONE", after.covered % this.#options.geometry.chunkSlots === 0, where);
    const { covered, snapshotSlot } = before ?? FIRST_HEAD;
    check("MONOTONE", covered <= after.covered && snapshotSlot <= after.snapshotSlot, where);
    const isSame = after.snapshotSlot > snapshotSlot || after.snapshot === (before ?? FIRST_HEAD).snapshot;
    check("MONOTONE", isSame, where);
    if (after.snapshotSlot > snapshotSlot) {
      this.#claimed.add(after.snapshotSlot);
      this.#checkSnapshot(table, after);
    }
    this.#checkHeadClaim(table, Math.max(covered, after.snapshotSlot), after.covered);
    this.#covered.set(table, Math.max(this.#covered.get(table) ?? 0, after.covered));
    this.#noteInstalled();
  }

  /** Its parts are there, whole and the right ones, and give the state that the chosen log gives. */
  #checkSnapshot(table: Table, { snapshot, snapshotSlot, covered }: Head): void {
    if (snapshotSlot === 0) return;
    const where = (): string => `the Head of ${table.id} claims snapshot ${snapshot}`;
    check("HEAD_CLAIM", snapshotSlot <= covered, () => `${where()} and covers slot ${covered}`);
    const parts = partKeys(snapshot).map((key) => (table.item(key) as Content | undefined)?.content);
    const frozen = parts.map((part) => {
      check("HEAD_CLAIM", part !== undefined, () => `${where()}, and a part of it is missing`);
      return decodePart(part.text);
    });
    const digests = parts.map((part) => hash("sha256", (part as Value).text));
    const name = nameOf(snapshotSlot, digests, (text) => hash("sha256", text));
    check("HEAD_CLAIM", name === snapshot, () => `${where()}, and has the parts of ${name}`);
    this.#options.onSnapshot(table, snapshotSlot, Buffer.concat(frozen));
  }

  #wrotePart(table: Table, { snapshot }: PartKey, after: Content | undefined): void {
    const head = table.item(HEAD) as Head | undefined;
    check(
      "HEAD_CLAIM",
      after !== undefined || head?.snapshot !== snapshot,
      () => `a part of ${snapshot} of ${table.id} was dropped, and its Head claims it`,
    );
  }

  /** Its chunks are there, and chunks hold only chosen values. */
  #checkHeadClaim(table: Table, from: number, through: number): void {
    const { geometry } = this.#options;
    for (let chunk = from / geometry.chunkSlots; chunk < through / geometry.chunkSlots; chunk++)
      check(
        "HEAD_CLAIM",
        table.item({ kind: "chunk", chunk: chunk as ChunkNumber }) !== undefined,
        () => `the Head of ${table.id} covers slot ${through} and its chunk ${chunk} is missing`,
      );
  }

  #wroteChunk(table: Table, chunk: ChunkNumber, after: Content | undefined): void {
    const head = table.item(HEAD) as Head | undefined;
    const { geometry } = this.#options;
    const [first, last] = [firstSlotOf(geometry, chunk), lastSlotOf(geometry, chunk)];
    check(
      "HEAD_CLAIM",
      after !== undefined || (head?.covered ?? 0) < last || (head?.snapshotSlot ?? 0) >= last,
      () => `chunk ${chunk} of ${table.id} was dropped, and its Head covers it`,
    );
    const values = (after?.content.text ?? "").split("\n").slice(1);
    for (let slot: number = first; slot <= last && after !== undefined; slot++) {
      const value = values[slot - first];
      const isChosen = value === this.chosen.get(slot as Slot)?.text;
      check(
        isChosen ? "CHUNKS_CHOSEN" : this.diagnose(slot as Slot, value ?? "", "CHUNKS_CHOSEN"),
        isChosen,
        () => `chunk ${chunk} of ${table.id} has in slot ${slot} ${value}`,
      );
    }
  }

  /** Invariant 5 for one slot: whoever reads any of the surviving read quorums finds it. */
  #checkSlot(slot: Slot): void {
    const value = this.chosen.get(slot) ?? this.#chosenAhead(slot);
    if (value === undefined) return;
    const { families, usable } = this.active;
    for (const read of families.reads) {
      if ((read & usable) !== read) continue;
      check(
        "RECOVERABLE",
        this.#isRecoverable(slot, value, read),
        () => `slot ${slot} (${value.text}) from ${this.#members(read).map(({ id }) => id)}`,
      );
    }
  }

  /** Horizontally: above the prefix, in the configuration that it belongs to. */
  #chosenAhead(slot: Slot): Value | undefined {
    const { number } = this.active.configuration;
    return this.#options.epochs?.ownerOf(slot) === number ? this.active.votes.chosen(slot) : undefined;
  }

  #isRecoverable(slot: Slot, value: Value, read: Bits): boolean {
    const members = this.#members(read);
    if (members.some((table) => ((table.item(HEAD) as Head | undefined)?.covered ?? 0) >= slot)) return true;
    let largest: NonNullable<Cell["vote"]> | undefined;
    const configuration = this.active.configuration.number;
    const key: Key = { kind: "cell", configuration, lane: laneOf(this.#options.geometry, slot) };
    for (const table of members) {
      const cell = table.item(key) as Cell | undefined;
      if (cell?.slot === slot && cell.vote !== undefined && (!largest || cell.vote.ballot > largest.ballot))
        largest = cell.vote;
    }
    return largest?.value.text === value.text;
  }

  #members(bits: Bits): readonly Table[] {
    return this.active.tables.filter((_, index) => (bits >> index) & 1);
  }

  #noteUsable(configured: Configured, table: Table): void {
    const { configuration, families } = configured;
    const bit = configured.bitOf(table);
    if (bit === 0 || (configured.usable & bit) !== 0) return;
    const isWitness = (families.witnesses & bit) !== 0;
    const hasAll = allLanes(this.#options.geometry).every(
      (lane) => table.item({ kind: "cell", configuration: configuration.number, lane }) !== undefined,
    );
    if (!hasAll || !(isWitness || table.item(HEAD) !== undefined)) return;
    configured.usable |= bit;
    if (configured === this.active) this.checkAll();
  }
}

type CellKey = Extract<Key, { kind: "cell" }>;

function textOf(cell: Cell | undefined): string {
  return cell === undefined ? "nothing" : `${cell.promised} ${cell.slot} ${cell.vote?.ballot ?? "-"}`;
}
