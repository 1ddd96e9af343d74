import { beforeEach, describe, expect, it } from "vitest";
import type { ConfigurationNumber, ProcessId } from "../../shared/protocol/ballot.ts";
import type { MachineId } from "../../shared/protocol/configuration.ts";
import { outstanding } from "../../shared/protocol/outbox.ts";
import { type AcceptorId, majority, primaryBackup, type QuorumSpec } from "../../shared/protocol/quorum.ts";
import {
  type AcceptorServer,
  applyRegistry,
  initialRegistry,
  type RegistryCommand,
  type RegistryState,
} from "../../shared/protocol/registry.ts";
import { Refusal } from "../../shared/protocol/replica.ts";
import { CONTEXT, keyOf } from "../support/endorsing.ts";

const MINUTE = 60_000;

let state: RegistryState;
let time: number;

const ids = (text: string) => text.split("") as AcceptorId[];
/** Endorsements are another test's. */
const OVERRIDE = { operator: "ada", reason: "no leaders here" };
const server = (id: string): AcceptorServer => ({
  id: id as AcceptorId,
  kind: "sqlite",
  location: `${id}.db`,
  incarnation: `${id}-born`,
});
/** Every command is said twice, as one whose answer got lost is: the second time nothing happens. */
function say(command: RegistryCommand): unknown {
  const answer = applyRegistry(state, command, { ...CONTEXT, time });
  const after = structuredClone(state);
  expect(applyRegistry(state, command, { ...CONTEXT, time })).toEqual(answer);
  expect(state).toEqual(after);
  return answer;
}
const register = (names: string) => {
  for (const id of ids(names)) say({ type: "registerAcceptor", acceptor: server(id) });
};
const provision = (request: string, id: string) =>
  say({ type: "provisioned", request, acceptor: server(id) });
const suspect = (id: string, why: "gone" | "silent" | "slow" = "gone", by = "leader-1") =>
  say({ type: "suspectAcceptor", acceptor: id as AcceptorId, by, why });
const registerLeader = (id: string, task?: string) => {
  const process = "a".repeat(32) as ProcessId;
  const leader = { id, process, address: "http://x", publicKey: keyOf(id), ...(task && { task }) };
  return say({ type: "registerLeader", leader });
};
const claim = (task: string) => (say({ type: "claimLeader", task }) as { leader: string }).leader;
const start = (machine: string, acceptors = 3) => {
  say({ type: "registerMachine", machine: machine as MachineId, acceptors });
  complete(machine, 1);
};
const complete = (machine: string, configuration: number) =>
  say({
    type: "complete",
    machine: machine as MachineId,
    configuration: configuration as ConfigurationNumber,
    override: OVERRIDE,
  });
const propose = (machine: string, quorums: QuorumSpec, nonce = JSON.stringify(quorums)) =>
  say({ type: "propose", machine: machine as MachineId, quorums, nonce, reason: OVERRIDE });
const move = (machine: string, to: string, number: number) => {
  propose(machine, majority(ids(to)));
  complete(machine, number);
};
const stateOf = (id: string) => state.acceptors.get(id as AcceptorId)?.state;
const states = () => Object.fromEntries([...state.acceptors].map(([id, record]) => [id, record.state]));
const orders = () =>
  [...state.outbox.values()].map((each) =>
    each.type === "deleteAcceptor"
      ? `delete ${each.acceptor.id}`
      : each.type === "createAcceptor"
        ? "create"
        : `${each.type} ${each.leader}`,
  );
const reasonOf = (answer: unknown) => {
  expect(answer).toBeInstanceOf(Refusal);
  return (answer as Refusal).reason;
};

beforeEach(() => {
  state = initialRegistry();
  time = 1_000_000;
});

describe("spares", () => {
  it("are ordered until there are as many as the setting says", () => {
    say({ type: "configure", spares: 2 });
    expect(orders()).toEqual(["create", "create"]);
    expect(provision("o1", "s")).toEqual({ recorded: true });
    expect([orders(), states()]).toEqual([["create"], { s: "spare" }]);
    provision("o2", "t");
    expect([orders(), states()]).toEqual([[], { s: "spare", t: "spare" }]);
  });

  it("are recorded by the first report of a request: whoever made another table deletes it", () => {
    say({ type: "configure", spares: 1 });
    expect(provision("o1", "s")).toEqual({ recorded: true });
    expect(provision("o1", "t")).toEqual({ recorded: false });
    expect(provision("o9", "u")).toEqual({ recorded: false });
    expect(states()).toEqual({ s: "spare" });
  });

  it("are not recorded once they were disowned, and one that is recorded cannot be", () => {
    expect(say({ type: "disown", acceptor: "s" as AcceptorId })).toEqual({ disowned: true });
    say({ type: "configure", spares: 1 });
    expect(provision("o1", "s")).toEqual({ recorded: false });
    expect(provision("o1", "t")).toEqual({ recorded: true });
    expect(say({ type: "disown", acceptor: "t" as AcceptorId })).toEqual({ disowned: false });
  });

  it("serve a new machine only when too few others are there", () => {
    say({ type: "configure", spares: 1 });
    register("xyz");
    provision("o1", "a");
    start("m/1");
    expect(states()).toEqual({ x: "active", y: "active", z: "active", a: "spare" });
    start("m/2", 4);
    expect(stateOf("a")).toBe("active");
    expect(orders()).toEqual(["create"]);
  });
});

describe("the first acceptors", () => {
  const orderedAfter = (settings: { acceptors: number; spares: number }) => {
    say({ type: "configure", ...settings });
    return outstanding(state, "createAcceptor").length;
  };
  const provisionAll = () => {
    for (const { request } of outstanding(state, "createAcceptor")) provision(request, `p${request}`);
  };

  it("are ordered with the spares, and not again when machines take them", () => {
    expect(orderedAfter({ acceptors: 3, spares: 1 })).toBe(4);
    provisionAll();
    start("m/1");
    expect(Object.values(states()).sort()).toEqual(["active", "active", "active", "spare"]);
    expect(orders()).toEqual([]);
    start("m/2");
    expect(orders()).toEqual([]);
    // A machine that takes the spare as well has another one ordered.
    start("m/3", 4);
    expect(orders()).toEqual(["create"]);
  });

  it("are not those that are there already, as more are only when the number is raised", () => {
    register("abc");
    expect(orderedAfter({ acceptors: 3, spares: 1 })).toBe(1);
    expect(orderedAfter({ acceptors: 5, spares: 1 })).toBe(3);
    expect(orderedAfter({ acceptors: 0, spares: 0 })).toBe(3);
  });

  it("are made up for when one of them is lost", () => {
    orderedAfter({ acceptors: 3, spares: 1 });
    provisionAll();
    start("m/1");
    const [lost, ...others] = [...state.acceptors.values()].filter((each) => each.state === "active");
    expect(suspect(lost?.id as string)).toMatchObject({ suspected: true });
    expect(orders()).toEqual(["create"]);
    provisionAll();
    expect(suspect(others[0]?.id as string)).toMatchObject({ suspected: true });
    expect(orders()).toEqual(["create"]);
  });
});

describe("in several Regions", () => {
  const registerIn = (places: Readonly<Record<string, string>>) => {
    for (const [id, region] of Object.entries(places))
      say({ type: "registerAcceptor", acceptor: { ...server(id), location: `${region}/${id}` } });
  };
  const acceptorsOf = (machine: string) =>
    state.machines
      .get(machine as MachineId)
      ?.configurations.get(1)
      ?.quorums.acceptors.join("");

  it("a machine has its acceptors in as many as there are, and of equal ones those with the fewest machines", () => {
    registerIn({ a: "north", b: "north", c: "north", d: "south", e: "west", f: "west" });
    start("m/1");
    expect(acceptorsOf("m/1")).toBe("ade");
    start("m/2");
    expect(acceptorsOf("m/2")).toBe("bfd");
    start("m/3", 5);
    expect(acceptorsOf("m/3")).toBe("cedaf");
  });

  it("a spare takes the place of one in its own Region, while there is one", () => {
    say({ type: "configure", spares: 3 });
    registerIn({ a: "north", b: "south", c: "west" });
    for (const [index, region] of ["north", "south", "south"].entries()) {
      const id = `s${index}`;
      say({
        type: "provisioned",
        request: outstanding(state, "createAcceptor")[0]?.request as string,
        acceptor: { ...server(id), location: `${region}/${id}` },
      });
    }
    start("m/1");
    expect(acceptorsOf("m/1")).toBe("abc");
    expect(suspect("b")).toEqual({ suspected: true, replacement: "s1" });
    expect(suspect("c")).toEqual({ suspected: true, replacement: "s0" });
  });
});

describe("suspectAcceptor", () => {
  beforeEach(() => {
    register("abc");
    provision("o1", "s");
    start("m/1");
    start("m/2");
  });

  it("names one replacement for all, and orders the next spare at once", () => {
    expect(suspect("a")).toEqual({ suspected: true, replacement: "s" });
    expect(states()).toEqual({ a: "suspected", b: "active", c: "active", s: "active" });
    expect(orders()).toEqual(["create"]);
  });

  it("without a spare, names the next one that comes", () => {
    suspect("a");
    expect(suspect("b")).toEqual({ suspected: true });
    // One to be kept ready, and one that is waited for.
    expect(orders()).toEqual(["create", "create"]);
    provision("o2", "t");
    expect(suspect("b")).toEqual({ suspected: true, replacement: "t" });
    expect(stateOf("t")).toBe("active");
  });

  it("of a replacement gives everything that it was to replace another one", () => {
    suspect("a");
    provision("o2", "t");
    expect(suspect("s")).toEqual({ suspected: true });
    expect(suspect("a")).toEqual({ suspected: true, replacement: "t" });
    expect(stateOf("s")).toBe("retired");
  });

  it("ends when nobody endorses that it goes: then it is as before, and its replacement a spare", () => {
    const clear = (id: string) => say({ type: "clearAcceptor", acceptor: id as AcceptorId, by: "leader-1" });
    suspect("a", "slow");
    expect(suspect("b", "silent")).toMatchObject({ suspected: false });
    expect(clear("a")).toEqual({ cleared: true });
    expect(states()).toEqual({ a: "active", b: "active", c: "active", s: "spare" });
    expect(suspect("b", "silent")).toEqual({ suspected: true, replacement: "s" });
    move("m/1", "asc", 2);
    clear("b");
    expect([stateOf("b"), stateOf("s")]).toEqual(["active", "active"]);
    move("m/2", "asc", 2);
    expect(clear("b")).toEqual({ cleared: true });
    expect(stateOf("b")).toBe("retired");
  });

  it("of one that nobody uses retires it", () => {
    expect(suspect("s")).toEqual({ suspected: true });
    expect([stateOf("s"), orders()]).toEqual(["retired", ["delete s", "create"]]);
  });

  it("names no spare that a machine's next configuration may have already", () => {
    propose("m/1", majority(ids("abs")));
    expect(suspect("c")).toEqual({ suspected: true });
    provision("o2", "t");
    expect(suspect("c")).toEqual({ suspected: true, replacement: "t" });
  });

  it("is a refusal only for one that never was", () => {
    expect(reasonOf(suspect("q"))).toBe("there is no acceptor q");
    suspect("s");
    say({ type: "done", request: "o2" });
    expect(state.acceptors.has("s" as AcceptorId)).toBe(false);
    expect(suspect("s")).toEqual({ suspected: true });
  });

  it("puts no suspected one into another configuration, and lets one stay", () => {
    suspect("a");
    register("d");
    move("m/2", "bcd", 2);
    expect(reasonOf(propose("m/2", majority(ids("abd"))))).toBe(
      "a is suspected: machines move off it, not onto it",
    );
    expect(propose("m/1", majority(ids("acd")))).toMatchObject({ configuration: { number: 2 } });
  });

  it("keeps its replacement from standing beside it, where it could never take its place", () => {
    suspect("a");
    expect(reasonOf(propose("m/1", majority(ids("acs"))))).toBe(
      "s is to take the place of a, and not to stand beside it",
    );
    expect(propose("m/1", majority(ids("sbc")))).toMatchObject({ configuration: { number: 2 } });
  });

  it("starts no machine on it", () => {
    register("d");
    suspect("a");
    start("m/3");
    expect(state.machines.get("m/3" as MachineId)?.configurations.get(1)?.quorums.acceptors).not.toContain(
      "a",
    );
  });
});

describe("a table that may yet answer", () => {
  beforeEach(() => {
    register("abcdefghi");
    for (const [index, of] of ["abc", "def", "ghi"].entries()) {
      start(`m/${index}`);
      expect(state.machines.get(`m/${index}` as MachineId)?.configurations.get(1)?.quorums.acceptors).toEqual(
        ids(of),
      );
    }
  });

  it("is not suspected when that leaves a machine without a read quorum, unless it is certainly gone", () => {
    expect(suspect("a", "slow")).toEqual({ suspected: true });
    expect(suspect("b", "silent")).toEqual({
      suspected: false,
      reason: "m/0 would be left without a read quorum that nobody suspects",
    });
    expect(suspect("b", "gone")).toEqual({ suspected: true });
  });

  it("counts those that are gone among the missing", () => {
    suspect("a", "gone");
    expect(suspect("b", "slow")).toMatchObject({ suspected: false });
  });

  it("may be the second of two copies: what the other has is enough to go on from", () => {
    propose("m/0", primaryBackup(ids("ab")));
    complete("m/0", 2);
    expect(suspect("a", "silent")).toMatchObject({ suspected: true });
    expect(suspect("b", "silent")).toMatchObject({ suspected: false });
  });

  it("is one of a few within ten minutes of the log's time, unless it is certainly gone", () => {
    for (const id of "adg") expect(suspect(id, "slow")).toMatchObject({ suspected: true });
    register("jkl");
    start("m/3");
    expect(suspect("j", "slow")).toEqual({
      suspected: false,
      reason: "3 were suspected within the last 10 minutes",
    });
    expect(suspect("k", "gone")).toMatchObject({ suspected: true });
    time += 10 * MINUTE - 1;
    expect(suspect("l", "slow")).toMatchObject({ suspected: false });
    time += 1;
    say({ type: "configure", spares: 4 });
    for (const request of state.outbox.keys()) provision(request, `p${request}`);
    move("m/3", "jlh", 2);
    expect(suspect("j", "slow")).toMatchObject({ suspected: true });
  });

  it("as many as the setting says", () => {
    say({ type: "configure", replacements: 1 });
    expect(suspect("a", "slow")).toMatchObject({ suspected: true });
    expect(suspect("d", "slow")).toMatchObject({ suspected: false });
  });
});

describe("a table that one of several leader processes says is gone", () => {
  const alone = { suspected: false, reason: "leader-1 is the only one that says so" };

  beforeEach(() => {
    register("abc");
    provision("o1", "s");
    start("m/1");
    for (const leader of ["leader-1", "leader-2"]) registerLeader(leader);
  });

  it("is believed to be when its machines keep a read quorum, and only by a second one when they do not", () => {
    expect(suspect("a")).toEqual({ suspected: true, replacement: "s" });
    for (const id of "bc") {
      expect(suspect(id)).toEqual(alone);
      expect(stateOf(id)).toBe("active");
    }
    expect(suspect("b", "gone", "leader-2")).toEqual({ suspected: true });
  });

  it("is not given up for that by one alone when it serves no machine: that could go on for ever", () => {
    expect(suspect("s")).toEqual(alone);
    propose("m/1", majority(ids("abs")));
    expect(suspect("s")).toEqual(alone);
  });

  it("and a spare is ordered in its place when another one says so, too", () => {
    expect(suspect("s")).toEqual(alone);
    expect([stateOf("s"), orders()]).toEqual(["spare", []]);
    expect(suspect("s", "gone", "sweeper")).toEqual({ suspected: true });
    expect([stateOf("s"), orders()]).toEqual(["retired", ["delete s", "create"]]);
  });

  it("is believed to be by whoever is the only leader process", () => {
    say({ type: "retireLeader", leader: "leader-2" });
    expect(suspect("s")).toEqual({ suspected: true });
  });

  it("is not suspected because one says so that is revoked or retired", () => {
    say({ type: "revokeLeader", leader: "leader-1" });
    expect(suspect("a")).toEqual({ suspected: false, reason: "leader-1 is revoked itself" });
    say({ type: "retireLeader", leader: "leader-2" });
    expect(suspect("a", "slow", "leader-2")).toEqual({
      suspected: false,
      reason: "leader-2 is retired itself",
    });
  });
});

describe("retirement", () => {
  beforeEach(() => {
    say({ type: "configure", spares: 0 });
    register("abcde");
    start("m/1");
  });

  it("comes with the activation of a configuration without it, when no other machine has it", () => {
    propose("m/1", majority(ids("bcd")));
    expect([stateOf("a"), orders()]).toEqual(["active", []]);
    complete("m/1", 2);
    expect([stateOf("a"), orders()]).toEqual(["retired", ["delete a"]]);
  });

  it("waits for the last machine, also one that is only being founded", () => {
    register("f");
    say({ type: "registerMachine", machine: "m/2" as MachineId, acceptors: 6 });
    move("m/1", "bcd", 2);
    expect(orders()).toEqual([]);
    complete("m/2", 1);
    move("m/2", "def", 2);
    expect(orders()).toEqual(["delete a"]);
  });

  it("waits for a proposal that may yet be activated, and not for one that cannot any more", () => {
    start("m/2");
    // d, e and a.
    move("m/2", "abe", 2);
    propose("m/2", majority(ids("bce")), "slow");
    move("m/1", "abe", 2);
    expect(stateOf("c")).toBe("active");
    move("m/2", "abe", 4);
    expect(orders()).toEqual(["delete d", "delete c"]);
  });

  it("never takes one that is to replace another", () => {
    say({ type: "configure", spares: 1 });
    provision("o1", "s");
    suspect("a");
    start("m/2");
    propose("m/2", majority(ids("bds")));
    complete("m/2", 2);
    move("m/2", "bcd", 3);
    expect(stateOf("s")).toBe("active");
  });

  it("does not wait for what was proposed long ago and again and again: the oldest proposals are forgotten", () => {
    for (let proposal = 2; proposal < 200; proposal++) propose("m/1", majority(ids("bcd")), `n${proposal}`);
    const record = state.machines.get("m/1" as MachineId);
    expect([record?.configurations.size, record?.reasons.size, record?.nonces.size]).toEqual([65, 64, 64]);
    expect(complete("m/1", 2)).toEqual({ activated: false });
    expect(complete("m/1", 199)).toEqual({ activated: true });
  });

  it("ends with its name being remembered: it is never used again", () => {
    move("m/1", "bcd", 2);
    expect(reasonOf(propose("m/1", majority(ids("abc"))))).toBe("a is retired: names are never reused");
    expect(say({ type: "done", request: "o1" })).toEqual({ done: "o1" });
    expect([stateOf("a"), orders()]).toEqual([undefined, []]);
    expect(reasonOf(say({ type: "registerAcceptor", acceptor: server("a") }))).toBe(
      "a was retired: names are never reused",
    );
    expect(reasonOf(propose("m/1", majority(ids("abd"))))).toBe("there is no acceptor a");
  });

  it("is not done by saying that a spare is", () => {
    say({ type: "configure", spares: 1 });
    expect(reasonOf(say({ type: "done", request: "o1" }))).toBe("o1 is done when what it asks for is there");
  });
});

describe("leader processes", () => {
  beforeEach(() => {
    say({ type: "configure", spares: 0 });
  });

  it("are started with an id that nobody had, and that is done when they have registered", () => {
    registerLeader("leader-4");
    expect(say({ type: "startLeader", nonce: "once" })).toEqual({ request: "o1", leader: "leader-5" });
    expect(orders()).toEqual(["startLeader leader-5"]);
    expect(reasonOf(say({ type: "done", request: "o1" }))).toMatch(/^o1 is done when/);
    registerLeader("leader-5");
    expect(orders()).toEqual([]);
    expect(say({ type: "startLeader", nonce: "once" })).toEqual({ request: "o1", leader: "leader-5" });
    expect(orders()).toEqual([]);
    expect(say({ type: "startLeader", nonce: "more" })).toEqual({ request: "o2", leader: "leader-6" });
  });

  it("are stopped when they are retired, and their ids never used again", () => {
    registerLeader("leader-1");
    expect(say({ type: "retireLeader", leader: "leader-1" })).toEqual({ retired: "leader-1" });
    expect(orders()).toEqual(["stopLeader leader-1"]);
    for (let round = 0; round < 2; round++) {
      expect(reasonOf(registerLeader("leader-1"))).toBe("leader-1 is retired: ids are never used again");
      expect(say({ type: "retireLeader", leader: "leader-1" })).toEqual({ retired: "leader-1" });
      say({ type: "done", request: "o1" });
      expect([orders(), state.leaders.size]).toEqual([[], 0]);
    }
    expect(reasonOf(say({ type: "retireLeader", leader: "leader-9" }))).toBe("there is no leader leader-9");
  });

  it("are replaced when peers say that they are silent, but not the last one, nor one that was started again", () => {
    const suspectLeader = (leader: string, process: string, by = "leader-9") =>
      say({ type: "suspectLeader", leader, process: process as ProcessId, by });
    registerLeader("leader-1");
    const process = state.leaders.get("leader-1")?.process as string;
    say({ type: "configure", leaders: 1 });
    expect(suspectLeader("leader-1", process)).toEqual({
      suspected: false,
      reason: "leader-1 is the last leader",
    });
    registerLeader("leader-2");
    expect(suspectLeader("leader-1", "0".repeat(32))).toEqual({
      suspected: false,
      reason: "leader-1 was started again meanwhile",
    });
    expect(suspectLeader("leader-1", process)).toEqual({ suspected: true });
    expect(orders()).toEqual(["stopLeader leader-1"]);
    expect(reasonOf(suspectLeader("leader-8", process))).toBe("there is no leader leader-8");
    // Whoever is being stopped takes nobody with him.
    registerLeader("leader-3");
    expect(suspectLeader("leader-2", state.leaders.get("leader-2")?.process as string, "leader-1")).toEqual({
      suspected: false,
      reason: "leader-1 is retired itself",
    });
    // Tables and leaders share the limit.
    state.replacedAt = [time, time, time];
    registerLeader("leader-3");
    expect(suspectLeader("leader-2", state.leaders.get("leader-2")?.process as string)).toEqual({
      suspected: false,
      reason: "3 were suspected within the last 10 minutes",
    });
  });

  it("that were started without an id claim one that was ordered, and else the next", () => {
    say({ type: "configure", leaders: 2 });
    expect([claim("task/a"), claim("task/b"), claim("task/c"), claim("task/a")]).toEqual([
      "leader-1",
      "leader-2",
      "leader-3",
      "leader-1",
    ]);
    expect(orders()).toEqual(["startLeader leader-1", "startLeader leader-2"]);
    registerLeader("leader-2", "task/b");
    expect(orders()).toEqual(["startLeader leader-1"]);
    expect(state.leaders.get("leader-2")).toMatchObject({ task: "task/b", state: "live" });
    // Whoever comes in another one's place is counted before he has registered.
    say({ type: "retireLeader", leader: "leader-2" });
    expect(orders()).toEqual(["startLeader leader-1", "stopLeader leader-2"]);
  });

  it("that ended before they registered leave their id, and the order is another one's", () => {
    say({ type: "configure", leaders: 1 });
    claim("task/a");
    expect(say({ type: "retireLeader", leader: "leader-1" })).toEqual({ retired: "leader-1" });
    expect(orders()).toEqual(["startLeader leader-2"]);
    expect(reasonOf(registerLeader("leader-1", "task/a"))).toBe(
      "leader-1 is retired: ids are never used again",
    );
    expect([claim("task/b"), state.claims]).toEqual(["leader-2", new Map([["task/b", "leader-2"]])]);
  });

  it("is registered by the task that claimed it, and by no other process", () => {
    const id = claim("task/a");
    for (const task of ["task/b", undefined]) expect(registerLeader(id, task)).toBeInstanceOf(Refusal);
    expect(registerLeader(id, "task/a")).toEqual({ registered: id });
    expect(registerLeader(id, "task/b")).toBeInstanceOf(Refusal);
    expect(state.leaders.get(id)?.task).toBe("task/a");
  });

  it("are remembered by task no longer than they are on record", () => {
    registerLeader(claim("task/a"), "task/a");
    say({ type: "retireLeader", leader: "leader-1" });
    // It is being stopped, and is not to become somebody else.
    expect(claim("task/a")).toBe("leader-1");
    say({ type: "done", request: "o1" });
    expect(state.claims.size).toBe(0);
    expect(claim("task/b")).toBe("leader-2");
  });

  it("are as many as the setting says, if there is one", () => {
    registerLeader("leader-1");
    registerLeader("leader-2");
    say({ type: "configure", leaders: 2 });
    expect(orders()).toEqual([]);
    say({ type: "retireLeader", leader: "leader-1" });
    expect(orders()).toEqual(["stopLeader leader-1", "startLeader leader-3"]);
    say({ type: "startLeader", nonce: "one more" });
    say({ type: "retireLeader", leader: "leader-2" });
    expect(orders().slice(2)).toEqual(["startLeader leader-4", "stopLeader leader-2"]);
  });
});
