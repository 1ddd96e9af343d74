/**
 * The queue on SQS: a standard queue with a redrive policy, both made by the stack. In a function the platform receives
 * and deletes; the rest of the port is for processes that do so themselves.
 */
import {
  DeleteMessageCommand,
  ReceiveMessageCommand,
  SendMessageCommand,
  SQSClient,
  type SQSClientConfig,
} from "@aws-sdk/client-sqs";
import { type AwsPlace, awsClient } from "../aws/clients.ts";
import { awsTrouble } from "./aws-trouble.ts";
import type { Message, Queue } from "./queue.ts";

/** SQS's own limits. */
const DELAY_SECONDS_MAX = 900;
const RECEIVE_MAX = 10;
/** A request has 3 s to be answered (aws/clients.ts). */
const WAIT_SECONDS_MAX = 2;

export interface SqsQueueOptions {
  readonly url: string;
  readonly region: string;
  readonly place: AwsPlace;
}

/** The SDK would go to the host in the queue's URL, which an emulator may give as AWS's own. */
class Client extends SQSClient {
  constructor(settings: SQSClientConfig) {
    super({ ...settings, useQueueUrlAsEndpoint: false });
  }
}

export class SqsQueue implements Queue {
  readonly #client: SQSClient;
  readonly #url: string;
  readonly #region: string;

  /** @throws RangeError for an endpoint that is not on this machine (aws/clients.ts). */
  constructor({ url, region, place }: SqsQueueOptions) {
    this.#client = awsClient(Client, region, place);
    this.#url = url;
    this.#region = region;
  }

  /** @throws Unavailable when it is not known to be kept: sent again, it comes twice. */
  async send(body: string, delayMs = 0): Promise<void> {
    const DelaySeconds = Math.min(DELAY_SECONDS_MAX, Math.ceil(delayMs / 1_000));
    const message = new SendMessageCommand({ QueueUrl: this.#url, MessageBody: body, DelaySeconds });
    await this.#ask("a message cannot be sent", "SendMessage", () => this.#client.send(message));
  }

  async receive(max: number, waitMs: number, signal?: AbortSignal): Promise<readonly Message[]> {
    const deadline = performance.now() + waitMs;
    for (;;) {
      const leftSeconds = Math.floor(Math.max(0, deadline - performance.now()) / 1_000);
      const messages = signal?.aborted ? [] : await this.#receiveOnce(max, leftSeconds, signal);
      if (messages.length > 0 || signal?.aborted || leftSeconds === 0) return messages;
    }
  }

  async delete(receipt: string): Promise<void> {
    const deletion = new DeleteMessageCommand({ QueueUrl: this.#url, ReceiptHandle: receipt });
    await this.#ask("a message cannot be deleted", "DeleteMessage", () => this.#client.send(deletion));
  }

  async close(): Promise<void> {
    this.#client.destroy();
  }

  /** What comes when nobody waits any more comes again. */
  async #receiveOnce(max: number, waitSeconds: number, signal?: AbortSignal): Promise<readonly Message[]> {
    const wanted = new ReceiveMessageCommand({
      QueueUrl: this.#url,
      MaxNumberOfMessages: Math.min(max, RECEIVE_MAX),
      WaitTimeSeconds: Math.min(waitSeconds, WAIT_SECONDS_MAX),
    });
    return this.#ask("messages cannot be received", "ReceiveMessage", async () => {
      try {
        const options = signal === undefined ? {} : { abortSignal: signal };
        const { Messages = [] } = await this.#client.send(wanted, options);
        return Messages.map(({ Body = "", ReceiptHandle = "" }) => ({ body: Body, receipt: ReceiptHandle }));
      } catch (error) {
        if (signal?.aborted) return [];
        throw error;
      }
    });
  }

  async #ask<Answer>(what: string, operation: string, act: () => Promise<Answer>): Promise<Answer> {
    try {
      return await act();
    } catch (error) {
      const asked = { service: "SQS", action: `sqs:${operation}`, region: this.#region } as const;
      throw awsTrouble({ what: `${what} at ${this.#url}`, ...asked }, error);
    }
  }
}
