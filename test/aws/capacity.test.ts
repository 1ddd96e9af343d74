/**
 * What verbs cost, as DynamoDB Local counts it, against PROTOCOL §13: updates bill the larger image in whole KB,
 * consistent reads every 4 KB. A value's item is a little larger than the value, by a constant that is measured here.
 */
import type { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { unitsOfSlot } from "../../cli/cost/units.ts";
import type { Verb } from "../../shared/protocol/acceptor.ts";
import type { MachineId } from "../../shared/protocol/configuration.ts";
import { allLanes, MACHINE_GEOMETRY, type Slot } from "../../shared/protocol/slot.ts";
import { encodeChunk } from "../../shared/protocol/value.ts";
import { dynamodbClient, dynamodbStore } from "../../shared/storage/dynamodb.ts";
import { pack } from "../../shared/storage/packing.ts";
import type { AcceptorStore } from "../../shared/storage/store.ts";
import {
  advance,
  b1,
  b2,
  b3,
  C1,
  CELL,
  cell,
  chunk,
  contentVerbs,
  createCell,
  createHead,
  readCell,
  readHead,
  value,
  vote,
} from "../conformance/items.ts";
import { newTable, REGION } from "./tables.ts";

const KB = 1024;
/** A cell's names, key, two ballots, slot and hash: what a vote's item has besides the value. */
const CELL_OVERHEAD_BYTES = 290;

let store: AcceptorStore;
let machine: MachineId;
let units: number;
let machines = 0;

beforeAll(async () => {
  const table = await newTable(inject("dynamodbLocal"));
  const client = dynamodbClient(REGION, { endpoint: table.endpoint });
  count(client);
  store = dynamodbStore(table.name, table.incarnation, client);
});
afterAll(() => store.close());

/** Asks for the consumed capacity of every request, and adds it up. */
function count(client: DynamoDBClient): void {
  client.middlewareStack.add(
    (next) => async (args) => {
      const input = { ...args.input, ReturnConsumedCapacity: "TOTAL" };
      const result = await next({ ...args, input } as typeof args);
      const { ConsumedCapacity } = result.output as { ConsumedCapacity?: { CapacityUnits?: number } };
      units += ConsumedCapacity?.CapacityUnits ?? 0;
      return result;
    },
    { step: "initialize" },
  );
}

function newMachine(): void {
  machines += 1;
  machine = `bank/${machines}` as MachineId;
}

/** One after the other: a list of verbs has no order. */
async function given(...verbs: readonly Verb[]): Promise<void> {
  for (const verb of verbs) await cost(verb);
}

/** What is unknown, on a busy machine, is said and counted again. */
async function cost(...verbs: readonly Verb[]): Promise<number> {
  units = 0;
  const outcomes = await store.execute(machine, verbs);
  if (outcomes.some(({ outcome }) => outcome === "unknown")) return cost(...verbs);
  expect(outcomes.map(({ outcome }) => outcome)).toEqual(verbs.map(() => "applied"));
  return units;
}

/** Hardly anything can be packed of it. */
const text = (bytes: number) => {
  const character = () => String.fromCharCode(32 + Math.floor(Math.random() * 95));
  return Array.from({ length: bytes }, character).join("");
};
/** As it lies in an item. */
const storedBytes = (value: string) => pack(value)?.length ?? value.length;
const wholeKb = (bytes: number) => Math.ceil(bytes / KB);

describe("a vote", () => {
  test.each([1, 200, 700, KB, 2 * KB, 20_000, 48 * KB])(
    "of %d B costs its item in whole KB",
    async (bytes) => {
      newMachine();
      await given(createCell);
      const value = text(bytes);
      const measured = await cost(vote(b2, 1, value));
      expect(measured).toBe(wholeKb(storedBytes(value) + CELL_OVERHEAD_BYTES));
      // The formula is u = ⌈value KB⌉ a table: one more when the rest does not fit into the last KB.
      expect(measured - wholeKb(bytes)).toBeLessThanOrEqual(1);
    },
  );

  test("in place of a larger one costs the larger one", async () => {
    newMachine();
    const large = text(20_000);
    await given(createCell, vote(b2, 1, large));
    const before = wholeKb(storedBytes(large) + CELL_OVERHEAD_BYTES);
    expect(before).toBeGreaterThan(10);
    expect(await cost(vote(b2, 33, text(200)))).toBe(before);
    expect(await cost(vote(b2, 65, text(200)))).toBe(1);
  });

  test("of commands that resemble each other costs a fraction", async () => {
    newMachine();
    await given(createCell);
    const commands = Array.from({ length: 200 }, (_, index) => {
      return { command: { type: "deposit", account: `customer-${index}`, amount: index } };
    });
    const value = JSON.stringify(commands);
    expect(await cost(vote(b2, 1, value))).toBeLessThan(wholeKb(value.length) / 4);
    expect(await store.execute(machine, [readCell])).toMatchObject([
      { outcome: "applied", item: { vote: { value: { text: value } } } },
    ]);
  });

  test("said again costs the same again", async () => {
    newMachine();
    const value = text(3 * KB);
    await given(createCell);
    const first = await cost(vote(b2, 1, value));
    expect(first).toBeGreaterThan(2);
    expect(await cost(vote(b2, 1, value))).toBe(first);
  });
});

test("a promise costs what stands in its cell", async () => {
  newMachine();
  await given(createCell);
  expect(await cost({ verb: "promise", key: CELL, ballot: b1 })).toBe(1);
  const value = text(5 * KB);
  await given(vote(b2, 1, value));
  const stands = wholeKb(storedBytes(value) + CELL_OVERHEAD_BYTES);
  expect(await cost({ verb: "promise", key: CELL, ballot: b3 })).toBe(stands);
});

test("a leader change on a quiet machine costs K + 1 promises and a small read a table", async () => {
  newMachine();
  const lanes = allLanes(MACHINE_GEOMETRY).map((lane) => cell(C1, lane));
  await given(createHead, ...lanes.map((key): Verb => ({ verb: "create", key })));
  const promises = lanes.map((key): Verb => ({ verb: "promise", key, ballot: b1 }));
  expect(await cost(...promises)).toBe(MACHINE_GEOMETRY.lanes + 1);
  expect(await cost(readHead)).toBe(1);
});

test("a linearizable read costs one small read a table, whatever was voted", async () => {
  newMachine();
  await given(createCell);
  expect(await cost(readCell)).toBe(1);
});

test("a read costs every 4 KB", async () => {
  newMachine();
  const value = text(20_000);
  await given(createCell, vote(b2, 1, value));
  expect(await cost(readCell)).toBe(Math.ceil((storedBytes(value) + CELL_OVERHEAD_BYTES) / (4 * KB)));
});

describe("archiving", () => {
  test.each([200, KB, 20_000])("of slots of %d B costs (⌈chunk KB⌉ + 1) / C each", async (bytes) => {
    newMachine();
    const { chunkSlots } = MACHINE_GEOMETRY;
    const chunkText = encodeChunk(
      chunk(0).chunk,
      Array.from({ length: chunkSlots }, () => text(bytes)),
    );
    await given(createHead);
    const { put, drop } = contentVerbs(chunk(0), value(chunkText));
    const measured = (await cost(put)) + (await cost(advance(chunkSlots as Slot, 0, "-")));
    const formula = wholeKb(storedBytes(chunkText)) + 1;
    expect(measured - formula, "its name and hash may need one KB more").toBeOneOf([0, 1]);
    expect(await cost({ verb: "read", key: chunk(0) })).toBe(
      Math.ceil((storedBytes(chunkText) + 80) / (4 * KB)),
    );
    expect(await cost(drop), "truncation costs as much as the chunk did").toBe(measured - 1);
  });
});

// PROTOCOL §13 counts whole values, not packed: of 1 KB 2.1, which is about what 730 B cost here, an item being more than
// its value.
test.each([
  [100, 1.25],
  [730, 1.75],
  [KB, 3],
])(
  "a committed slot of %d B costs %d write units a table, with its archive, as theseus cost has it",
  async (bytes, expected) => {
    newMachine();
    const { chunkSlots } = MACHINE_GEOMETRY;
    await given(createHead, createCell);
    let votes = 0;
    for (let slot = 1; slot <= chunkSlots; slot++) votes += await cost(vote(b2, slot, text(bytes)));
    const chunkText = encodeChunk(
      chunk(0).chunk,
      Array.from({ length: chunkSlots }, () => text(bytes)),
    );
    const { put, drop } = contentVerbs(chunk(0), value(chunkText));
    const archive = (await cost(put)) + (await cost(advance(chunkSlots, 0, "-")));
    const formula = unitsOfSlot(bytes, storedBytes(chunkText));
    expect(votes / chunkSlots).toBe(formula.vote);
    expect(archive / chunkSlots).toBe(formula.archive);
    expect((await cost(drop)) / chunkSlots).toBe(formula.truncation);
    expect((votes + archive) / chunkSlots).toBe(expected);
  },
);
