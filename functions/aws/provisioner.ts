/** The provisioner, fed by the queue: what could not be done stays there, comes again, and is a dead letter in the end. */
import { BatchProcessor, EventType, processPartialResponse } from "@aws-lambda-powertools/batch";
import type { Context, SQSBatchResponse, SQSEvent, SQSRecord } from "aws-lambda";
import { Provisioner } from "../../shared/runtime/provisioner/provisioner.ts";
import { functionLog, once } from "./log.ts";
import { openProvisioning } from "./provisioning.ts";

const log = functionLog("provisioner");
const processor = new BatchProcessor(EventType.SQS);

const provisioner = once(async () => {
  const ports = await openProvisioning();
  return new Provisioner({
    ...ports,
    carriedOut: ({ request, type }) =>
      log.info({ event: "carriedOut", request, type }, `${request}: ${type}`),
  });
});

export function handler(event: SQSEvent, context: Context): Promise<SQSBatchResponse> {
  return processPartialResponse(event, carryOut, processor, { context, throwOnFullBatchFailure: false });
}

async function carryOut({ body, messageId }: SQSRecord): Promise<void> {
  try {
    await (await provisioner()).handle(body);
  } catch (err) {
    log.warn({ event: "failed", err, messageId }, "could not be done yet, and is tried again");
    throw err;
  }
}
