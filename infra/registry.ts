/** The registry: a function behind a Function URL that only IAM lets in. It has no idle cost and nothing to fail over. */
import { type FunctionUrl, FunctionUrlAuthType } from "aws-cdk-lib/aws-lambda";
import type { Queue } from "aws-cdk-lib/aws-sqs";
import { Construct } from "constructs";
import { acknowledge, tablesByPrefix } from "./acknowledged.ts";
import { type Deployment, nameOf } from "./deployment.ts";
import { CALL_TIMEOUT, Job } from "./job.ts";
import { describeAcceptors, leadRegistry, readDirectory, sendOrders, writeDirectory } from "./permissions.ts";

/**
 * Invocations that lead at the same time duel, which costs time; one alone would have all wait for it when it is
 * frozen. A sandbox account may have no more than ten in all, and then none can be set aside; an emulator has no such end.
 */
const CONCURRENCY = 2;

/** Those that call it. */
const CALLERS = ["leader", "provisioner", "sweeper", "bootstrap"];

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
        ...leadRegistry(deployment),
        sendOrders(deployment),
      ],
      environment: {
        THESEUS_QUEUE_URL: queue.queueUrl,
        ...(deployment.emulator === undefined ? { THESEUS_ROLES: rolesOf(deployment) } : {}),
      },
      timeout: CALL_TIMEOUT,
      memoryMiB: 1_024,
      ...(deployment.sandbox && deployment.emulator === undefined
        ? {}
        : { more: { reservedConcurrentExecutions: CONCURRENCY } }),
    });
    acknowledge(this.job.role, tablesByPrefix(deployment));
    this.url = this.job.function.addFunctionUrl({ authType: FunctionUrlAuthType.AWS_IAM });
  }
}

/**
 * What each role is there for, in every Region: then it takes from each only what its job is. An emulator names no roles:
 * there IAM alone decides who may call it.
 */
function rolesOf(deployment: Deployment): string {
  return deployment.regions
    .flatMap((region) => CALLERS.map((job) => `${nameOf.role(deployment, job, region)}=${job}`))
    .join(",");
}
