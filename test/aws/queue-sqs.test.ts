/** The queue on SQS, as MiniStack has it. */
import { randomBytes } from "node:crypto";
import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  SQSClient,
} from "@aws-sdk/client-sqs";
import { expect, inject, onTestFinished, test } from "vitest";
import { awsClient } from "../../shared/aws/clients.ts";
import type { QueueOptions } from "../../shared/provision/queue.ts";
import { SqsQueue } from "../../shared/provision/queue-sqs.ts";
import { queueConformance } from "../conformance/queue.ts";
import { REGION } from "./tables.ts";

const place = { endpoint: inject("ministack") };

function open(url: string): SqsQueue {
  const queue = new SqsQueue({ url, region: REGION, place });
  onTestFinished(() => queue.close());
  return queue;
}

/** As the stack makes them: the queue, and the one for its dead letters. */
async function newQueues({ visibilityMs, receivesMax }: QueueOptions) {
  const client = awsClient(SQSClient, REGION, place);
  onTestFinished(() => client.destroy());
  const create = async (Attributes: Record<string, string>) => {
    const QueueName = `theseus-test-${randomBytes(8).toString("hex")}`;
    return (await client.send(new CreateQueueCommand({ QueueName, Attributes }))).QueueUrl as string;
  };
  const dead = await create({});
  const { Attributes } = await client.send(
    new GetQueueAttributesCommand({ QueueUrl: dead, AttributeNames: ["QueueArn"] }),
  );
  const redrive = { deadLetterTargetArn: Attributes?.QueueArn, maxReceiveCount: receivesMax };
  const url = await create({
    VisibilityTimeout: String(visibilityMs / 1_000),
    RedrivePolicy: JSON.stringify(redrive),
  });
  const deadLetters = async () => {
    const look = new ReceiveMessageCommand({
      QueueUrl: dead,
      MaxNumberOfMessages: 10,
      VisibilityTimeout: 0,
    });
    const { Messages = [] } = await client.send(look);
    return Messages.map(({ Body = "" }) => Body);
  };
  return { url, deadLetters };
}

queueConformance(
  async (options) => {
    const { url, deadLetters } = await newQueues(options);
    return { open: async () => open(url), deadLetters };
  },
  { visibilityMs: 1_000 },
);

test("a queue that is not there is named, and the next move", async () => {
  const queue = open(`${place.endpoint}/000000000000/theseus-nobody`);
  await expect(queue.send("lost")).rejects.toThrow(
    /^a message cannot be sent at .*theseus-nobody: it is not there: deploy the stack/,
  );
});

test("a queue's URL that names AWS's own host goes to the emulator all the same", async () => {
  const { url } = await newQueues({ visibilityMs: 60_000, receivesMax: 3 });
  const queue = open(`https://sqs.${REGION}.amazonaws.com${new URL(url).pathname}`);
  await queue.send("here");
  expect((await open(url).receive(1, 5_000)).map(({ body }) => body)).toEqual(["here"]);
});
