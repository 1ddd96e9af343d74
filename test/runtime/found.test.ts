/** Founding on tables of which one never answers. */
import { expect, test } from "vitest";
import { UNKNOWN } from "../../shared/protocol/acceptor.ts";
import type { Configuration, MachineId } from "../../shared/protocol/configuration.ts";
import { type AcceptorId, majority } from "../../shared/protocol/quorum.ts";
import { MACHINE_GEOMETRY } from "../../shared/protocol/slot.ts";
import { found } from "../../shared/runtime/found.ts";
import type { Ports } from "../../shared/runtime/ports.ts";
import { Clock } from "../support/clock.ts";

test("a table that is silent is asked no more when all that need it have given up", async () => {
  const clock = new Clock();
  let asked = 0;
  const ports = {
    ask(acceptor: AcceptorId, _: MachineId, verbs: readonly unknown[], done: (outcomes: unknown) => void) {
      asked++;
      queueMicrotask(() => done(verbs.map(() => (acceptor === "c" ? UNKNOWN : { outcome: "applied" }))));
    },
    after: clock.after.bind(clock),
    random: () => 0,
  } as unknown as Ports;
  const quorums = majority(["a", "b", "c"] as AcceptorId[]);
  const configuration = { number: 2, previous: 1, quorums } as Configuration;
  const founded = found(ports, "tally/main" as MachineId, configuration, MACHINE_GEOMETRY, "all");
  const outcome = expect(founded).rejects.toThrow("too few of its acceptors answer");
  await clock.run(60_000);
  await outcome;
  const before = asked;
  await clock.run(60_000);
  expect(asked).toBe(before);
});
