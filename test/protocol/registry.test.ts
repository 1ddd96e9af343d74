import { beforeEach, describe, expect, it } from "vitest";
import type { ConfigurationNumber, ProcessId } from "../../shared/protocol/ballot.ts";
import type { MachineId } from "../../shared/protocol/configuration.ts";
import { ACCEPTORS_MAX, type AcceptorId } from "../../shared/protocol/quorum.ts";
import {
  type AcceptorServer,
  applyRegistry,
  initialRegistry,
  type Location,
  lookup,
  type RegistryState,
} from "../../shared/protocol/registry.ts";
import { Refusal } from "../../shared/protocol/replica.ts";

let state: RegistryState;
beforeEach(() => {
  state = initialRegistry();
});

const server = (id: string, more: Partial<AcceptorServer> = {}): AcceptorServer => ({
  id: id as AcceptorId,
  kind: "sqlite",
  location: `${id}.db`,
  incarnation: `${id}-1`,
  ...more,
});
const registerAcceptor = (acceptor: AcceptorServer) =>
  applyRegistry(state, { type: "registerAcceptor", acceptor });
const registerMachine = (machine: string, acceptors = 3) =>
  applyRegistry(state, { type: "registerMachine", machine: machine as MachineId, acceptors });
const complete = (machine: string, configuration = 1) =>
  applyRegistry(state, {
    type: "complete",
    machine: machine as MachineId,
    configuration: configuration as ConfigurationNumber,
  });
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
    expect([...state.acceptors.values()]).toEqual([server("a", { location: "elsewhere.db" })]);
  });

  it("refuses another incarnation under a known name, and keeps the first", () => {
    registerAcceptor(server("a"));
    expect(reasonOf(registerAcceptor(server("a", { incarnation: "a-2" })))).toBe(
      "a is registered with another incarnation: names are never reused",
    );
    expect(state.acceptors.get("a" as AcceptorId)).toEqual(server("a"));
  });
});

describe("registerLeader", () => {
  it("keeps the latest process and address of each", () => {
    for (const [address, process] of [
      ["http://a", "a"],
      ["http://b", "b"],
    ] as const)
      expect(
        applyRegistry(state, {
          type: "registerLeader",
          leader: { id: "l1", process: process.repeat(32) as ProcessId, address },
        }),
      ).toEqual({ registered: "l1" });
    expect([...state.leaders.values()]).toEqual([{ id: "l1", process: "b".repeat(32), address: "http://b" }]);
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
    for (const id of ["b", "d", "a", "c"])
      applyRegistry(other, { type: "registerAcceptor", acceptor: server(id) });
    const command = { type: "registerMachine", machine: "m/1" as MachineId, acceptors: 3 } as const;
    expect(applyRegistry(other, command)).toEqual(applyRegistry(state, command));
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

  it("does not activate what is to replace another than the active one", () => {
    complete("m/1");
    const record = state.machines.get("m/1" as MachineId);
    const first = record?.configurations[1];
    if (record === undefined || first === undefined) throw new Error("not registered");
    const next = (number: number, previous: number) => {
      record.configurations[number] = { ...first, number: number as ConfigurationNumber, previous };
    };
    next(2, 1);
    next(3, 1);
    next(4, 2);
    expect(complete("m/1", 4)).toEqual({ activated: false });
    expect(complete("m/1", 3)).toEqual({ activated: true });
    expect(complete("m/1", 2)).toEqual({ activated: false });
    expect(complete("m/1", 1)).toEqual({ activated: true });
    expect(record.history).toEqual([1, 3]);
    expect(lookup(state, "m/1" as MachineId)?.configuration.number).toBe(3);
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
