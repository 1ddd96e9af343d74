import { beforeEach, describe, expect, it } from "vitest";
import type { ConfigurationNumber, ProcessId } from "../../shared/protocol/ballot.ts";
import type { MachineId } from "../../shared/protocol/configuration.ts";
import {
  ACCEPTORS_MAX,
  type AcceptorId,
  MODES,
  majority,
  type QuorumSpec,
  withWitness,
} from "../../shared/protocol/quorum.ts";
import {
  type AcceptorServer,
  applyRegistry,
  initialRegistry,
  type Location,
  lookup,
  proposalOf,
  type RegistryCommand,
  type RegistryState,
} from "../../shared/protocol/registry.ts";
import { Refusal } from "../../shared/protocol/replica.ts";
import { CONTEXT, endorse, keyOf } from "../support/endorsing.ts";

const apply = (to: RegistryState, command: RegistryCommand): unknown => applyRegistry(to, command, CONTEXT);
let state: RegistryState;
beforeEach(() => {
  state = initialRegistry();
});

const REASON = { operator: "ada" };
const server = (id: string, more: Partial<AcceptorServer> = {}): AcceptorServer => ({
  id: id as AcceptorId,
  kind: "sqlite",
  location: `${id}.db`,
  incarnation: `${id}-1`,
  ...more,
});
const registerAcceptor = (acceptor: AcceptorServer) => apply(state, { type: "registerAcceptor", acceptor });
const registerMachine = (machine: string, acceptors?: number) =>
  apply(state, {
    type: "registerMachine",
    machine: machine as MachineId,
    ...(acceptors === undefined ? {} : { acceptors }),
  });
/** With the one endorsement that it needs, of a fleet of one; endorsement.test.ts is about those. */
function complete(name: string, number = 1): unknown {
  const [machine, configuration] = [name as MachineId, number as ConfigurationNumber];
  const leader = {
    id: "l1",
    process: "a".repeat(32) as ProcessId,
    address: "http://a",
    publicKey: keyOf("l1"),
  };
  apply(state, { type: "registerLeader", leader });
  const proposed = proposalOf(state, machine, number)?.proposed.configuration;
  const endorsements = proposed === undefined ? [] : [endorse("l1", machine, proposed)];
  return apply(state, { type: "complete", machine, configuration, endorsements });
}
const proposeQuorums = (nonce: string, quorums: QuorumSpec, machine = "m/1") =>
  apply(state, { type: "propose", machine: machine as MachineId, quorums, nonce, reason: REASON });
const propose = (nonce: string, acceptors = ["a", "b", "c"], machine = "m/1") =>
  proposeQuorums(nonce, majority(acceptors as AcceptorId[]), machine);
const numberOf = (location: unknown): number => (location as Location).configuration.number;
const acceptorsOf = (location: unknown) => (location as Location).configuration.quorums.acceptors;
const reasonOf = (response: unknown) => {
  expect(response).toBeInstanceOf(Refusal);
  return (response as Refusal).reason;
};
function withAcceptors(...ids: string[]): void {
  for (const id of ids) registerAcceptor(server(id));
}

describe("registerAcceptor", () => {
  it("is idempotent, and a known one may move", () => {
    expect(registerAcceptor(server("a"))).toEqual({ registered: "a" });
    expect(registerAcceptor(server("a", { location: "elsewhere.db" }))).toEqual({ registered: "a" });
    expect([...state.acceptors.values()]).toEqual([
      { ...server("a", { location: "elsewhere.db" }), state: "active" },
    ]);
  });

  it("refuses another incarnation under a known name, and keeps the first", () => {
    registerAcceptor(server("a"));
    expect(reasonOf(registerAcceptor(server("a", { incarnation: "a-2" })))).toBe(
      "a is registered with another incarnation: names are never reused",
    );
    expect(state.acceptors.get("a" as AcceptorId)).toEqual({ ...server("a"), state: "active" });
  });
});

describe("registerLeader", () => {
  it("keeps the latest process, address and key of each", () => {
    for (const [address, process] of [
      ["http://a", "a"],
      ["http://b", "b"],
    ] as const)
      expect(
        apply(state, {
          type: "registerLeader",
          leader: {
            id: "l1",
            process: process.repeat(32) as ProcessId,
            address,
            publicKey: keyOf(address),
          },
        }),
      ).toEqual({ registered: "l1" });
    expect([...state.leaders.values()]).toEqual([
      {
        id: "l1",
        process: "b".repeat(32),
        address: "http://b",
        publicKey: keyOf("http://b"),
        state: "live",
      },
    ]);
  });
});

describe("registerMachine", () => {
  it("makes configuration 1, not active yet, with a majority quorum system", () => {
    withAcceptors("a", "b", "c");
    expect(registerMachine("bank/1")).toEqual({
      configuration: {
        number: 1,
        previous: 0,
        quorums: { acceptors: ["a", "b", "c"], witnesses: [], read: { atLeast: 2 }, write: { atLeast: 2 } },
      },
      active: false,
      acceptors: [server("a"), server("b"), server("c")],
    });
  });

  it("gives everybody the same answer, whatever they ask for and whatever came meanwhile", () => {
    withAcceptors("b", "c", "d");
    const first = registerMachine("bank/1");
    withAcceptors("a", "e");
    registerMachine("bank/2");
    expect(registerMachine("bank/1")).toEqual(first);
    expect(registerMachine("bank/1", 5)).toEqual(first);
    expect(registerMachine("bank/1", 0)).toEqual(first);
    complete("bank/1");
    expect(registerMachine("bank/1")).toEqual({ ...(first as Location), active: true });
  });

  it("takes the least used acceptors, of equal ones the first by id", () => {
    withAcceptors("d", "b", "a", "c", "e");
    expect(acceptorsOf(registerMachine("m/1"))).toEqual(["a", "b", "c"]);
    expect(acceptorsOf(registerMachine("m/2"))).toEqual(["d", "e", "a"]);
    complete("m/1");
    expect(acceptorsOf(registerMachine("m/3"))).toEqual(["b", "c", "d"]);
    expect(acceptorsOf(registerMachine("m/4", 1))).toEqual(["e"]);
  });

  it("does not hang on the order in which acceptors came", () => {
    withAcceptors("c", "a", "d", "b");
    const other = initialRegistry();
    for (const id of ["b", "d", "a", "c"]) apply(other, { type: "registerAcceptor", acceptor: server(id) });
    const command = { type: "registerMachine", machine: "m/1" as MachineId, acceptors: 3 } as const;
    expect(apply(other, command)).toEqual(apply(state, command));
  });

  it.each([0, -1, 1.5, Number.NaN, ACCEPTORS_MAX + 1])("refuses %d acceptors", (count) => {
    withAcceptors("a", "b", "c");
    expect(reasonOf(registerMachine("m/1", count))).toBe(`a machine has 1 to 15 acceptors, not ${count}`);
    expect(state.machines.size).toBe(0);
  });

  it("refuses more acceptors than there are, and takes them once they are there", () => {
    withAcceptors("a", "b");
    expect(reasonOf(registerMachine("m/1"))).toBe("3 acceptors are needed and 2 are registered");
    expect(state.machines.size).toBe(0);
    withAcceptors("c");
    expect(acceptorsOf(registerMachine("m/1"))).toEqual(["a", "b", "c"]);
  });

  it.each([
    ["majority", 1],
    ["primaryBackup", 2],
    ["witness", 3],
  ] as const)("begins as the settings say: %s of %d", (mode, acceptors) => {
    withAcceptors("a", "b", "c", "d");
    registerMachine("before/1");
    apply(state, { type: "configure", machines: { mode, acceptors } });
    const quorumsOf = (location: unknown) => (location as Location).configuration.quorums;
    const expected = MODES[mode](acceptorsOf(registerMachine("m/1")) as AcceptorId[]);
    expect(quorumsOf(registerMachine("m/1"))).toEqual(expected);
    expect(expected.acceptors).toHaveLength(acceptors);
    // Whoever asks for a number gets a majority, and who was there before stays as it is.
    expect(quorumsOf(registerMachine("m/2", 3)).write).toEqual({ atLeast: 2 });
    expect(quorumsOf(registerMachine("before/1")).acceptors).toHaveLength(3);
  });

  it("begins with quorums of any two sizes that meet", () => {
    withAcceptors("a", "b", "c", "d");
    const machines = { mode: "quorums", acceptors: 4, read: 2, write: 3 } as const;
    apply(state, { type: "configure", machines });
    const { quorums } = (registerMachine("m/1") as Location).configuration;
    expect([quorums.read, quorums.write]).toEqual([{ atLeast: 2 }, { atLeast: 3 }]);
    expect(reasonOf(apply(state, { type: "configure", machines: { ...machines, read: 1 } }))).toContain(
      "miss",
    );
    expect(state.settings.machines).toEqual(machines);
  });

  it.each([
    ["witness", 1, "witnesses alone are a read quorum, and they keep no state to read"],
    ["majority", 16, "a machine has 1 to 15 acceptors, not 16"],
    ["primaryBackup", 0, "a machine has 1 to 15 acceptors, not 0"],
  ] as const)("is not set to begin as %s of %d", (mode, acceptors, fault) => {
    const before = state.settings;
    expect(reasonOf(apply(state, { type: "configure", machines: { mode, acceptors } }))).toBe(fault);
    expect(state.settings).toEqual(before);
  });
});

describe("complete (invariant 8)", () => {
  beforeEach(() => {
    withAcceptors("a", "b", "c");
    registerMachine("m/1");
  });

  it("activates configuration 1, once, however often it is said", () => {
    expect(complete("m/1")).toEqual({ activated: true });
    expect(complete("m/1")).toEqual({ activated: true });
    expect(state.machines.get("m/1" as MachineId)).toMatchObject({ active: 1, history: [1] });
  });

  it("refuses an unknown machine or configuration", () => {
    expect(reasonOf(complete("m/2"))).toBe("m/2 has no configuration 1");
    expect(reasonOf(complete("m/1", 2))).toBe("m/1 has no configuration 2");
    expect(lookup(state, "m/1" as MachineId)?.active).toBe(false);
  });
});

describe("propose", () => {
  beforeEach(() => {
    withAcceptors("a", "b", "c", "d");
    registerMachine("m/1");
    complete("m/1");
  });

  it("answers with the next number, its predecessor and where its acceptors are", () => {
    expect(propose("once", ["c", "a", "d"])).toEqual({
      configuration: {
        number: 2,
        previous: 1,
        quorums: { acceptors: ["c", "a", "d"], witnesses: [], read: { atLeast: 2 }, write: { atLeast: 2 } },
      },
      active: false,
      acceptors: [server("c"), server("a"), server("d")],
    });
    expect(lookup(state, "m/1" as MachineId)).toMatchObject({ active: true, configuration: { number: 1 } });
  });

  it("gives the same answer for the same nonce, whatever is asked for, and else always a new number", () => {
    const first = propose("first");
    expect(numberOf(propose("second"))).toBe(3);
    expect(propose("first")).toEqual(first);
    expect(propose("first", ["d"])).toEqual(first);
    expect(numberOf(propose("third"))).toBe(4);
  });

  it("takes any quorums that meet", () => {
    const quorums = withWitness(["a", "c", "d"] as AcceptorId[]);
    expect(proposeQuorums("once", quorums)).toMatchObject({ configuration: { quorums } });
  });

  it("refuses an unknown machine, and one that is not started", () => {
    registerMachine("m/2");
    for (const machine of ["m/2", "m/9"])
      expect(reasonOf(propose("once", ["a"], machine))).toBe(`${machine} is not started`);
  });

  it("refuses acceptors that nobody registered, and quorums that miss each other; no number is used up", () => {
    expect(reasonOf(propose("once", ["a", "x", "b"]))).toBe("there is no acceptor x");
    const missing = { ...majority(["a", "b"] as AcceptorId[]), read: { atLeast: 1 }, write: { atLeast: 1 } };
    expect(reasonOf(proposeQuorums("once", missing))).toBe("read quorum {a} misses write quorum {b}");
    expect(reasonOf(propose("once", []))).toBe("a configuration needs at least one acceptor");
    expect(numberOf(propose("once"))).toBe(2);
  });

  it("never uses a number again, whatever was activated or superseded", () => {
    const numbers = [1];
    for (let round = 0; round < 5; round++) {
      const [lost, won] = [numberOf(propose(`lost ${round}`)), numberOf(propose(`won ${round}`))];
      expect(complete("m/1", won)).toEqual({ activated: true });
      numbers.push(lost, won);
    }
    expect(numbers).toEqual([...new Set(numbers)].sort((one, other) => one - other));
    expect(numbers).toHaveLength(11);
  });

  it("gives a nonce that was used before the last activation another number", () => {
    propose("once");
    complete("m/1", 2);
    expect(propose("once")).toMatchObject({ configuration: { number: 3, previous: 2 } });
  });
});

describe("complete, of a proposal (invariant 8)", () => {
  beforeEach(() => {
    withAcceptors("a", "b", "c", "d");
    registerMachine("m/1");
    complete("m/1");
  });
  const record = () => state.machines.get("m/1" as MachineId);

  it("activates it, once, however often it is said, and whoever looks finds it", () => {
    const location = propose("once", ["b", "c", "d"]) as Location;
    expect(complete("m/1", 2)).toEqual({ activated: true });
    expect(complete("m/1", 2)).toEqual({ activated: true });
    expect(record()?.history).toEqual([1, 2]);
    expect(lookup(state, "m/1" as MachineId)).toEqual({ ...location, active: true });
  });

  it("activates only the first of two with one predecessor", () => {
    propose("slow");
    propose("fast");
    expect(complete("m/1", 3)).toEqual({ activated: true });
    expect(complete("m/1", 2)).toEqual({ activated: false });
    expect(record()).toMatchObject({ active: 3, history: [1, 3] });
  });

  it("says of one that was active once that it was activated, and does not bring it back", () => {
    propose("second");
    complete("m/1", 2);
    propose("third");
    complete("m/1", 3);
    for (const number of [1, 2]) expect(complete("m/1", number)).toEqual({ activated: true });
    expect(record()).toMatchObject({ active: 3, history: [1, 2, 3] });
  });

  it("activates a chain, each from the one before it, and nothing from an older one", () => {
    propose("stale");
    propose("second");
    complete("m/1", 3);
    propose("third");
    expect(complete("m/1", 4)).toEqual({ activated: true });
    expect(complete("m/1", 2)).toEqual({ activated: false });
    expect(record()?.history).toEqual([1, 3, 4]);
  });

  it("refuses a number that was never given", () => {
    expect(reasonOf(complete("m/1", 2))).toBe("m/1 has no configuration 2");
  });

  it("keeps no proposal that can never be activated", () => {
    for (let number = 2; number < 6; number++) propose(`nonce ${number}`);
    complete("m/1", 4);
    expect([...(record()?.configurations.keys() ?? [])]).toEqual([4]);
    expect(record()?.nonces.size).toBe(0);
  });
});

describe("lookup", () => {
  it("finds nothing before, the first configuration while it is founded, the active one afterwards", () => {
    withAcceptors("a", "b", "c");
    expect(lookup(state, "m/1" as MachineId)).toBeUndefined();
    const location = registerMachine("m/1");
    expect(lookup(state, "m/1" as MachineId)).toEqual(location);
    complete("m/1");
    expect(lookup(state, "m/1" as MachineId)).toMatchObject({ active: true, configuration: { number: 1 } });
  });

  it("changes nothing", () => {
    withAcceptors("a", "b", "c");
    registerMachine("m/1");
    const before = structuredClone(state);
    lookup(state, "m/1" as MachineId);
    lookup(state, "m/9" as MachineId);
    expect(state).toEqual(before);
  });
});
