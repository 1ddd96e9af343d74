/** Queues of SQS for a test, in MiniStack. */
import { randomBytes } from "node:crypto";
import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  SQSClient,
} from "@aws-sdk/client-sqs";
import { inject, onTestFinished } from "vitest";
import { awsClient } from "../../shared/aws/clients.ts";
import type { QueueOptions } from "../../shared/provision/queue.ts";
import { SqsQueue } from "../../shared/provision/queue-sqs.ts";
import { REGION } from "./tables.ts";

const place = { endpoint: inject("ministack") };

export function openQueue(url: string): SqsQueue {
  const queue = new SqsQueue({ url, region: REGION, place });
  onTestFinished(() => queue.close());
  return queue;
}

/** As the stack makes them: the queue, and the one for its dead letters. */
export async function newQueues({ visibilityMs, receivesMax }: QueueOptions) {
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
