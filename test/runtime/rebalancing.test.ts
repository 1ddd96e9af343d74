/** What moves, where to and when, by a clock that the test turns. */
import { EventEmitter } from "node:events";
import { expect, test } from "vitest";
import type { MachineId } from "../../shared/protocol/configuration.ts";
import type { Candidates } from "../../shared/runtime/fleet/candidates.ts";
import { Member } from "../../shared/runtime/fleet/member.ts";
import { Rebalancing } from "../../shared/runtime/fleet/rebalancing.ts";
import type { Hosted } from "../../shared/runtime/hosted.ts";
import type { Ports } from "../../shared/runtime/ports.ts";
import { tally } from "../support/tally.ts";

const SELF = { id: "self" };
const OTHER = { id: "other" };
const STEADY_MS = 3_000;
const STAY_MS = 10_000;
const MOVE_MS_MAX = 2_000;
const AT_ONCE = 4;

/** One leader process that leads `count` machines, all of which belong to the other one. */
function world(count = 1) {
  let now = 0;
  const timers = new Set<{ readonly at: number; readonly call: () => void }>();
  const ports = {
    elapsed: () => now,
    after(delayMs: number, call: () => void) {
      const timer = { at: now + delayMs, call };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
  } as unknown as Ports;
  const peers = Object.assign(new EventEmitter(), {
    sinceMs: 0,
    followed: new Set<string>(),
    hasLived: (_: unknown, forMs: number) => now - peers.sinceMs >= forMs,
    isFollowedBy: (_: unknown, machine: string) => peers.followed.has(machine),
  });
  const candidates = {
    self: SELF,
    isDraining: false,
    isLeaving: false,
    isUnfitNow: false,
    peers,
    home: () => OTHER,
    better: () => OTHER,
    isUnfit: () => candidates.isUnfitNow,
  };
  const moved: string[] = [];
  const members = Array.from({ length: count }, (_, index) => {
    const machine = `tally/m${index}` as MachineId;
    const host = {
      serving: true,
      leading: true,
      resign() {
        moved.push(`${machine} resigned`);
        host.serving = false;
      },
    };
    const handOver = async () => {
      moved.push(`${machine} handed over`);
      host.serving = false;
    };
    const member = new Member(machine, tally, () => ({ host, handOver }) as unknown as Hosted);
    const serves = () => {
      host.serving = true;
      member.usedAt = now;
      rebalancing.review(member);
    };
    expect(member.hosted).toBeDefined();
    return Object.assign(member, { serves });
  });
  const rebalancing = new Rebalancing({
    candidates: candidates as unknown as Candidates,
    members: () => members,
    ports,
  });
  rebalancing.listen();
  const pass = (ms: number) => {
    const end = now + ms;
    const due = () => [...timers].filter(({ at }) => at <= end).sort((one, other) => one.at - other.at)[0];
    for (let next = due(); next !== undefined; next = due()) {
      timers.delete(next);
      now = next.at;
      next.call();
    }
    now = end;
  };
  for (const member of members) {
    peers.followed.add(member.machine);
    member.serves();
  }
  return {
    pass,
    candidates,
    peers,
    members,
    moved,
    leads: (machine: string) => peers.emit("leads", OTHER, { machine }),
  };
}

test("nothing moves to a peer that has just come", () => {
  const { pass, moved } = world();
  pass(STEADY_MS - 1);
  expect(moved).toEqual([]);
  pass(1_000);
  expect(moved).toEqual(["tally/m0 handed over"]);
});

test("what is not used is given up, without waiting for anybody to follow it", () => {
  const { pass, moved, members, peers } = world();
  peers.followed.clear();
  pass(STEADY_MS * 2);
  expect(moved).toEqual([]);
  for (const member of members) member.usedAt = Number.NEGATIVE_INFINITY;
  pass(1_000);
  expect(moved).toEqual(["tally/m0 resigned"]);
});

test("few are under way at once, and the next begins when one has arrived, or took too long", () => {
  const { pass, moved, leads } = world(2 * AT_ONCE);
  pass(STEADY_MS + 1_000);
  expect(moved.length).toBe(AT_ONCE);
  leads("tally/m0");
  pass(100);
  expect(moved.length).toBe(AT_ONCE + 1);
  pass(MOVE_MS_MAX);
  expect(moved.length).toBe(2 * AT_ONCE);
});

test("what came back stays, and twice as long each time", () => {
  const { pass, moved, members, leads } = world();
  pass(STEADY_MS + 1_000);
  for (let moves = 1; moves <= 3; moves++) {
    expect(moved.length).toBe(moves);
    leads("tally/m0");
    members[0]?.serves();
    const stayMs = STAY_MS * 2 ** (moves - 1);
    pass(stayMs / 2);
    expect(moved.length).toBe(moves);
    pass(stayMs);
  }
});

test("nothing moves to a peer that could not lead it lately, nor while it is reconfigured, nor from one that leaves", () => {
  const { pass, moved, members, candidates } = world();
  candidates.isUnfitNow = true;
  pass(STEADY_MS * 2);
  Object.assign(members[0] as Member, { reconfiguring: Promise.resolve() });
  candidates.isUnfitNow = false;
  pass(STEADY_MS);
  candidates.isLeaving = true;
  Object.assign(members[0] as Member, { reconfiguring: undefined });
  pass(STEADY_MS);
  expect(moved).toEqual([]);
});

test("whoever drains waits for no peer to be steady", () => {
  const { pass, moved, candidates } = world();
  candidates.isDraining = true;
  pass(100);
  expect(moved).toEqual(["tally/m0 handed over"]);
});
