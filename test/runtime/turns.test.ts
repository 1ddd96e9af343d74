/** Who is served next when many machines want something at once. */
import { expect, test } from "vitest";
import { Turns } from "../../shared/runtime/fleet/turns.ts";
import { productionPorts } from "../../shared/runtime/ports-production.ts";

const PORTS = productionPorts(() => undefined);
const NEVER_MS = 60_000;

test("so many at once, and of those that wait the one used most recently, counted when its turn comes", async () => {
  const turns = new Turns(2, NEVER_MS, PORTS);
  const order: number[] = [];
  const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const waiting = Array.from({ length: 5 }, (_, usedAt) => ({ usedAt }));
  const running = [
    turns.run({ usedAt: 0 }, () => first.promise),
    turns.run({ usedAt: 0 }, () => second.promise),
    ...waiting.map((each, index) => turns.run(each, async () => void order.push(index))),
  ];
  await Promise.resolve();
  expect(order).toEqual([]);
  (waiting[1] as { usedAt: number }).usedAt = 9;
  first.resolve();
  second.resolve();
  await Promise.all(running);
  expect(order).toEqual([1, 4, 3, 2, 0]);
});

test("what fails fails alone, and what is stuck holds nobody up for long", async () => {
  const turns = new Turns(1, 10, PORTS);
  const failed = turns.run({ usedAt: 0 }, async () => {
    throw new Error("no");
  });
  await expect(failed).rejects.toThrow("no");
  void turns.run({ usedAt: 0 }, () => new Promise(() => {}));
  await turns.run({ usedAt: 0 }, async () => {});
});
