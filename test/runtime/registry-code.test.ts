/** The registry's state as its snapshots keep it. */
import { deserialize, serialize } from "node:v8";
import { expect, test } from "vitest";
import { initialRegistry, type RegistryCommand } from "../../shared/protocol/registry.ts";
import { registryHost } from "../../shared/runtime/registry/registry-service.ts";
import { configurationOf } from "../support/registry-places.ts";

const { code } = registryHost(configurationOf(1, ["r1", "r2", "r3"]));

test("a snapshot that was taken before tasks claimed leaders is gone on from", () => {
  const { claims, ...before } = initialRegistry();
  expect(claims.size).toBe(0);
  const state = code.thaw(serialize({ ...before, leaderNumber: 7 }));
  const command: RegistryCommand = { type: "claimLeader", task: "task/1" };
  expect(code.apply(state, command, { time: 0 } as never)).toEqual({ leader: "leader-8" });
});

test("what is thawed freezes to the same bytes, whichever version froze it", () => {
  const { settings, ...others } = initialRegistry();
  const [one, other] = [initialRegistry(), { ...others, settings }].map((state) =>
    code.freeze(code.thaw(serialize(state))),
  );
  expect(other).toEqual(one);
  expect(deserialize(one as Uint8Array)).toEqual(initialRegistry());
});
