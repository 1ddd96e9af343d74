import { expect, it, vi } from "vitest";
import { textOf, watchingProgress } from "../../cli/commands/reconfiguring.ts";
import { OutcomeUnknown, Refused } from "../../shared/errors.ts";
import type { MachineStatus, ReconfigurationStatus } from "../../shared/wire.ts";

const COPYING: ReconfigurationStatus = {
  phase: "copying",
  tables: [
    { acceptor: "a4", covered: 800, of: 4_000 },
    { acceptor: "a5", covered: 0, of: 4_000, parts: { copied: 12, of: 107 } },
  ],
};
const TEXT = "copying … a4 has slots 1 to 800 of 4000 a5 has 12 of 107 parts of a snapshot";

function statusOf(number: number, reconfiguring?: ReconfigurationStatus): MachineStatus {
  const configuration = { number, mode: "majority", acceptors: ["a1", "a2", `a${number + 2}`] };
  const machine = { machine: "bank", id: "main", version: 1, configuration, leader: null, ballot: null };
  return { ...machine, chosen: 0, applied: 0, snapshot: 0, ...(reconfiguring && { reconfiguring }) };
}

/** The last one stays. */
function answering(...statuses: readonly MachineStatus[]): () => Promise<MachineStatus> {
  const rest = [...statuses];
  return async () => (rest.length > 1 ? (rest.shift() as MachineStatus) : (rest[0] as MachineStatus));
}

it("tells how far each table is", () => {
  expect(textOf(COPYING)).toBe(TEXT);
});

it("says so each second, in words or as JSON, and returns the answer", async () => {
  const written = vi.spyOn(process.stderr, "write").mockReturnValue(true);
  const answer = { number: 2, previous: 1, mode: "majority", acceptors: [] };
  for (const [json, line] of [
    [undefined, TEXT],
    [true, JSON.stringify({ reconfiguring: COPYING })],
  ] as const) {
    const status = answering(statusOf(1), statusOf(1, COPYING));
    const { promise, resolve } = Promise.withResolvers<unknown>();
    written.mockImplementationOnce(() => {
      resolve(answer);
      return true;
    });
    expect(await watchingProgress({ status, json }, () => promise)).toEqual(answer);
    expect(written).toHaveBeenLastCalledWith(`${line}\n`);
  }
  written.mockRestore();
});

it("asks the machine what came of it when the answer was lost", async () => {
  vi.spyOn(process.stderr, "write").mockReturnValue(true);
  const lost = async () => {
    throw new OutcomeUnknown("outcome_unknown", "no answer in time");
  };
  const done = answering(statusOf(1), statusOf(1, COPYING), statusOf(2));
  expect(await watchingProgress({ status: done, json: undefined }, lost)).toEqual({
    number: 2,
    previous: 1,
    mode: "majority",
    acceptors: ["a1", "a2", "a4"],
  });
  const failed = answering(statusOf(1), statusOf(1, COPYING), statusOf(1));
  await expect(watchingProgress({ status: failed, json: undefined }, lost)).rejects.toThrow(
    "no answer in time",
  );
  vi.restoreAllMocks();
});

it("hands on a refusal as it is", async () => {
  const refused = async () => {
    throw new Refused("not_endorsed", "too few leaders endorse it");
  };
  const status = answering(statusOf(1), statusOf(2));
  await expect(watchingProgress({ status, json: undefined }, refused)).rejects.toThrow("too few leaders");
});
