/** What cdk-nag's AWS Solutions rules find here, and why it is so all the same: for whoever has them checked. */
import { Token, Validations } from "aws-cdk-lib";
import type { IConstruct } from "constructs";
import { type Deployment, nameOf } from "./deployment.ts";

interface Finding {
  readonly id: string;
  readonly reason: string;
}

export function acknowledge(construct: IConstruct, findings: readonly Finding[]): void {
  const rules = findings.map(({ id, reason }) => ({ id: `AwsSolutions::AwsSolutions-${id}`, reason }));
  Validations.of(construct).acknowledge(...rules);
}

/** Of every role that has to do with tables. */
export function tablesByPrefix(deployment: Deployment): Finding[] {
  const regions = deployment.regions.map((region) => (Token.isUnresolved(region) ? "<AWS::Region>" : region));
  return regions.map((region) => ({
    id: wildcard(
      `arn:<AWS::Partition>:dynamodb:${region}:<AWS::AccountId>:table/${nameOf.acceptors(deployment)}`,
    ),
    reason: "Tables are made at run time, and named after the deployment.",
  }));
}

/** Of the roles that look after tables and leaders. */
export function tasksByCluster(deployment: Deployment): Finding[] {
  const tasks = `task/${nameOf.cluster(deployment)}/*`;
  return [
    {
      id: wildcard(`arn:<AWS::Partition>:ecs:<AWS::Region>:<AWS::AccountId>:${tasks}`),
      reason: "Tasks have no names; the deployment's cluster is theirs alone.",
    },
    {
      id: wildcard("*"),
      reason: "Listing tables knows no resource, and listing tasks only the cluster that a condition names.",
    },
  ];
}

export const LISTS_TABLES: Finding = {
  id: wildcard("*"),
  reason: "Listing tables knows no resource; only those named after the deployment can be deleted.",
};

export const JOINS_NETWORK: Finding = {
  id: wildcard("*"),
  reason: "Network interfaces have no names before they are made; the function's own code is denied them.",
};

export const NO_FLOW_LOG: Finding = {
  id: "VPC7",
  reason:
    "Leaders log who they talk to; flow logs would cost more than they do. A VPC that is given may have them.",
};

export const NO_CONTAINER_INSIGHTS: Finding = {
  id: "ECS4",
  reason: "The metrics that every service has for nothing are what the alarms read.",
};

export const PLAIN_ENVIRONMENT: Finding = {
  id: "ECS2",
  reason: "There is no secret in it: names and addresses. Keys are in the directory, each for one role.",
};

function wildcard(resource: string): string {
  return `IAM5[Resource::${resource}]`;
}
