/** The driver of founding: whoever does not answer is given up, and not asked for ever. By a clock that the test turns. */
import { expect, test } from "vitest";
import { UNKNOWN } from "../../shared/protocol/acceptor.ts";
import type { ConfigurationNumber } from "../../shared/protocol/ballot.ts";
import type { Configuration, MachineId } from "../../shared/protocol/configuration.ts";
import { type AcceptorId, majority } from "../../shared/protocol/quorum.ts";
import { found } from "../../shared/runtime/found.ts";
import type { Ports } from "../../shared/runtime/ports.ts";

const machine = "tally/main" as MachineId;
const acceptors = ["a1", "a2", "a3"] as AcceptorId[];
const configuration: Configuration = {
  number: 2 as ConfigurationNumber,
  previous: 1,
  quorums: majority(acceptors),
};
const geometry = { lanes: 4, chunkSlots: 2 };
const LONG_MS = 60_000;

/** Acceptors that answer at once, but for one that never does. */
function world() {
  let now = 0;
  const timers = new Set<{ readonly at: number; readonly call: () => void }>();
  const ports = {
    ask: (acceptor, _, verbs, done) =>
      done(verbs.map(() => (acceptor === "a3" ? UNKNOWN : { outcome: "applied" }))),
    after(delayMs, call) {
      const timer = { at: now + delayMs, call };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
    random: () => 0.5,
  } as Ports;
  const pass = (ms: number): void => {
    const end = now + ms;
    const due = () => [...timers].filter(({ at }) => at <= end).sort((one, other) => one.at - other.at)[0];
    for (let next = due(); next !== undefined; next = due()) {
      timers.delete(next);
      now = next.at;
      next.call();
    }
    now = end;
  };
  return { ports, pass, timers };
}

test("a later configuration needs all its acceptors; one that never answers is given up, and asked no more", async () => {
  const { ports, pass, timers } = world();
  const founding = found(ports, machine, configuration, geometry, "all");
  const refused = expect(founding).rejects.toThrow("too few of its acceptors answer");
  pass(LONG_MS);
  await refused;
  expect(timers.size).toBe(0);
});

test("a first one begins without it, and asks it no more", async () => {
  const { ports, pass, timers } = world();
  const founding = found(ports, machine, configuration, geometry);
  pass(LONG_MS);
  await founding;
  expect(timers.size).toBe(0);
});
