/** Many machines on few leaders: who takes over what, and what it costs those who are not asked. */
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import type { MachineId } from "../../shared/protocol/configuration.ts";
import { majority } from "../../shared/protocol/quorum.ts";
import { rank } from "../../shared/runtime/fleet/rendezvous.ts";
import type { Identity } from "../../shared/runtime/peers/message.ts";
import { until } from "../support/deployment.ts";
import { type FleetNode, Fleets } from "../support/fleets.ts";
import { forEach } from "../support/for-each.ts";

const AT_ONCE = 32;
/** Longer than what counts as "in use". */
const IDLE_MS = 61_000;
/** What was just done is told to the peers a little later, and is not idle before. */
const TOLD_MS = 300;
/** Long enough for a few rounds of everything that is timed, and that should not happen. */
const QUIET_MS = 1_500;

/** Longer than a newcomer has to live before it is given anything. */
const LIVED_MS = 4_000;

const machines = (count: number) =>
  Array.from({ length: count }, (_, index) => `tally/m${index}` as MachineId);
const ledBy = ({ id }: FleetNode, all: readonly MachineId[], fleets: Fleets) =>
  all.filter((machine) => fleets.leadersOf(machine).includes(id));

async function started(leaders: number, count: number) {
  const fleets = await Fleets.start();
  for (let joined = 0; joined < leaders; joined++) await fleets.join();
  const all = machines(count);
  await forEach(all, AT_ONCE, (machine) => fleets.add(machine));
  await sleep(TOLD_MS);
  return { fleets, all, nodes: [...fleets.nodes] as [FleetNode, FleetNode, ...FleetNode[]] };
}

/** Every machine that is led at all is led by one, and by the one that it belongs to. */
function expectAtHome(fleets: Fleets, all: readonly MachineId[]): void {
  const ids = fleets.nodes.map(({ id }) => id);
  for (const machine of all) expect(fleets.leadersOf(machine), machine).toEqual([rank(machine, ids)[0]]);
}

test("a leader of hundreds dies: those in use are taken over, the newest first, the idle when they are used, all without the registry", async () => {
  const {
    fleets,
    all,
    nodes: [one, other],
  } = await started(2, 1_000);
  expectAtHome(fleets, all);
  fleets.forward(IDLE_MS);
  const inUse = ledBy(one, all, fleets).slice(0, 40);
  for (const machine of inUse) {
    await fleets.add(machine);
    fleets.forward(10);
  }
  await until(() =>
    inUse.every((machine) => other.peers.leaderOf(machine) && other.fleet.find(machine)?.followed),
  );
  const [commands, lookups, led] = [fleets.commands.length, fleets.lookups.length, other.led.length];
  one.kill();
  await until(() => other.led.length >= led + inUse.length);
  await sleep(QUIET_MS);
  expect(other.led.slice(led)).toEqual(inUse.toReversed());
  expect(other.failures).toEqual([]);
  await forEach(all, AT_ONCE, async (machine) =>
    expect(await fleets.add(machine)).toBe(inUse.includes(machine) ? 3 : 2),
  );
  expectAtHome(fleets, all);
  expect([fleets.commands.length, fleets.lookups.length]).toEqual([commands, lookups]);
});

test("what nobody alive has led is looked up, which is a read; only a new machine costs the registry commands", async () => {
  const {
    fleets,
    all,
    nodes: [one],
  } = await started(1, 10);
  one.kill();
  const [commands, lookups] = [fleets.commands.length, fleets.lookups.length];
  await fleets.join();
  await forEach(all, 1, async (machine) => expect(await fleets.add(machine)).toBe(2));
  expect(fleets.commands.length).toBe(commands);
  expect(fleets.lookups.slice(lookups)).toEqual(all);
  await fleets.add("tally/new" as MachineId);
  expect(fleets.commands.slice(commands).map(({ type }) => type)).toEqual(["registerMachine", "complete"]);
});

test("a standby keeps what is used, and of an idle machine no more than where it is", async () => {
  const {
    fleets,
    all,
    nodes: [one],
  } = await started(1, 50);
  fleets.forward(IDLE_MS);
  const [used, ...idle] = all as [MachineId, ...MachineId[]];
  await fleets.add(used);
  const standby = await fleets.join();
  const follows = (machine: MachineId) => standby.fleet.find(machine)?.loaded?.host.replica.applied;
  await until(() => follows(used) === 2);
  for (const machine of idle) {
    expect(standby.fleet.find(machine)?.loaded).toBeUndefined();
    expect(standby.peers.leaderOf(machine)?.led.location.acceptors.length).toBe(3);
  }
  const [first] = idle as [MachineId];
  const node = one.fleet.find(first)?.isServing === true;
  expect(node).toBe(true);
  await fleets.add(first);
  await until(() => follows(first) === 2);
});

test("an idle machine causes no writes at all, whoever leads it, and whoever comes or drains", async () => {
  const {
    fleets,
    all,
    nodes: [one],
  } = await started(3, 60);
  await sleep(QUIET_MS);
  fleets.forward(IDLE_MS);
  const { writes, commands } = fleets;
  const asked = commands.length;
  const newcomer = await fleets.join();
  const ids = fleets.nodes.map(({ id }) => id);
  // Those that belong to the newcomer are led by nobody then.
  const its = all.filter((machine) => rank(machine, ids)[0] === newcomer.id);
  await until(() => its.every((machine) => fleets.leadersOf(machine).length === 0));
  one.fleet.drain();
  await until(() => one.fleet.leads === 0);
  await sleep(QUIET_MS);
  expect([fleets.writes - writes, commands.length - asked]).toEqual([0, 0]);
});

/** Uses the machines over and over until it is told to stop; every answer is the next total, or it throws. */
function load(fleets: Fleets, used: readonly MachineId[]) {
  let isOver = false;
  const workers = used.map(async (machine) => {
    for (let total = await fleets.add(machine); !isOver; await sleep(5))
      expect(await fleets.add(machine), machine).toBe(++total);
  });
  return async () => {
    isOver = true;
    await Promise.all(workers);
  };
}

test("a leader that joins gets what belongs to it, once, while every command succeeds", async () => {
  const {
    fleets,
    all,
    nodes: [one],
  } = await started(1, 100);
  fleets.forward(IDLE_MS);
  const stop = load(fleets, all.slice(0, 40));
  await sleep(100);
  const [led, newcomer] = [one.led.length, await fleets.join()];
  const ids = [one.id, newcomer.id];
  const its = all.slice(0, 40).filter((machine) => rank(machine, ids)[0] === newcomer.id);
  await until(() => its.every((machine) => fleets.leadersOf(machine)[0] === newcomer.id));
  await sleep(QUIET_MS);
  await stop();
  await forEach(all, AT_ONCE, (machine) => fleets.add(machine));
  expectAtHome(fleets, all);
  expect(one.led.length).toBe(led);
  expect(new Set(newcomer.led).size).toBe(newcomer.led.length);
});

test("a leader that cannot reach the tables gets nothing that is in use", async () => {
  const {
    fleets,
    all,
    nodes: [one],
  } = await started(1, 20);
  const newcomer = await fleets.join({ isCutOff: true });
  await until(() => one.peers.hasLived(one.peers.live[0] as Identity, LIVED_MS));
  expect([one.fleet.leads, newcomer.fleet.leads]).toEqual([all.length, 0]);
  one.fleet.drain();
  await sleep(QUIET_MS);
  expect(one.fleet.leads).toBe(all.length);
});

test("a leader that drains hands all over, takes nothing new, and is missed by nobody when it is stopped", async () => {
  const {
    fleets,
    all,
    nodes: [one, other],
  } = await started(2, 100);
  fleets.forward(IDLE_MS);
  const stop = load(fleets, all.slice(0, 40));
  await sleep(100);
  one.fleet.drain();
  await until(() => one.fleet.leads === 0);
  await fleets.add("tally/new" as MachineId);
  await forEach(all.slice(40), AT_ONCE, (machine) => fleets.add(machine));
  for (const machine of all) expect(fleets.leadersOf(machine)).toEqual([other.id]);
  expect(() => other.fleet.drain()).toThrow("leader-2 is the last leader");
  one.kill();
  await sleep(100);
  await stop();
});

test("when nobody else is left, one that drains leads again", async () => {
  const {
    fleets,
    all,
    nodes: [one, other],
  } = await started(2, 10);
  one.fleet.drain();
  await until(() => one.fleet.leads === 0);
  other.kill();
  await forEach(all, 1, (machine) => fleets.add(machine));
  for (const machine of all) expect(fleets.leadersOf(machine)).toEqual([one.id]);
});

test("what is neither used nor led for long is let go, and read again when it is asked for", async () => {
  const {
    fleets,
    all,
    nodes: [one, other],
  } = await started(2, 4);
  const [machine] = all as [MachineId];
  const [leader, standby] = one.fleet.find(machine)?.isServing ? [one, other] : [other, one];
  await until(() => standby.fleet.find(machine)?.loaded?.host.replica.applied === 1);
  for (const node of [leader, standby]) node.fleet.find(machine)?.unload();
  expect(leader.fleet.find(machine)?.loaded).toBeDefined();
  expect(standby.fleet.find(machine)?.loaded).toBeUndefined();
  leader.kill();
  expect(await fleets.add(machine)).toBe(2);
});

test("whoever let a machine go leads it again by another ballot: one is used once in a process's life", async () => {
  const {
    fleets,
    all,
    nodes: [one],
  } = await started(1, 1);
  const [machine] = all as [MachineId];
  const member = one.fleet.member(machine);
  const { ballot } = member.hosted.host;
  member.hosted.host.resign();
  member.unload();
  expect(member.loaded).toBeUndefined();
  expect(await fleets.add(machine)).toBe(2);
  expect(ballot).toBeDefined();
  expect(member.hosted.host.ballot).not.toBe(ballot);
});

test("whoever slept while its machine moved finds it, though all tables that it knew are deleted", async () => {
  const fleets = await Fleets.start();
  const machine = "tally/moved" as MachineId;
  const sleeper = await fleets.join();
  expect(await fleets.add(machine)).toBe(1);
  const other = await fleets.join({ isAlone: true });
  const fresh = await Promise.all(["a4", "a5", "a6"].map((id) => fleets.addTable(id)));
  const override = { operator: "ada", reason: "nobody else hears of it" };
  await other.fleet.reconfigure(machine, async () => majority(fresh), { reason: override, override });
  other.kill();
  for (const old of ["a1", "a2", "a3"]) fleets.loseTable(old);
  expect(fleets.leadersOf(machine)).toEqual([sleeper.id]);
  expect(await fleets.add(machine)).toBe(2);
});
