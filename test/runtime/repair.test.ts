/** Lost tables are replaced by the processes themselves: real fleets, tables in memory. */
import { expect, test } from "vitest";
import type { MachineId } from "../../shared/protocol/configuration.ts";
import type { AcceptorId } from "../../shared/protocol/quorum.ts";
import { until } from "../support/deployment.ts";
import { Fleets } from "../support/fleets.ts";

const LOST = "a1" as AcceptorId;

function machines(count: number): readonly MachineId[] {
  return Array.from({ length: count }, (_, index) => `tally/m${index}` as MachineId);
}

async function isRepaired(fleets: Fleets, all: readonly MachineId[], lost: AcceptorId): Promise<boolean> {
  const acceptors = await Promise.all(all.map((machine) => fleets.acceptorsOf(machine)));
  return acceptors.every((ids) => ids.length === 3 && !ids.includes(lost));
}

test("a table that is gone is replaced in every machine, by one and the same spare", async () => {
  const fleets = await Fleets.start();
  await fleets.join();
  await fleets.join();
  await fleets.provision();
  const all = machines(10);
  for (const machine of all) expect(await fleets.add(machine)).toBe(1);
  fleets.loseTable(LOST);
  for (const machine of all) expect(await fleets.add(machine)).toBe(2);
  await until(() => isRepaired(fleets, all, LOST));
  const after = new Set((await Promise.all(all.map((machine) => fleets.acceptorsOf(machine)))).flat());
  expect(after.size).toBe(3);
  for (const machine of all) expect(await fleets.add(machine)).toBe(3);
  const said = fleets.commands.filter(({ type }) => type === "suspectAcceptor");
  expect(said.length).toBeLessThanOrEqual(fleets.nodes.length);
});

test("a machine that nobody leads is repaired by whoever should lead it", async () => {
  const fleets = await Fleets.start();
  const first = await fleets.join();
  await fleets.provision();
  const all = machines(4);
  for (const machine of all) await fleets.add(machine);
  first.kill();
  fleets.loseTable(LOST);
  await fleets.join();
  // One is used, and meets the loss; the others are only on the registry's list.
  await fleets.add(all[0] as MachineId);
  await until(() => isRepaired(fleets, all, LOST));
  for (const machine of all) expect(await fleets.add(machine)).toBeGreaterThanOrEqual(2);
});

test("without a spare the suspicion stands, and the repair follows when there is one", async () => {
  const fleets = await Fleets.start();
  const node = await fleets.join();
  const [machine] = machines(1) as [MachineId];
  await fleets.add(machine);
  fleets.loseTable(LOST);
  await fleets.add(machine);
  await until(() => node.repairs.includes(`${LOST} gone`));
  expect(await fleets.acceptorsOf(machine)).toContain(LOST);
  await fleets.provision();
  await until(() => isRepaired(fleets, [machine], LOST));
  expect(await fleets.add(machine)).toBe(3);
});

test("a leader that stays silent is replaced once, by one of the others", async () => {
  const fleets = await Fleets.start();
  const [one, two, three] = [await fleets.join(), await fleets.join(), await fleets.join()];
  const nodes = [one, two, three];
  const suspected: string[] = [];
  for (const { fleet } of nodes) fleets.watchLeaders(fleet, (id) => suspected.push(id));
  one.kill();
  await until(() => suspected.length > 0);
  expect(suspected).toEqual([one.id]);
  expect(await fleets.liveLeaders()).toEqual([two.id, three.id]);
  const said = fleets.commands.filter(({ type }) => type === "suspectLeader");
  expect(said).toEqual([expect.objectContaining({ leader: one.id, process: one.fleet.self.process })]);
});

test("a table that was left behind when its machine was founded gets its cells by a new configuration", async () => {
  const fleets = await Fleets.start();
  await fleets.join();
  const [machine] = machines(1) as [MachineId];
  fleets.silent.add(LOST);
  await fleets.add(machine);
  const before = await fleets.acceptorsOf(machine);
  expect(before).toContain(LOST);
  fleets.silent.delete(LOST);
  await until(async () => {
    await fleets.add(machine);
    return (await fleets.configurationOf(machine)) === 2;
  });
  expect(await fleets.acceptorsOf(machine)).toEqual(before);
});
