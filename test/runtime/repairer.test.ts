/** What a repair that fails for days costs the registry, whose log every command fills. */
import { EventEmitter } from "node:events";
import { expect, test } from "vitest";
import { Refused } from "../../shared/errors.ts";
import type { MachineId } from "../../shared/protocol/configuration.ts";
import type { Suspicion } from "../../shared/protocol/pool.ts";
import type { AcceptorId } from "../../shared/protocol/quorum.ts";
import { NOBODY, probeTables } from "../../shared/runtime/repair/prober.ts";
import { Repairer, type RepairerOptions } from "../../shared/runtime/repair/repairer.ts";
import { StorePool } from "../../shared/runtime/store-pool.ts";
import { memoryStore } from "../../shared/storage/memory.ts";
import { Clock } from "../support/clock.ts";

const DAY_MS = 86_400_000;
const LOST = "a" as AcceptorId;
const SPARE = "s" as AcceptorId;

const record = (id: AcceptorId, more: object) => ({
  id,
  kind: "memory",
  location: id,
  incarnation: id,
  ...more,
});

/** Of a leader process, as far as it is about tables. */
function start(of: { complaint?: Suspicion; state: "active" | "suspected"; error?: Error; answer?: object }) {
  const clock = new Clock();
  const said: string[] = [];
  const counted = { commands: 0, questions: 0, tries: 0 };
  const peers = Object.assign(new EventEmitter(), { tell() {} });
  const options = {
    fleet: {
      peers,
      self: { id: "leader-1" },
      knows: () => true,
      isMine: () => true,
      suspectsAre() {},
      member: () => ({ usedAt: 0 }),
      replaceTable: async () => {
        counted.tries++;
        throw of.error ?? new Error("too few answer");
      },
    },
    health: { complaints: () => new Map(of.complaint === undefined ? [] : [[LOST, of.complaint]]) },
    registry: {
      command: async ({ type, why }: { readonly type: string; readonly why?: Suspicion }) => {
        counted.commands++;
        said.push(why ?? type);
        return of.answer ?? { suspected: false, reason: "not now" };
      },
      servers: async () => {
        counted.questions++;
        const lost = record(LOST, { state: of.state, replacement: SPARE });
        return { leaders: [], acceptors: [lost, record(SPARE, { state: "active" })] };
      },
      machinesOn: async () => ["tally/m" as MachineId],
    },
    stores: new StorePool(memoryStore),
    ports: { after: clock.after.bind(clock), elapsed: () => clock.nowMs },
    events: { suspected() {}, notSuspected() {}, notRepaired() {} },
  };
  const repairer = new Repairer(options as unknown as RepairerOptions);
  repairer.start();
  return { clock, counted, peers, said, repairer, options };
}

test("a machine that cannot be repaired is tried again soon at first, and for days no more often than now and then", async () => {
  const { clock, counted } = start({ state: "suspected" });
  await clock.run(5_000);
  expect(counted.tries).toBeGreaterThanOrEqual(3);
  await clock.run(DAY_MS / 4);
  expect(counted.tries).toBeLessThan(60);
  expect(counted.questions).toBeLessThan(5_000);
});

test("what the registry does not take up is said again now and then", async () => {
  const { clock, counted } = start({ state: "active", complaint: "gone" });
  await clock.run(DAY_MS / 24);
  expect(counted.commands).toBeGreaterThan(5);
  expect(counted.commands).toBeLessThan(30);
});

test("news of a suspicion is acted on at once", async () => {
  const { clock, counted, peers } = start({ state: "suspected" });
  await clock.run(60_000);
  const before = counted.questions;
  peers.emit("suspects");
  await clock.run(0);
  expect(counted.questions).toBe(before + 1);
});

test("that a table is gone is said at once, though it was said in vain that it is slow", async () => {
  const table: Parameters<typeof start>[0] = { state: "active", complaint: "slow" };
  const { clock, said } = start(table);
  await clock.run(DAY_MS / 24);
  const before = said.length;
  table.complaint = "gone";
  await clock.run(250);
  expect(said.slice(before)).toEqual(["gone"]);
});

test("a suspect that nobody endorses to go is cleared in the end, but not by whoever complains of it", async () => {
  const error = new Refused("not_endorsed", "it answers as it should");
  const { clock, said } = start({ state: "suspected", error });
  await clock.run(30_000);
  expect(said).toEqual([]);
  await clock.run(60_000);
  expect(said).toEqual(["clearAcceptor"]);
  const accuser = start({ state: "suspected", error, complaint: "slow" });
  await accuser.clock.run(150_000);
  expect(accuser.said).not.toContain("clearAcceptor");
  const lonely = start({ state: "suspected" });
  await lonely.clock.run(150_000);
  expect(lonely.said).toEqual([]);
});

test("what was cleared by others is said again, after a good while", async () => {
  const { clock, said } = start({ state: "active", complaint: "gone", answer: { suspected: true } });
  await clock.run(200_000);
  expect(said).toEqual(["gone"]);
  await clock.run(200_000);
  expect(said).toEqual(["gone", "gone"]);
});

test("a suspicion that nobody told this process of is found by its probes", async () => {
  const table: Parameters<typeof start>[0] = { state: "active" };
  const { clock, counted, repairer, options } = start(table);
  const { registry, stores, ports } = options as unknown as RepairerOptions;
  const asked = new Set<MachineId>();
  const quiet = { ...ports, ask: (_: AcceptorId, machine: MachineId) => void asked.add(machine) };
  probeTables(registry, stores, quiet, () => repairer.pass());
  await clock.run(60_000);
  expect(counted.tries).toBe(0);
  // A leader's role may read no item of the registry's.
  expect([...asked]).toEqual([NOBODY]);
  table.state = "suspected";
  await clock.run(60_000);
  expect(counted.tries).toBeGreaterThan(0);
});
