/** The answer that CloudFormation waits for: without one a deployment hangs for an hour. */
import { once } from "node:events";
import * as http from "node:http";
import * as https from "node:https";
import type { CloudFormationCustomResourceEvent, CloudFormationCustomResourceResponse } from "aws-lambda";

/** It shows no more, and refuses what is much longer. */
const REASON_CHARACTERS_MAX = 1_000;

export interface Answer {
  readonly physicalId: string;
  /** Why it could not be done. */
  readonly failure?: string;
  /** What other resources may refer to. */
  readonly data?: Readonly<Record<string, string>>;
}

/** @throws Error when CloudFormation did not take it: the event is to be received again. */
export async function answerCloudFormation(
  { ResponseURL, StackId, RequestId, LogicalResourceId }: CloudFormationCustomResourceEvent,
  { physicalId, failure, data = {} }: Answer,
): Promise<void> {
  const common = { PhysicalResourceId: physicalId, StackId, RequestId, LogicalResourceId, Data: data };
  const answer: CloudFormationCustomResourceResponse =
    failure === undefined
      ? { ...common, Status: "SUCCESS" }
      : { ...common, Status: "FAILED", Reason: failure.slice(0, REASON_CHARACTERS_MAX) };
  const body = JSON.stringify(answer);
  const { protocol } = new URL(ResponseURL);
  // Signed without a content type, so none may be sent.
  const headers = { "content-type": "", "content-length": Buffer.byteLength(body) };
  const request = (protocol === "https:" ? https : http).request(ResponseURL, { method: "PUT", headers });
  request.end(body);
  const [incoming] = (await once(request, "response")) as [http.IncomingMessage];
  incoming.resume();
  if (incoming.statusCode !== 200)
    throw new Error(`CloudFormation took the answer with HTTP status ${incoming.statusCode}`);
}
