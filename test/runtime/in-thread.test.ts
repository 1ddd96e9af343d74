/** The thread that takes a snapshot, on files: it works beside the leader, and whatever ends it is told in words. */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { beforeEach, expect, it, onTestFinished } from "vitest";
import { machineCode } from "../../shared/machine.ts";
import type { ConfigurationNumber, ProcessId } from "../../shared/protocol/ballot.ts";
import type { Configuration, MachineId } from "../../shared/protocol/configuration.ts";
import { type AcceptorId, majority } from "../../shared/protocol/quorum.ts";
import type { AcceptorServer } from "../../shared/protocol/registry.ts";
import { MACHINE_GEOMETRY } from "../../shared/protocol/slot.ts";
import { found } from "../../shared/runtime/found.ts";
import { Hosted } from "../../shared/runtime/hosted.ts";
import { productionPorts } from "../../shared/runtime/ports-production.ts";
import { takeInThread } from "../../shared/runtime/snapshots/in-thread.ts";
import type { SnapshotOrder } from "../../shared/runtime/snapshots/snapshot.worker.ts";
import { sourceOf } from "../../shared/runtime/snapshots/source.ts";
import { StorePool } from "../../shared/runtime/store-pool.ts";
import { openStore } from "../../shared/storage/open.ts";
import { createSqliteTable } from "../../shared/storage/sqlite.ts";
import { contentsOf } from "../support/tables.ts";
import { tally } from "../support/tally.ts";
import { temporaryFolder } from "../support/temporary.ts";

const MACHINE = "tally/main" as MachineId;
const IDS = ["a1", "a2", "a3"] as AcceptorId[];
const COMMANDS = 100;
const never = new AbortController().signal;

let hosted: Hosted;
let acceptors: readonly AcceptorServer[];
let order: SnapshotOrder;

beforeEach(async () => {
  const folder = temporaryFolder();
  acceptors = IDS.map((id) => ({
    id,
    kind: "sqlite",
    location: join(folder, `${id}.sqlite`),
    incarnation: `${id}-born`,
  }));
  for (const { location, incarnation } of acceptors) createSqliteTable(location, incarnation);
  const stores = new StorePool(openStore);
  stores.learn(acceptors);
  onTestFinished(() => stores.close());
  const ports = productionPorts((id) => stores.get(id));
  const configuration: Configuration = {
    number: 1 as ConfigurationNumber,
    previous: 0,
    quorums: majority(IDS),
  };
  const geometry = MACHINE_GEOMETRY;
  const process = "1".repeat(32) as ProcessId;
  hosted = new Hosted({ machine: MACHINE, geometry, code: machineCode(tally), process, ports });
  await found(ports, MACHINE, configuration, geometry);
  await hosted.lead(configuration, 10_000);
  for (let n = 0; n < COMMANDS; n++) await hosted.send([{ command: { type: "add", amount: 1 } }]);
  order = { machine: MACHINE, source: await sourceOf("test/support/tally.ts"), configuration, acceptors };
});

it("takes it while the machine is led, from the tables and the machine's file alone", async () => {
  const [taken] = await Promise.all([
    takeInThread(order, never),
    hosted.send([{ command: { type: "add", amount: 1 } }]),
  ]);
  expect(taken.truncated.toSorted()).toEqual(IDS);
  expect(taken).toMatchObject({ parts: 1, left: [] });
  for (const { location } of acceptors) {
    const { snapshotSlot, covered = 0, contents } = await contentsOf(location, MACHINE);
    expect(snapshotSlot).toBe(taken.slot);
    expect(contents).toBe(taken.parts + (covered - taken.slot) / MACHINE_GEOMETRY.chunkSlots);
  }
});

it("leaves a table that is gone, and gives the others theirs", async () => {
  const [first, ...others] = acceptors;
  const known = [{ ...(first as AcceptorServer), location: `${first?.location}-elsewhere` }, ...others];
  const taken = await takeInThread({ ...order, acceptors: known }, never);
  expect(taken.truncated.toSorted()).toEqual(["a2", "a3"]);
  expect(taken.left).toEqual([{ acceptor: "a1", why: "the table is lost" }]);
});

it("says why there is none: no such file, no such machine in it, no table, a file that was edited", async () => {
  const elsewhere = acceptors.map((each) => ({ ...each, location: `${each.location}-elsewhere` }));
  await expect(takeInThread({ ...order, acceptors: elsewhere }, never)).rejects.toThrow(/no table of it/);
  const file = "test/support/tallies.ts";
  await expect(takeInThread({ ...order, source: { file, digest: "" } }, never)).rejects.toThrow(
    /there is no file/,
  );
  const source = await sourceOf("examples/bank.ts");
  await expect(takeInThread({ ...order, source }, never)).rejects.toThrow(/exports no machine of the name/);
  const edited = { ...(await sourceOf("test/support/tally.ts")), digest: source.digest };
  await expect(takeInThread({ ...order, source: edited }, never)).rejects.toThrow(/was changed since/);
});

it("ends at once when it is told to", async () => {
  const stopping = new AbortController();
  const taking = takeInThread(order, stopping.signal);
  stopping.abort(new Error("the process is stopping"));
  await expect(taking).rejects.toThrow("the process is stopping");
  await expect(takeInThread(order, stopping.signal)).rejects.toThrow("the process is stopping");
});

it("stops at what it cannot read, and no table is truncated", async () => {
  for (const { location } of acceptors) {
    const database = new DatabaseSync(location);
    database.exec("UPDATE content SET text = 'damaged'");
    database.close();
  }
  await expect(takeInThread(order, never)).rejects.toThrow(/no snapshot of tally\/main was taken/);
  for (const { location } of acceptors)
    expect(await contentsOf(location, MACHINE)).toMatchObject({ snapshotSlot: 0 });
});
