/** The queue on SQS, as MiniStack has it. */
import { expect, inject, test } from "vitest";
import { queueConformance } from "../conformance/queue.ts";
import { newQueues, openQueue } from "./queues.ts";
import { REGION } from "./tables.ts";

queueConformance(
  async (options) => {
    const { url, deadLetters } = await newQueues(options);
    return { open: async () => openQueue(url), deadLetters };
  },
  { visibilityMs: 1_000 },
);

test("a queue that is not there is named, and the next move", async () => {
  const queue = openQueue(`${inject("ministack")}/000000000000/theseus-nobody`);
  await expect(queue.send("lost")).rejects.toThrow(
    /^a message cannot be sent at .*theseus-nobody: it is not there: deploy the stack/,
  );
});

test("a queue's URL that names AWS's own host goes to the emulator all the same", async () => {
  const { url } = await newQueues({ visibilityMs: 60_000, receivesMax: 3 });
  const queue = openQueue(`https://sqs.${REGION}.amazonaws.com${new URL(url).pathname}`);
  await queue.send("here");
  expect((await openQueue(url).receive(1, 5_000)).map(({ body }) => body)).toEqual(["here"]);
});
