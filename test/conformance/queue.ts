/**
 * What every adapter of the queue port must do. Nothing here depends on an order or on a message coming once only: SQS
 * promises neither.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import type { Message, Queue, QueueOptions } from "../../shared/provision/queue.ts";

export interface QueueSubject {
  /** Another connection to the same queue. */
  readonly open: () => Promise<Queue>;
  readonly deadLetters: () => Promise<readonly string[]>;
}

/** Long enough that a slow machine does not make a message come again while it is looked at. */
const PATIENCE_MS = 20_000;

/** `make`: a new and empty queue. `visibilityMs`: the shortest that the adapter has. */
export function queueConformance(
  make: (options: QueueOptions) => Promise<QueueSubject>,
  { visibilityMs }: { visibilityMs: number },
): void {
  const held: QueueOptions = { visibilityMs: 60_000, receivesMax: 3 };
  const again: QueueOptions = { visibilityMs, receivesMax: 3 };

  test("what is sent is received by somebody, whatever it holds", async () => {
    const { open } = await make(held);
    const [one, other] = [await open(), await open()];
    const bodies = ["one", "ü 𝒳 \t\n \"'", JSON.stringify({ "\u0001": "<&>" }), "x".repeat(60_000)];
    for (const body of bodies) await one.send(body);
    const received = await receiveAll([other, one], bodies.length);
    expect(new Set(received.map(({ body }) => body))).toEqual(new Set(bodies));
  });

  test("what was received and not deleted comes again, and what was deleted does not", async () => {
    const { open } = await make(again);
    const queue = await open();
    for (const body of ["kept", "gone"]) await queue.send(body);
    const first = await receiveAll([queue], 2);
    for (const { body, receipt } of first) if (body === "gone") await queue.delete(receipt);
    const [second] = await receiveAll([queue], 1);
    expect(second?.body).toBe("kept");
    await queue.delete((second as Message).receipt);
    await sleep(2 * visibilityMs);
    expect(await queue.receive(10, 0)).toEqual([]);
  });

  test("what was received is nobody else's for a while", async () => {
    const { open } = await make(held);
    const [one, other] = [await open(), await open()];
    await one.send("mine");
    await receiveAll([one], 1);
    expect(await other.receive(10, 200)).toEqual([]);
  });

  test("several who receive at once do not hold each other up, and no message is lost", async () => {
    const { open } = await make(held);
    const queues = await Promise.all(Array.from({ length: 4 }, open));
    const bodies = Array.from({ length: 40 }, (_, index) => `message ${index}`);
    await Promise.all(bodies.map((body, index) => queues[index % 4]?.send(body)));
    const received = await receiveAll(queues, bodies.length);
    expect(new Set(received.map(({ body }) => body))).toEqual(new Set(bodies));
  });

  test("what is received too often is set aside, and the others advance", async () => {
    const { open, deadLetters } = await make(again);
    const queue = await open();
    await queue.send("poison");
    const deadline = performance.now() + PATIENCE_MS;
    while ((await deadLetters()).length === 0 && performance.now() < deadline)
      await queue.receive(10, visibilityMs);
    expect(await deadLetters()).toEqual(["poison"]);
    await queue.send("good");
    const received = await receiveAll([queue], 1);
    expect(received.map(({ body }) => body)).toEqual(["good"]);
  });

  test("what is sent with a delay comes no sooner", async () => {
    const { open } = await make(held);
    const queue = await open();
    await queue.send("later", 3_600_000 / 4);
    await queue.send("now");
    expect((await receiveAll([queue], 1)).map(({ body }) => body)).toEqual(["now"]);
    expect(await queue.receive(10, 200)).toEqual([]);
  });

  test("whoever waits receives what is sent meanwhile, and may be told to wait no more", async () => {
    const { open } = await make(held);
    const [one, other] = [await open(), await open()];
    const waiting = one.receive(1, PATIENCE_MS);
    await other.send("meanwhile");
    expect((await waiting).map(({ body }) => body)).toEqual(["meanwhile"]);
    expect(await one.receive(1, PATIENCE_MS, AbortSignal.timeout(100))).toEqual([]);
  });
}

/** So many different messages, from whoever gets them first. */
async function receiveAll(queues: readonly Queue[], count: number): Promise<readonly Message[]> {
  const received = new Map<string, Message>();
  const deadline = performance.now() + PATIENCE_MS;
  while (received.size < count && performance.now() < deadline)
    for (const messages of await Promise.all(queues.map((queue) => queue.receive(3, 50))))
      for (const message of messages) received.set(message.body, message);
  return [...received.values()];
}
