/** Who of those that do not hear each other says so first. */
import { EventEmitter } from "node:events";
import { expect, test } from "vitest";
import { type LeaderWatchOptions, watchLeaders } from "../../shared/runtime/repair/leader-watch.ts";
import { Clock } from "../support/clock.ts";

const SILENT_MS = 15_000;
const DAY_MS = 86_400_000;

/** The peers of "leader-1" that it hears, of so many that the registry has on record. */
async function watch(
  heard: readonly string[],
  registered: number,
  { isTakenUp = true, forMs = 10 * SILENT_MS } = {},
) {
  const clock = new Clock();
  const said: { readonly leader: string; readonly atMs: number }[] = [];
  const peers = Object.assign(new EventEmitter(), { live: heard.map((id) => ({ id })) });
  const options = {
    fleet: { self: { id: "leader-1" }, peers },
    registry: {
      servers: async () => ({ leaders: Array.from({ length: registered }, () => ({ state: "live" })) }),
      command: async ({ leader }: { readonly leader: string }) => {
        said.push({ leader, atMs: clock.nowMs });
        return { suspected: isTakenUp, reason: "not now" };
      },
    },
    ports: { after: clock.after.bind(clock) },
    silentMs: SILENT_MS,
    suspected() {},
  };
  watchLeaders(options as unknown as LeaderWatchOptions);
  peers.emit("suspected", { id: "leader-2", process: "p" });
  await clock.run(forMs);
  return said;
}

test("of two, either one says it when the other has been silent for long", async () => {
  expect(await watch([], 2)).toEqual([{ leader: "leader-2", atMs: SILENT_MS }]);
});

test("one that hears nobody of several waits longer: those who hear each other are to be heard first", async () => {
  expect(await watch([], 3)).toEqual([{ leader: "leader-2", atMs: 2 * SILENT_MS }]);
});

test("what the registry does not take up is said again ever more seldom: it fills the registry's log", async () => {
  const said = await watch([], 2, { isTakenUp: false, forMs: DAY_MS });
  expect(said.slice(0, 3).map(({ atMs }) => atMs / SILENT_MS)).toEqual([1, 3, 7]);
  expect(said.length).toBeLessThan(200);
});
