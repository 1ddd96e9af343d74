/** The registry: a function behind a Function URL that only IAM lets in. It has no idle cost and nothing to fail over. */
import { type FunctionUrl, FunctionUrlAuthType } from "aws-cdk-lib/aws-lambda";
import type { Queue } from "aws-cdk-lib/aws-sqs";
import { Construct } from "constructs";
import { acknowledge, tablesByPrefix } from "./acknowledged.ts";
import type { Deployment } from "./deployment.ts";
import { CALL_TIMEOUT, Job } from "./job.ts";
import { describeAcceptors, leadRegistry, readDirectory, sendOrders, writeDirectory } from "./permissions.ts";

/**
 * Invocations that lead at the same time duel, which costs time; one alone would have all wait for it when it is
 * frozen. A sandbox account may have no more than ten in all, and then none can be set aside.
 */
const CONCURRENCY = 2;

export class Registry extends Construct {
  readonly job: Job;
  readonly url: FunctionUrl;

  constructor(scope: Construct, id: string, deployment: Deployment, queue: Queue) {
    super(scope, id);
    this.job = new Job(this, "Job", {
      deployment,
      job: "registry",
      description: "starts and finds machines, and decides what is replaced",
      permissions: [
        readDirectory(deployment, "registry", "leaders", "tokens", "key/registry"),
        writeDirectory(deployment, "registry", "leaders"),
        describeAcceptors(deployment),
        leadRegistry(deployment),
        sendOrders(deployment),
      ],
      environment: { THESEUS_QUEUE_URL: queue.queueUrl },
      timeout: CALL_TIMEOUT,
      memoryMiB: 1_024,
      ...(deployment.sandbox ? {} : { more: { reservedConcurrentExecutions: CONCURRENCY } }),
    });
    acknowledge(this.job.role, tablesByPrefix(deployment));
    this.url = this.job.function.addFunctionUrl({ authType: FunctionUrlAuthType.AWS_IAM });
  }
}
