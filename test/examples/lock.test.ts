import fc from "fast-check";
import { beforeEach, expect, it, test } from "vitest";
import { lock } from "../../examples/lock.ts";
import { validateCommand } from "../../shared/machine.ts";
import { ReplicaOf } from "../support/replica-of.ts";

let replica: ReplicaOf;
beforeEach(() => {
  replica = new ReplicaOf(lock);
});

const acquire = (client: string, leaseMs?: number) => ({ type: "acquire", client, leaseMs });
const renew = (token: number, leaseMs?: number) => ({ type: "renew", token, leaseMs });
const release = (token: number) => ({ type: "release", token });
const NOT_THE_HOLDER = { response: "Not The Holder", refused: true };
const answer = async (command: unknown) => (await replica.send(command)).response;

it("gives a free lock with a token", async () => {
  expect(await replica.send(acquire("a", 500))).toEqual({
    response: { token: 1, expires: 1_500 },
    refused: false,
  });
  expect(replica.query("holder")).toEqual({ client: "a", token: 1, expires: 1_500 });
});

it("queues the others, first come first served, and tells each when its turn comes", async () => {
  await answer(acquire("a"));
  expect(await answer(acquire("b", 2_000))).toEqual({ position: 1 });
  expect(await answer(acquire("c"))).toEqual({ position: 2 });
  expect(replica.query("queue")).toEqual(["b", "c"]);
  replica.time = 5_000;
  expect(await answer(release(1))).toBe("Released");
  expect(replica.messages("b")).toEqual([{ token: 2, expires: 7_000 }]);
  expect(replica.messages("c")).toEqual([]);
  expect(await answer(acquire("c"))).toEqual({ position: 1 });
  expect(await answer(release(2))).toBe("Released");
  expect(replica.messages("c")).toEqual([{ token: 3, expires: 35_000 }]);
  expect(await answer(release(3))).toBe("Released");
  expect([replica.query("holder"), replica.query("queue")]).toEqual([null, []]);
});

it("counts one who asks again once", async () => {
  const first = await answer(acquire("a"));
  await answer(acquire("b"));
  expect(await answer(acquire("a"))).toEqual(first);
  expect(await answer(acquire("b"))).toEqual({ position: 1 });
  expect(replica.query("queue")).toEqual(["b"]);
});

it("obeys no token but the holder's", async () => {
  expect(await replica.send(release(1))).toEqual(NOT_THE_HOLDER);
  await answer(acquire("a"));
  await answer(acquire("b"));
  await answer(release(1));
  expect(await replica.send(release(1))).toEqual(NOT_THE_HOLDER);
  expect(await replica.send(renew(1))).toEqual(NOT_THE_HOLDER);
  expect(await replica.send(release(3))).toEqual(NOT_THE_HOLDER);
  expect(replica.query("holder")).toMatchObject({ client: "b", token: 2 });
});

it("passes an expired lock on with the next command, whoever sends it", async () => {
  await answer(acquire("a", 1_000));
  await answer(acquire("b", 1_000));
  replica.time = 1_999;
  expect(await answer(acquire("c"))).toEqual({ position: 2 });
  replica.time = 2_000;
  expect(await replica.send(release(1))).toEqual(NOT_THE_HOLDER);
  expect(replica.messages("b")).toEqual([{ token: 2, expires: 3_000 }]);
  expect(await answer(acquire("a"))).toEqual({ position: 2 });
});

it("keeps a lease that is renewed in time", async () => {
  await answer(acquire("a", 1_000));
  replica.time = 1_900;
  expect(await answer(renew(1, 1_000))).toEqual({ token: 1, expires: 2_900 });
  replica.time = 2_899;
  expect(await answer(acquire("b"))).toEqual({ position: 1 });
  replica.time = 2_900;
  expect(await replica.send(renew(1))).toEqual(NOT_THE_HOLDER);
});

it("refuses more waiting clients than it has room for", async () => {
  await answer(acquire("holder"));
  for (let index = 0; index < 1_000; index++) await answer(acquire(`waiting-${index}`));
  expect(await replica.send(acquire("one-more"))).toEqual({ response: "Queue Full", refused: true });
  expect(await answer(acquire("waiting-999"))).toEqual({ position: 1_000 });
});

it.each([acquire(""), acquire("a", 0), acquire("a", 3_600_001), release(0), renew(1.5), { type: "steal" }])(
  "does not accept %j",
  async (command) => {
    await expect(validateCommand(lock, command)).rejects.toMatchObject({ code: "invalid_command" });
  },
);

test("tokens only grow, nobody waits beside a free lock, and replicas agree", async () => {
  const client = fc.constantFrom("a", "b", "c", "d");
  const step = fc.record({
    command: fc.oneof(
      client.map((name) => acquire(name, 100)),
      fc.nat(8).map((token) => release(token + 1)),
      fc.nat(8).map((token) => renew(token + 1, 100)),
    ),
    passedMs: fc.nat(60),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const replica = new ReplicaOf(lock);
      let lastToken = 0;
      for (const { command, passedMs } of steps) {
        replica.time += passedMs;
        await replica.send(command);
        const holder = replica.query("holder") as { client: string; token: number; expires: number } | null;
        const queue = replica.query("queue") as string[];
        if (holder === null) expect(queue).toEqual([]);
        else {
          expect(holder.token).toBeGreaterThanOrEqual(lastToken);
          expect(holder.expires).toBeGreaterThan(replica.time);
          lastToken = holder.token;
          expect(new Set([holder.client, ...queue]).size).toBe(queue.length + 1);
        }
      }
      expect(replica.isReplayable).toBe(true);
    }),
  );
});
