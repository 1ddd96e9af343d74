/** The gateway: one address that only IAM lets in. It reaches the leaders in their network, and nothing outside it. */
import { type FunctionUrl, FunctionUrlAuthType } from "aws-cdk-lib/aws-lambda";
import { Construct } from "constructs";
import { acknowledge, JOINS_NETWORK } from "./acknowledged.ts";
import type { Deployment } from "./deployment.ts";
import { CALL_TIMEOUT, Job } from "./job.ts";
import type { Network } from "./network.ts";
import { joinNetwork, readDirectory } from "./permissions.ts";

export class Gateway extends Construct {
  readonly job: Job;
  readonly url: FunctionUrl;

  constructor(scope: Construct, id: string, deployment: Deployment, network: Network) {
    super(scope, id);
    this.job = new Job(this, "Job", {
      deployment,
      job: "gateway",
      description: "forwards calls to whoever leads the machine",
      permissions: [
        readDirectory(deployment, "registry", "leaders", "tokens", "key/gateway"),
        ...joinNetwork(deployment, "gateway"),
      ],
      timeout: CALL_TIMEOUT,
      memoryMiB: 1_024,
      more: {
        vpc: network.vpc,
        vpcSubnets: network.subnets,
        securityGroups: [network.callers],
        // It needs no way out: DynamoDB has an endpoint in the network.
        allowPublicSubnet: true,
      },
    });
    acknowledge(this.job.role, [JOINS_NETWORK]);
    this.url = this.job.function.addFunctionUrl({ authType: FunctionUrlAuthType.AWS_IAM });
  }
}
