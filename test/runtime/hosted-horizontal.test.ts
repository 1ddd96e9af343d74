/** The driver of a machine that is reconfigured horizontally by epochs (PROTOCOL §8), on tables in memory. */
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import type { Cell } from "../../shared/protocol/acceptor.ts";
import type { ConfigurationNumber, ProcessId } from "../../shared/protocol/ballot.ts";
import type { Configuration, MachineId } from "../../shared/protocol/configuration.ts";
import { type AcceptorId, majority } from "../../shared/protocol/quorum.ts";
import type { MachineCode } from "../../shared/protocol/replica.ts";
import { laneOf, type Slot } from "../../shared/protocol/slot.ts";
import { found } from "../../shared/runtime/found.ts";
import { Hosted } from "../../shared/runtime/hosted.ts";
import type { Ports } from "../../shared/runtime/ports.ts";
import { productionPorts } from "../../shared/runtime/ports-production.ts";
import { memoryStore } from "../../shared/storage/memory.ts";

const MACHINE = "list/main" as MachineId;
const geometry = { lanes: 4, chunkSlots: 2 };
const ids = ["r1", "r2", "r3", "r4"] as AcceptorId[];
const first: Configuration = {
  number: 1 as ConfigurationNumber,
  previous: 0,
  quorums: majority(ids.slice(0, 3)),
};
const reconfigure = { expect: first.number, quorums: majority(ids.slice(1)) };

const list: MachineCode = {
  init: () => [],
  apply: (state, command) => (state as unknown[]).push(command),
  freeze: () => new Uint8Array(),
  thaw: () => [],
};

/** A led machine whose slot 1 is used; what is voted in `held` arrives when it is released. */
async function start(held: number) {
  const tables = new Map(ids.map((id) => [id, memoryStore()]));
  const real = productionPorts((id) => tables.get(id));
  const waiting: (() => void)[] = [];
  let isHolding = true;
  const ports: Ports = {
    ...real,
    ask(acceptor, machine, verbs, done) {
      const ask = (): void => real.ask(acceptor, machine, verbs, done);
      if (isHolding && verbs.some((verb) => verb.verb === "vote" && verb.slot === held)) waiting.push(ask);
      else ask();
    },
  };
  await found(ports, MACHINE, first, geometry);
  const hosted = new Hosted({
    machine: MACHINE,
    geometry,
    code: list,
    process: "1".repeat(32) as ProcessId,
    ports,
    horizontal: { first },
  });
  await hosted.lead(first, 1_000);
  await hosted.send([{ command: "A" }]);
  const release = (): void => {
    isHolding = false;
    for (const ask of waiting.splice(0)) ask();
  };
  const valueIn = async (id: AcceptorId, slot: number): Promise<string | undefined> => {
    const key = { kind: "cell", configuration: first.number, lane: laneOf(geometry, slot as Slot) } as const;
    const [outcome] = (await tables.get(id)?.execute(MACHINE, [{ verb: "read", key }])) ?? [];
    const cell = outcome?.outcome === "applied" ? (outcome.item as Cell) : undefined;
    return cell?.slot === slot ? cell.vote?.value.text : undefined;
  };
  return { hosted, release, valueIn };
}

test("a command in a void slot is proposed again by itself, and answered once", async () => {
  const { hosted, release, valueIn } = await start(2);
  const reconfigured = hosted.send([{ reconfigure }]);
  const sent = hosted.send([{ command: "B" }]);
  while ((await valueIn(ids[0] as AcceptorId, 3)) === undefined) await sleep(1);
  expect(hosted.host.replica.applied).toBe(1);
  release();
  expect(await reconfigured).toMatchObject([{ reply: "reconfiguration", slot: 2 }]);
  expect(await sent).toMatchObject([{ reply: "response", slot: 3, response: "2" }]);
  expect(hosted.host.configuration?.number).toBe(2);
  expect(hosted.host.replica.state).toEqual(["A", "B"]);
});

test("who hands over does not go on, and says of void commands that they were never executed", async () => {
  const { hosted, release, valueIn } = await start(2);
  const reconfigured = hosted.send([{ reconfigure }]);
  const sent = hosted.send([{ command: "B" }]);
  while ((await valueIn(ids[0] as AcceptorId, 3)) === undefined) await sleep(1);
  const left = hosted.handOver();
  release();
  expect(await reconfigured).toMatchObject([{ slot: 2 }]);
  expect(await sent).toMatchObject([{ code: "not_leader" }]);
  await left;
  expect([hosted.host.leading, hosted.host.configuration?.number]).toEqual([false, 1]);
  expect(hosted.host.replica.state).toEqual(["A"]);
});

test("it tells which configuration is installed, and leads the one of its state whatever it is asked to lead", async () => {
  const { hosted, release } = await start(0);
  release();
  const installed: number[] = [];
  hosted.on("epochInstalled", ({ number }) => installed.push(number));
  await hosted.send([{ reconfigure }]);
  while (!installed.includes(2)) await sleep(1);
  hosted.host.resign();
  await hosted.lead(first, 1_000);
  expect(hosted.host.configuration).toEqual({ number: 2, previous: 1, quorums: reconfigure.quorums });
});
