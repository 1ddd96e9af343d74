/** The registry: a function behind a Function URL that only IAM lets in. It has no idle cost and nothing to fail over. */
import type { IRole } from "aws-cdk-lib/aws-iam";
import { type FunctionUrl, FunctionUrlAuthType } from "aws-cdk-lib/aws-lambda";
import type { Queue } from "aws-cdk-lib/aws-sqs";
import { Construct } from "constructs";
import { acknowledge, tablesByPrefix } from "./acknowledged.ts";
import type { Deployment } from "./deployment.ts";
import { CALL_TIMEOUT, Job } from "./job.ts";
import { describeAcceptors, leadRegistry, readDirectory, sendOrders, writeDirectory } from "./permissions.ts";

/**
 * Invocations that lead at the same time duel, which costs time; one alone would have all wait for it when it is
 * frozen. A sandbox account may have no more than ten in all, and then none can be set aside; an emulator has no such end.
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
        ...leadRegistry(deployment),
        sendOrders(deployment),
      ],
      environment: { THESEUS_QUEUE_URL: queue.queueUrl },
      timeout: CALL_TIMEOUT,
      memoryMiB: 1_024,
      ...(deployment.sandbox && deployment.emulator === undefined
        ? {}
        : { more: { reservedConcurrentExecutions: CONCURRENCY } }),
    });
    acknowledge(this.job.role, tablesByPrefix(deployment));
    this.url = this.job.function.addFunctionUrl({ authType: FunctionUrlAuthType.AWS_IAM });
  }
  /**
   * Tells it what each role is there for: then it takes from each only what its job is. Roles of other Regions' stacks
   * are not known here, and an emulator names no roles: there IAM alone decides who may call it.
   */
  knowRoles(roles: Readonly<Record<string, IRole>>): void {
    const text = Object.entries(roles).map(([job, role]) => `${role.roleName}=${job}`);
    this.job.function.addEnvironment("THESEUS_ROLES", text.join(","));
  }
}
