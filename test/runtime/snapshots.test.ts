/** When threads are started for snapshots, and what a snapshot does to a machine that is led meanwhile. */
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { machineCode } from "../../shared/machine.ts";
import type { ConfigurationNumber, ProcessId } from "../../shared/protocol/ballot.ts";
import type { Configuration, MachineId } from "../../shared/protocol/configuration.ts";
import { type AcceptorId, majority } from "../../shared/protocol/quorum.ts";
import { MACHINE_GEOMETRY, type Slot } from "../../shared/protocol/slot.ts";
import { history } from "../../shared/runtime/fleet/history.ts";
import { replicaAt } from "../../shared/runtime/fleet/past.ts";
import { found } from "../../shared/runtime/found.ts";
import { Hosted } from "../../shared/runtime/hosted.ts";
import { productionPorts, sha256 } from "../../shared/runtime/ports-production.ts";
import type { SnapshotOrder } from "../../shared/runtime/snapshots/snapshot.worker.ts";
import { Snapshots } from "../../shared/runtime/snapshots/snapshots.ts";
import { type Taken, takeSnapshot } from "../../shared/runtime/snapshots/take-snapshot.ts";
import { StorePool } from "../../shared/runtime/store-pool.ts";
import { memoryStore } from "../../shared/storage/memory.ts";
import { tally } from "../support/tally.ts";

const IDS = ["a1", "a2", "a3"] as AcceptorId[];
const CONFIGURATION: Configuration = {
  number: 1 as ConfigurationNumber,
  previous: 0,
  quorums: majority(IDS),
};
const SLOTS = 64;
const code = machineCode(tally);
const geometry = MACHINE_GEOMETRY;

class Deployment {
  readonly stores = new StorePool(() => memoryStore());
  readonly ports = productionPorts((id) => this.stores.get(id));
  #processes = 0;

  constructor() {
    this.stores.learn(IDS.map((id) => ({ id, kind: "memory", location: id, incarnation: id })));
  }

  async lead(name: string): Promise<Hosted> {
    const machine = name as MachineId;
    const process = String(++this.#processes).padStart(32, "0") as ProcessId;
    const hosted = new Hosted({ machine, geometry, code, process, ports: this.ports });
    await found(this.ports, machine, CONFIGURATION, geometry);
    await hosted.lead(CONFIGURATION, 5_000);
    return hosted;
  }

  take = ({ machine, configuration }: SnapshotOrder): Promise<Taken> =>
    takeSnapshot({ machine, geometry, code, ports: this.ports }, configuration);

  historyOf(hosted: Hosted, from?: number) {
    const { machine, host } = hosted;
    const options = { machine, geometry, acceptors: IDS, stores: this.stores, log: host.log, digest: sha256 };
    return history(options, from as Slot | undefined, host.replica.applied);
  }

  stateAt({ machine, host }: Hosted, at: number) {
    const options = { machine, geometry, code, ports: this.ports, configuration: CONFIGURATION };
    return replicaAt({ ...options, recent: host.log }, at as Slot);
  }
}

async function add(hosted: Hosted, count: number): Promise<void> {
  for (let n = 0; n < count; n++) await hosted.send([{ command: { type: "add", amount: 1 } }]);
}

async function slotsOf(log: AsyncIterable<readonly [Slot, string]>): Promise<readonly number[]> {
  const slots: number[] = [];
  for await (const [slot] of log) slots.push(slot);
  return slots;
}

const settled = () => sleep(20);

describe("snapshots", () => {
  interface Try {
    readonly order: SnapshotOrder;
    readonly signal: AbortSignal;
    readonly taken: (taken: Taken) => void;
    readonly failed: (error: Error) => void;
  }

  /** Threads that do as the test says. */
  function manual(deployment: Deployment) {
    const tries: Try[] = [];
    const told: unknown[] = [];
    const snapshots = new Snapshots({
      slots: SLOTS,
      source: { file: "", digest: "" },
      take: (order, signal) =>
        new Promise((taken, failed) => {
          tries.push({ order, signal, taken, failed });
          signal.addEventListener("abort", () => failed(signal.reason));
        }),
      ports: deployment.ports,
      events: {
        begun() {},
        taken: (machine, { slot }) => told.push([machine, slot]),
        failed: (machine, error) => told.push([machine, (error as Error).message]),
      },
    });
    return { snapshots, tries, told };
  }

  const takenAt = (slot: number): Taken => {
    return { slot: slot as Slot, snapshot: `${slot}-1-d`, parts: 1, bytes: 1, truncated: IDS, left: [] };
  };
  const subject = (usedAt = 0) => ({ usedAt, tables: () => [] });

  it("are taken one at a time, first of the machine used last", async () => {
    const deployment = new Deployment();
    const { snapshots, tries, told } = manual(deployment);
    const [one, two, three] = await Promise.all(
      ["tally/one", "tally/two", "tally/three"].map((id) => deployment.lead(id)),
    );
    snapshots.watch(subject(1), one as Hosted);
    snapshots.watch(subject(2), two as Hosted);
    snapshots.watch(subject(3), three as Hosted);
    await add(one as Hosted, SLOTS + 1);
    await add(two as Hosted, SLOTS + 1);
    await add(three as Hosted, SLOTS + 1);
    expect(tries.map(({ order }) => order.machine)).toEqual(["tally/one"]);
    tries[0]?.taken(takenAt(64));
    await settled();
    expect(tries.map(({ order }) => order.machine)).toEqual(["tally/one", "tally/three"]);
    tries[1]?.failed(new Error("it crashed"));
    await settled();
    expect(tries.map(({ order }) => order.machine)).toEqual(["tally/one", "tally/three", "tally/two"]);
    expect(told).toEqual([
      ["tally/one", 64],
      ["tally/three", "it crashed"],
    ]);
  });

  it("are taken again only after more log, and sooner after one that failed", async () => {
    const deployment = new Deployment();
    const { snapshots, tries } = manual(deployment);
    const hosted = await deployment.lead("tally/one");
    snapshots.watch(subject(), hosted);
    await add(hosted, SLOTS);
    expect(tries.length).toBe(1);
    tries[0]?.failed(new Error("it crashed"));
    await settled();
    await add(hosted, SLOTS / 8 - 1);
    expect(tries.length).toBe(1);
    await add(hosted, 1);
    expect(tries.length).toBe(2);
    tries[1]?.taken(takenAt(72));
    await settled();
    await add(hosted, SLOTS - 1);
    expect(tries.length).toBe(2);
    await add(hosted, 1);
    expect(tries.length).toBe(3);
  });

  it("are not taken by a process that does not lead, or was deposed while it waited", async () => {
    const deployment = new Deployment();
    const { snapshots, tries } = manual(deployment);
    const [busy, waiting] = [await deployment.lead("tally/busy"), await deployment.lead("tally/waiting")];
    snapshots.watch(subject(), busy);
    snapshots.watch(subject(), waiting);
    await add(busy, SLOTS);
    await add(waiting, SLOTS);
    waiting.host.resign();
    tries[0]?.taken(takenAt(64));
    await settled();
    expect(tries.length).toBe(1);
  });

  it("are stopped when the process stops, and that is no failure to report", async () => {
    const deployment = new Deployment();
    const { snapshots, tries, told } = manual(deployment);
    const hosted = await deployment.lead("tally/one");
    snapshots.watch(subject(), hosted);
    await add(hosted, SLOTS);
    await snapshots.close();
    expect(tries[0]?.signal.aborted).toBe(true);
    await add(hosted, SLOTS);
    expect(tries.length).toBe(1);
    expect(told).toEqual([]);
  });

  it("are known to the next leader from the tables", async () => {
    const deployment = new Deployment();
    const first = await deployment.lead("tally/one");
    await add(first, SLOTS);
    await deployment.take({
      machine: first.machine,
      configuration: CONFIGURATION,
      acceptors: [],
      source: { file: "", digest: "" },
    });
    first.host.resign();
    const { snapshots, tries } = manual(deployment);
    const second = await deployment.lead("tally/one");
    snapshots.watch(subject(), second);
    await add(second, SLOTS - 1);
    expect(second.host.truncatedHead?.snapshotSlot).toBe(SLOTS);
    expect(tries.length).toBe(0);
    await add(second, 1);
    expect(tries.length).toBe(1);
  });
});

describe("a snapshot taken while the machine is led", () => {
  it("stands for the log through the last full chunk, and the leader goes on", async () => {
    const deployment = new Deployment();
    const hosted = await deployment.lead("tally/one");
    await add(hosted, 203);
    const [taken] = await Promise.all([
      deployment.take({
        machine: hosted.machine,
        configuration: CONFIGURATION,
        acceptors: [],
        source: { file: "", digest: "" },
      }),
      add(hosted, 20),
    ]);
    expect(taken.slot).toBeGreaterThanOrEqual(200);
    expect(taken.slot % geometry.chunkSlots).toBe(0);
    expect(taken.truncated.toSorted()).toEqual(IDS);
    await add(hosted, 20);
    expect(hosted.host.truncatedHead?.snapshotSlot).toBe(taken.slot);
    expect(hosted.host.replica.state).toMatchObject({ total: 243 });
    hosted.host.resign();
    const next = await deployment.lead("tally/one");
    expect(next.host.replica.state).toEqual(hosted.host.replica.state);
  });

  it("fails, in words, when no table of the configuration is there any more", async () => {
    const deployment = new Deployment();
    const quorums = majority(["b1", "b2", "b3"] as AcceptorId[]);
    const order = {
      machine: "tally/one" as MachineId,
      configuration: { ...CONFIGURATION, quorums },
      acceptors: [],
      source: { file: "", digest: "" },
    };
    await expect(deployment.take(order)).rejects.toThrow(/no snapshot of tally\/one was taken: no table/);
  });
});

describe("the log of a machine that was truncated", () => {
  async function truncated(): Promise<{ deployment: Deployment; hosted: Hosted; through: number }> {
    const deployment = new Deployment();
    const hosted = await deployment.lead("tally/one");
    await add(hosted, 400);
    const { slot } = await deployment.take({
      machine: hosted.machine,
      configuration: CONFIGURATION,
      acceptors: [],
      source: { file: "", digest: "" },
    });
    await add(hosted, 300);
    return { deployment, hosted, through: slot };
  }

  it("begins after the snapshot, and says so to whoever asks for more", async () => {
    const { deployment, hosted, through } = await truncated();
    const there = Array.from({ length: 700 - through }, (_, index) => through + 1 + index);
    expect(await slotsOf(deployment.historyOf(hosted))).toEqual(there);
    expect(await slotsOf(deployment.historyOf(hosted, through + 1))).toEqual(there);
    await expect(slotsOf(deployment.historyOf(hosted, through))).rejects.toMatchObject({
      code: "trimmed",
      trimmedThrough: through,
      message: `slot ${through} of tally/one was trimmed: a snapshot took the place of slots 1 to ${through}, and the log begins at ${through + 1}`,
    });
  });

  it("breaks off, saying so, when it is truncated while it is read; and one that was not begun begins later", async () => {
    const { deployment, hosted, through } = await truncated();
    const reading = deployment.historyOf(hosted, through + 1);
    const order = {
      machine: hosted.machine,
      configuration: CONFIGURATION,
      acceptors: [],
      source: { file: "", digest: "" },
    };
    expect((await reading.next()).value?.[0]).toBe(through + 1);
    const { slot } = await deployment.take(order);
    await expect(slotsOf(reading)).rejects.toMatchObject({ code: "trimmed", trimmedThrough: slot });
    expect((await slotsOf(deployment.historyOf(hosted)))[0] ?? slot + 1).toBe(slot + 1);
  });

  it("gives the state after any slot from the snapshot on, and says so of one before", async () => {
    const { deployment, hosted, through } = await truncated();
    for (const at of [through, through + 1, through + 150, 699, 700])
      expect((await deployment.stateAt(hosted, at)).state).toMatchObject({ total: at });
    await expect(deployment.stateAt(hosted, through - 1)).rejects.toMatchObject({
      code: "trimmed",
      trimmedThrough: through,
    });
  });

  it("is there from its beginning while any table has all of it", async () => {
    const deployment = new Deployment();
    const hosted = await deployment.lead("tally/one");
    await add(hosted, 400);
    const one = { ...CONFIGURATION, quorums: majority([IDS[0] as AcceptorId]) };
    await deployment.take({
      machine: hosted.machine,
      configuration: one,
      acceptors: [],
      source: { file: "", digest: "" },
    });
    expect((await slotsOf(deployment.historyOf(hosted)))[0]).toBe(1);
    expect((await slotsOf(deployment.historyOf(hosted, 1))).length).toBe(400);
  });
});

describe("a reconfiguration of a machine that was truncated", () => {
  it("copies the snapshot and what came after it, and tells how far it is", async () => {
    const deployment = new Deployment();
    const hosted = await deployment.lead("tally/one");
    await add(hosted, 400);
    const { machine } = hosted;
    const { slot } = await deployment.take({
      machine,
      configuration: CONFIGURATION,
      acceptors: [],
      source: { file: "", digest: "" },
    });
    await add(hosted, 40);
    const quorums = majority(["a1", "a2", "a4"] as AcceptorId[]);
    deployment.stores.learn([{ id: "a4" as AcceptorId, kind: "memory", location: "a4", incarnation: "a4" }]);
    const to = { number: 2 as ConfigurationNumber, previous: 1 as ConfigurationNumber, quorums };
    await found(deployment.ports, machine, to, geometry, "all");
    const told = new Map<string, number>();
    const moved = hosted.reconfigure(CONFIGURATION, to);
    const watching = setInterval(() => {
      for (const [id, { covered }] of hosted.progress ?? []) told.set(id, covered);
    });
    await moved;
    clearInterval(watching);
    expect(hosted.progress).toBeUndefined();
    expect(told.get("a4")).toBeGreaterThanOrEqual(slot);
    await hosted.lead(to, 5_000);
    expect(hosted.host.replica.state).toMatchObject({ total: 440 });
  });
});
