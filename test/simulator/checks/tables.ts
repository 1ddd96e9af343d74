/**
 * What must be true of the tables after every single write: MONOTONE, WINDOW, CHUNKS_CHOSEN, HEAD_CLAIM
 * and RECOVERABLE. The checkers see all tables at once, which no process ever does.
 */
import {
  type Cell,
  type Content,
  FIRST_HEAD,
  HEAD,
  type Head,
  type Item,
  type Key,
  keyText,
  type Value,
} from "../../../shared/protocol/acceptor.ts";
import type { ConfigurationNumber } from "../../../shared/protocol/ballot.ts";
import {
  allLanes,
  type ChunkNumber,
  firstSlotOf,
  type Geometry,
  laneOf,
  lastSlotOf,
  type Slot,
} from "../../../shared/protocol/slot.ts";
import type { Table } from "../table.ts";
import { check } from "../violation.ts";
import type { Bits, Families } from "./families.ts";
import { Votes } from "./votes.ts";

export interface TableChecksOptions {
  readonly geometry: Geometry;
  readonly families: Families;
  readonly configuration: ConfigurationNumber;
  readonly tables: readonly Table[];
  readonly onChosen: (slot: Slot, value: Value) => void;
}

export class TableChecks {
  readonly votes: Votes;
  readonly #options: TableChecksOptions;
  /** The highest slot that each full table's Head ever covered, lost or not (rule U counts lost ones too). */
  readonly #covered: number[] = [];
  /** Tables that have all their cells and their Head: the others refuse. */
  #usable: Bits = 0;
  #highestChosen = 0;

  constructor(options: TableChecksOptions) {
    this.#options = options;
    this.votes = new Votes(options.families, (slot, value) => {
      this.#highestChosen = Math.max(this.#highestChosen, slot);
      options.onChosen(slot, value);
      this.#checkSlot(slot);
    });
  }

  get usable(): Bits {
    return this.#usable;
  }

  wrote(table: Table, key: Key, before: Item | undefined, after: Item | undefined): void {
    if (key.kind === "cell")
      this.#wroteCell(table, before as Cell | undefined, after as Cell | undefined, key);
    else if (key.kind === "head")
      this.#wroteHead(table, before as Head | undefined, after as Head | undefined);
    else if (key.kind === "chunk") this.#wroteChunk(table, key.chunk, after as Content | undefined);
    if (before === undefined && (key.kind === "cell" || key.kind === "head")) this.#noteUsable(table);
  }

  /** The table was lost, or created again: what it held no longer counts. */
  forgot(table: Table): void {
    this.#usable &= ~(1 << table.index);
  }

  /** RECOVERABLE for every slot that is chosen, and HEAD_CLAIM for every table from its first slot on. */
  checkAll(): void {
    for (let slot = 1; slot <= this.#highestChosen; slot++) this.#checkSlot(slot as Slot);
    for (const table of this.#options.tables) {
      const head = table.item(HEAD) as Head | undefined;
      if (head !== undefined) this.#checkHeadClaim(table, 0, head.covered);
    }
  }

  #wroteCell(table: Table, before: Cell | undefined, after: Cell | undefined, key: Key): void {
    const where = (): string => `${keyText(key)} of ${table.id}: ${textOf(before)} became ${textOf(after)}`;
    check("MONOTONE", after !== undefined, where);
    const { promised, slot, vote } = after;
    check("MONOTONE", vote === undefined || vote.ballot <= promised, where);
    if (before !== undefined) {
      check("MONOTONE", before.promised <= promised && before.slot <= slot, where);
      const isOlder = before.slot === slot && (before.vote?.ballot ?? "") > (vote?.ballot ?? "");
      check("MONOTONE", !isOlder, where);
    }
    if (vote === undefined || (before?.vote?.ballot === vote.ballot && before.slot === slot)) return;
    this.#checkWindow(slot);
    this.votes.voted(table.index, slot, vote);
    this.#checkSlot(slot);
    if (before !== undefined && before.slot !== slot && before.slot > 0) this.#checkSlot(before.slot);
  }

  /** Rule U, by what the tables hold and not by what the leader knows. */
  #checkWindow(slot: Slot): void {
    const { families, geometry } = this.#options;
    const reused = slot - geometry.lanes;
    const covering = this.#covered.reduce(
      (bits, covered, index) => (covered >= reused ? bits | (1 << index) : bits),
      0,
    );
    check(
      "WINDOW",
      families.meetsEveryRead(reused <= 0 ? this.#full : covering),
      () => `slot ${slot} was voted when the Heads were ${this.#covered.join(", ")}`,
    );
  }

  get #full(): Bits {
    return this.#options.families.all & ~this.#options.families.witnesses;
  }

  #wroteHead(table: Table, before: Head | undefined, after: Head | undefined): void {
    const where = (): string =>
      `Head of ${table.id}: ${JSON.stringify(before)} became ${JSON.stringify(after)}`;
    check("MONOTONE", after !== undefined, where);
    check("MONOTONE", after.covered % this.#options.geometry.chunkSlots === 0, where);
    const { covered, snapshotSlot } = before ?? FIRST_HEAD;
    check("MONOTONE", covered <= after.covered && snapshotSlot <= after.snapshotSlot, where);
    this.#checkHeadClaim(table, covered, after.covered);
    this.#covered[table.index] = Math.max(this.#covered[table.index] ?? 0, after.covered);
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
      after !== undefined || (head?.covered ?? 0) < last,
      () => `chunk ${chunk} of ${table.id} was dropped, and its Head covers it`,
    );
    const values = (after?.content.text ?? "").split("\n").slice(1);
    for (let slot: number = first; slot <= last && after !== undefined; slot++)
      check(
        "CHUNKS_CHOSEN",
        values[slot - first] === this.votes.chosen.get(slot as Slot)?.text,
        () => `chunk ${chunk} of ${table.id} has in slot ${slot} ${values[slot - first]}`,
      );
  }

  /** Invariant 5 for one slot: whoever reads any of the surviving read quorums finds it. */
  #checkSlot(slot: Slot): void {
    const value = this.votes.chosen.get(slot);
    if (value === undefined) return;
    for (const read of this.#options.families.reads) {
      if ((read & this.#usable) !== read) continue;
      check(
        "RECOVERABLE",
        this.#isRecoverable(slot, value, read),
        () => `slot ${slot} (${value.text}) from ${this.#members(read).map(({ id }) => id)}`,
      );
    }
  }

  #isRecoverable(slot: Slot, value: Value, read: Bits): boolean {
    const members = this.#members(read);
    if (members.some((table) => ((table.item(HEAD) as Head | undefined)?.covered ?? 0) >= slot)) return true;
    let largest: NonNullable<Cell["vote"]> | undefined;
    const { configuration, geometry } = this.#options;
    const key: Key = { kind: "cell", configuration, lane: laneOf(geometry, slot) };
    for (const table of members) {
      const cell = table.item(key) as Cell | undefined;
      if (cell?.slot === slot && cell.vote !== undefined && (!largest || cell.vote.ballot > largest.ballot))
        largest = cell.vote;
    }
    return largest?.value.text === value.text;
  }

  #members(bits: Bits): readonly Table[] {
    return this.#options.tables.filter(({ index }) => (bits >> index) & 1);
  }

  #noteUsable(table: Table): void {
    const { configuration, geometry, families } = this.#options;
    const isWitness = ((families.witnesses >> table.index) & 1) === 1;
    const hasAll = allLanes(geometry).every(
      (lane) => table.item({ kind: "cell", configuration, lane }) !== undefined,
    );
    if (!hasAll || !(isWitness || table.item(HEAD) !== undefined)) return;
    this.#usable |= 1 << table.index;
    this.checkAll();
  }
}

function textOf(cell: Cell | undefined): string {
  return cell === undefined ? "nothing" : `${cell.promised} ${cell.slot} ${cell.vote?.ballot ?? "-"}`;
}
