/** What a stack may lose: nothing that is not made again. Tables are no part of it, and what it has of logs outlives it. */
import { Construct } from "constructs";
import { describe, expect, it } from "vitest";
import { Replication } from "../../infra/index.ts";
import { bank, bankStack, REGION, type Resource, resourcesOf, type TemplateJson } from "./synthesize.ts";

/** Every type that there is, and whether a resource of it knows anything that could be lost. */
const TYPES: Readonly<Record<string, "keeps" | "loses nothing">> = {
  "AWS::Logs::LogGroup": "keeps",
  // Ids of orders, which the registry has: the sweeper sends them again.
  "AWS::SQS::Queue": "loses nothing",
  "AWS::SQS::QueuePolicy": "loses nothing",
  // It makes state, and owns none: deleted, it does nothing outside a sandbox.
  "Custom::TheseusDeployment": "loses nothing",
  "AWS::CloudWatch::Alarm": "loses nothing",
  "AWS::CloudWatch::Dashboard": "loses nothing",
  "AWS::EC2::InternetGateway": "loses nothing",
  "AWS::EC2::Route": "loses nothing",
  "AWS::EC2::RouteTable": "loses nothing",
  "AWS::EC2::SecurityGroup": "loses nothing",
  "AWS::EC2::Subnet": "loses nothing",
  "AWS::EC2::SubnetRouteTableAssociation": "loses nothing",
  "AWS::EC2::VPC": "loses nothing",
  "AWS::EC2::VPCEndpoint": "loses nothing",
  "AWS::EC2::VPCGatewayAttachment": "loses nothing",
  "AWS::ECS::Cluster": "loses nothing",
  // A leader's state is in the tables.
  "AWS::ECS::Service": "loses nothing",
  "AWS::ECS::TaskDefinition": "loses nothing",
  "AWS::Events::Rule": "loses nothing",
  "AWS::IAM::Policy": "loses nothing",
  "AWS::IAM::Role": "loses nothing",
  "AWS::Lambda::EventSourceMapping": "loses nothing",
  "AWS::Lambda::Function": "loses nothing",
  "AWS::Lambda::Permission": "loses nothing",
  "AWS::Lambda::Url": "loses nothing",
  "AWS::Logs::MetricFilter": "loses nothing",
};

/** What CloudFormation replaces a resource for, of the types that have a name here. */
const REPLACED_FOR: Readonly<Record<string, readonly string[]>> = {
  "AWS::Lambda::Function": ["FunctionName", "PackageType"],
  "AWS::SQS::Queue": ["QueueName", "FifoQueue"],
  "AWS::ECS::Cluster": ["ClusterName"],
  "AWS::ECS::Service": ["ServiceName", "Cluster", "LaunchType", "SchedulingStrategy", "Role"],
  "AWS::Logs::LogGroup": ["LogGroupName", "LogGroupClass"],
  "Custom::TheseusDeployment": ["ServiceToken"],
};

const production = bank();

/** The names of changed properties, by logical id. @throws Error when a resource came or went. */
function changes(before: TemplateJson, after: TemplateJson): Map<string, string[]> {
  expect(Object.keys(after.Resources).sort()).toEqual(Object.keys(before.Resources).sort());
  const changed = new Map<string, string[]>();
  for (const [id, { Properties: old }] of Object.entries(before.Resources)) {
    const { Properties: now } = after.Resources[id] as Resource;
    const names = Object.keys({ ...old, ...now }).filter(
      (name) => JSON.stringify(old[name]) !== JSON.stringify(now[name]),
    );
    if (names.length > 0) changed.set(id, names);
  }
  return changed;
}

function expectNothingReplaced(before: TemplateJson, after: TemplateJson): Map<string, string[]> {
  const changed = changes(before, after);
  const replaced = [...changed].filter(([id, names]) => {
    const { Type } = before.Resources[id] as Resource;
    return names.some((name) => REPLACED_FOR[Type]?.includes(name));
  });
  expect(replaced).toEqual([]);
  return changed;
}

describe("a stack's state", () => {
  it("is of known types, of which none holds what a user stored", () => {
    const types = new Set(Object.values(production.Resources).map(({ Type }) => Type));
    expect([...types].sort()).toEqual(Object.keys(TYPES).sort());
    expect([...types].filter((type) => /DynamoDB|S3::Bucket|RDS|EFS|Backup|KMS/.test(type))).toEqual([]);
  });

  it("is kept when the stack goes, and when it is replaced", () => {
    const kept = Object.entries(production.Resources).filter(([, { Type }]) => TYPES[Type] === "keeps");
    expect(kept).toHaveLength(6);
    for (const [id, { DeletionPolicy, UpdateReplacePolicy }] of kept)
      expect([id, DeletionPolicy, UpdateReplacePolicy]).toEqual([id, "Retain", "Retain"]);
  });

  it("goes with a sandbox, logs and all", () => {
    const kept = Object.values(bank({ sandbox: true }).Resources).filter(
      ({ DeletionPolicy }) => DeletionPolicy === "Retain",
    );
    expect(kept).toEqual([]);
  });

  it("is not deleted by mistake: the stack's termination is protected, but a sandbox's", () => {
    expect(bankStack().terminationProtection).toBe(true);
    expect(bankStack({ sandbox: true }).terminationProtection).toBe(false);
  });
});

describe("a template", () => {
  it("does not change at all when the construct is renamed, or moved", () => {
    const renamed = bank({}, { place: (stack) => ({ scope: stack, id: "Otherwise" }) });
    const moved = bank(
      {},
      { place: (stack) => ({ scope: new Construct(new Construct(stack, "A"), "B"), id: "C" }) },
    );
    expect(renamed).toEqual(production);
    expect(moved).toEqual(production);
  });

  it("replaces nothing when there are fewer replicas", () => {
    const before = bank({ replication: Replication.majority(5) });
    const changed = expectNothingReplaced(before, bank({ replication: Replication.majority(3) }));
    expect(changed.get("TheseusBootstrapFounded")).toEqual(["settings"]);
  });

  it("replaces nothing when Regions come and go, and says so to whoever makes tables", () => {
    const regions = [REGION, "eu-west-1", "us-east-1"];
    const changed = expectNothingReplaced(production, bank({ regions }));
    expect(changed.get("TheseusBootstrapFounded")).toEqual(["regions"]);
    expect(changed.get("TheseusProvisioningProvisionerFunction")).toEqual(["Environment"]);
    expectNothingReplaced(bank({ regions }), bank({ regions: regions.slice(0, 2) }));
  });

  it("leaves it to the bootstrap, which refuses, what another name means", () => {
    const other = bank({ name: "another" });
    expect(Object.keys(other.Resources).sort()).toEqual(Object.keys(production.Resources).sort());
    const names = (template: TemplateJson) =>
      resourcesOf(template, "Custom::TheseusDeployment").map(([id, { Properties }]) => [id, Properties.name]);
    expect(names(production)).toEqual([["TheseusBootstrapFounded", "bank"]]);
    expect(names(other)).toEqual([["TheseusBootstrapFounded", "another"]]);
  });
});
