/** A reconfiguration whose new tables fall silent: its driver gives up, so that others may be put in their place. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { machineCode } from "../../shared/machine.ts";
import { UNKNOWN, type Verb } from "../../shared/protocol/acceptor.ts";
import type { ConfigurationNumber, ProcessId } from "../../shared/protocol/ballot.ts";
import type { Configuration, MachineId } from "../../shared/protocol/configuration.ts";
import { type AcceptorId, majority } from "../../shared/protocol/quorum.ts";
import { MACHINE_GEOMETRY } from "../../shared/protocol/slot.ts";
import { found } from "../../shared/runtime/found.ts";
import { Hosted } from "../../shared/runtime/hosted.ts";
import { productionPorts } from "../../shared/runtime/ports-production.ts";
import { memoryStore } from "../../shared/storage/memory.ts";
import type { AcceptorStore } from "../../shared/storage/store.ts";
import { tally } from "../support/tally.ts";

const MACHINE = "tally/main" as MachineId;
const LEAD_MS_MAX = 10_000;
const LONG_MS = 120_000;

const configurationOf = (number: number, ...acceptors: string[]): Configuration => ({
  number: number as ConfigurationNumber,
  previous: number - 1,
  quorums: majority(acceptors as AcceptorId[]),
});
const isVote = ({ verb }: Verb): boolean => verb === "vote";
const isHeadRead = ({ verb, key }: Verb): boolean => verb === "read" && key.kind === "head";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A led machine; D is the table that does not answer what it is asked. */
async function world(isSilentAt: (verb: Verb) => boolean) {
  const stores = new Map<AcceptorId, AcceptorStore>(
    ["A", "B", "C", "D", "E"].map((name) => [name as AcceptorId, memoryStore()]),
  );
  const silent = memoryStore();
  stores.set("D" as AcceptorId, {
    ...silent,
    execute: async (machine, verbs) =>
      verbs.some(isSilentAt) ? verbs.map(() => UNKNOWN) : silent.execute(machine, verbs),
  });
  const ports = productionPorts((acceptor) => stores.get(acceptor));
  const process = "1".repeat(32) as ProcessId;
  const code = machineCode(tally);
  const hosted = new Hosted({ machine: MACHINE, geometry: MACHINE_GEOMETRY, code, process, ports });
  const first = configurationOf(1, "A", "B", "C");
  await found(ports, MACHINE, first, MACHINE_GEOMETRY);
  await hosted.lead(first, LEAD_MS_MAX);
  await hosted.send([{ command: { type: "add", amount: 1 } }]);
  const second = configurationOf(2, "A", "B", "D");
  await found(ports, MACHINE, second, MACHINE_GEOMETRY);
  return { ports, hosted, first, second };
}

test.for([
  ["copied to", isHeadRead],
  ["voted in", isVote],
] as const)("a new table that never answers when it is %s is given up", async ([, isSilentAt]) => {
  const { hosted, first, second } = await world(isSilentAt);
  const refused = expect(hosted.reconfigure(first, second)).rejects.toThrow("a table of it does not answer");
  await vi.advanceTimersByTimeAsync(LONG_MS);
  await refused;
  expect(hosted.host.reconfiguring).toBe(false);
});

test("after that the machine goes on in yet another configuration, with all that was answered", async () => {
  const { ports, hosted, first, second } = await world(isVote);
  const refused = expect(hosted.reconfigure(first, second)).rejects.toThrow();
  await vi.advanceTimersByTimeAsync(LONG_MS);
  await refused;
  const third = { ...configurationOf(3, "A", "B", "E"), previous: 1 };
  await found(ports, MACHINE, third, MACHINE_GEOMETRY);
  await hosted.reconfigure(first, third);
  await hosted.lead(third, LEAD_MS_MAX);
  const [reply] = await hosted.send([{ command: { type: "add", amount: 1 } }]);
  expect(reply).toMatchObject({ reply: "response", response: "2" });
});
