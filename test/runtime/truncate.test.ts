/** Truncating, and going on from truncated tables, on real tables: SQLite files, real time. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { defineMachine, machineCode } from "../../shared/machine.ts";
import { HEAD, type Outcome, type Verb } from "../../shared/protocol/acceptor.ts";
import type { ConfigurationNumber, ProcessId } from "../../shared/protocol/ballot.ts";
import type { Configuration, MachineId } from "../../shared/protocol/configuration.ts";
import type { Progress } from "../../shared/protocol/copying.ts";
import { type AcceptorId, majority } from "../../shared/protocol/quorum.ts";
import { type ChunkNumber, MACHINE_GEOMETRY, type Slot } from "../../shared/protocol/slot.ts";
import { snapshotOf } from "../../shared/protocol/snapshot.ts";
import type { Truncated } from "../../shared/protocol/truncation.ts";
import { found } from "../../shared/runtime/found.ts";
import { Hosted } from "../../shared/runtime/hosted.ts";
import { productionPorts, sha256 } from "../../shared/runtime/ports-production.ts";
import { createSqliteTable, sqliteStore } from "../../shared/storage/sqlite.ts";
import type { AcceptorStore } from "../../shared/storage/store.ts";

const MACHINE = "list/main" as MachineId;
const LEAD_MS_MAX = 20_000;
/** So that a snapshot has several parts. */
const LONG = "x".repeat(20_000);

const list = defineMachine({
  name: "list",
  version: 1,
  command: z.unknown(),
  init: () => [] as unknown[],
  apply: (state, command) => state.push(command),
  queries: {},
});

const configurationOf = (number: number, ...acceptors: string[]): Configuration => ({
  number: number as ConfigurationNumber,
  previous: number - 1,
  quorums: majority(acceptors as AcceptorId[]),
});

test("a table alone starts a new leader, and a new table, from its snapshot", async () => {
  const stores = await tables("A", "B", "C", "D");
  const ports = productionPorts((acceptor) => stores.get(acceptor));
  const read = async (table: string, verb: Verb): Promise<Outcome | undefined> =>
    (await stores.get(table as AcceptorId)?.execute(MACHINE, [verb]))?.[0];
  const host = (digit: number): Hosted => {
    const process = String(digit).repeat(32) as ProcessId;
    const hosted = new Hosted({
      machine: MACHINE,
      geometry: MACHINE_GEOMETRY,
      code: machineCode(list),
      process,
      ports,
    });
    onTestFinished(() => hosted.host.resign());
    return hosted;
  };
  const first = configurationOf(1, "A", "B", "C");
  await found(ports, MACHINE, first, MACHINE_GEOMETRY);
  const one = host(1);
  await one.lead(first, LEAD_MS_MAX);
  const slots = 4 * MACHINE_GEOMETRY.chunkSlots;
  for (let slot = 1; slot <= slots; slot++) await one.send([{ command: `${slot} ${LONG}` }]);
  const { replica } = one.host;
  expect(replica.applied).toBe(slots);

  const snapshot = snapshotOf(slots as Slot, replica.freeze(), sha256);
  expect(snapshot.parts.length).toBeGreaterThan(1);
  const { truncated, left } = await new Promise<Truncated>((resolve) =>
    one.host.truncate(first, snapshot, resolve),
  );
  expect([[...truncated].sort(), left]).toEqual([["A", "B", "C"], []]);
  for (const table of ["A", "B", "C"]) {
    expect(await read(table, { verb: "read", key: HEAD })).toMatchObject({
      item: { covered: slots, snapshotSlot: slots, snapshot: snapshot.name },
    });
    expect(await read(table, { verb: "read", key: { kind: "chunk", chunk: 0 as ChunkNumber } })).toEqual({
      outcome: "applied",
    });
  }
  await one.send([{ command: "after" }]);

  const two = host(2);
  const installed: Slot[] = [];
  two.on("installed", (slot) => installed.push(slot));
  await two.lead(first, LEAD_MS_MAX);
  expect([installed, two.host.replica.state]).toEqual([[slots], replica.state]);

  const second = configurationOf(2, "D");
  await found(ports, MACHINE, second, MACHINE_GEOMETRY, "all");
  const progress: Progress[] = [];
  const failure = await new Promise((resolve) =>
    two.host.reconfigure(first, second, resolve, (each) => progress.push(each)),
  );
  expect(failure).toBeUndefined();
  expect(progress.some(({ parts }) => parts?.copied === snapshot.parts.length)).toBe(true);
  const three = host(3);
  await three.lead(second, LEAD_MS_MAX);
  expect(three.host.replica.state).toEqual([...(replica.state as unknown[])]);
}, 60_000);

async function tables(...ids: readonly string[]): Promise<ReadonlyMap<AcceptorId, AcceptorStore>> {
  const dir = await mkdtemp(join(tmpdir(), "theseus-truncate-"));
  const stores = new Map<AcceptorId, AcceptorStore>();
  for (const id of ids) {
    createSqliteTable(join(dir, id), id);
    stores.set(id as AcceptorId, sqliteStore(join(dir, id), id));
  }
  onTestFinished(async () => {
    for (const store of stores.values()) await store.close();
    await rm(dir, { recursive: true });
  });
  return stores;
}
