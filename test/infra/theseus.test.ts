/** What a deployment consists of, as its template says it. */
import { existsSync } from "node:fs";
import { Vpc } from "aws-cdk-lib/aws-ec2";
import { ContainerImage } from "aws-cdk-lib/aws-ecs";
import { describe, expect, it } from "vitest";
import { Replication, Theseus } from "../../infra/index.ts";
import { jobsByRole } from "../../shared/runtime/registry/caller.ts";
import { BANK, bank, bankStack, EMULATOR, only, REGION, resourcesOf, textOf } from "./synthesize.ts";

const production = bank();
const task = only(production, "AWS::ECS::TaskDefinition").Properties;
const service = only(production, "AWS::ECS::Service").Properties;

interface Container {
  readonly Name: string;
  readonly Image: unknown;
  readonly Command?: readonly unknown[];
  readonly Environment: readonly { readonly Name: string; readonly Value: unknown }[];
  readonly [property: string]: unknown;
}
const containersOf = (of: typeof task) => of.ContainerDefinitions as readonly Container[];
const [leader, fetcher] = containersOf(task) as [Container, Container];

describe("leaders", () => {
  it("run without root, without capabilities, and on a file system that cannot be written", () => {
    expect(leader).toMatchObject({
      Name: "leader",
      User: "1000:1000",
      ReadonlyRootFilesystem: true,
      LinuxParameters: { Capabilities: { Drop: ["ALL"] } },
      MountPoints: [{ ContainerPath: "/theseus", ReadOnly: true }],
    });
    expect(fetcher).toMatchObject({
      Name: "fetch",
      Essential: false,
      ReadonlyRootFilesystem: true,
      LinuxParameters: { Capabilities: { Drop: ["ALL"] } },
      MountPoints: [{ ContainerPath: "/theseus", ReadOnly: false }],
    });
  });

  it("have the time to hand over, and are looked after", () => {
    expect(leader).toMatchObject({
      StopTimeout: 120,
      DependsOn: [{ Condition: "SUCCESS", ContainerName: "fetch" }],
    });
    expect(leader.HealthCheck).toMatchObject({
      Command: ["CMD", "node", "-e", expect.stringContaining("/v1/health")],
    });
  });

  it("are two, replaced one by one, each in its zone, and the old ones again when the new ones fail", () => {
    expect(service).toMatchObject({
      DesiredCount: 2,
      AvailabilityZoneRebalancing: "ENABLED",
      DeploymentConfiguration: {
        MinimumHealthyPercent: 100,
        DeploymentCircuitBreaker: { Enable: true, Rollback: true },
      },
    });
    expect(task).toMatchObject({
      RuntimePlatform: { CpuArchitecture: "ARM64" },
      Family: "theseus-bank-leader",
    });
    const { Subnets } = (service.NetworkConfiguration as { AwsvpcConfiguration: { Subnets: unknown[] } })
      .AwsvpcConfiguration;
    expect(Subnets.length).toBeGreaterThan(1);
  });

  it("fetch their programs from S3, each by its content's name", () => {
    const addresses = Object.fromEntries(fetcher.Environment.map(({ Name, Value }) => [Name, textOf(Value)]));
    expect(Object.keys(addresses)).toEqual(["LEADER", "WORKER", "MACHINES"]);
    for (const address of Object.values(addresses))
      expect(address).toMatch(/^s3:\/\/cdk-hnb659fds-assets-.*DIGEST/);
    expect(fetcher.Command?.join()).toContain('aws s3 cp --no-progress "$LEADER" /theseus/leader.js');
    const environment = Object.fromEntries(
      leader.Environment.map(({ Name, Value }) => [Name, textOf(Value)]),
    );
    expect(environment).toEqual({
      THESEUS_DEPLOYMENT: "bank",
      THESEUS_DIRECTORY: `${REGION}/theseus-bank-directory`,
      THESEUS_AWS: "real",
      THESEUS_CLUSTER: "theseus-bank",
      THESEUS_PORT: "4600",
      THESEUS_MACHINES: "/theseus/machines.js",
    });
  });

  it("run an image instead, when one is given", () => {
    const template = bank({ image: ContainerImage.fromRegistry("example.org/bank@sha256:00") });
    const containers = containersOf(only(template, "AWS::ECS::TaskDefinition").Properties);
    expect(containers).toHaveLength(1);
    expect(containers[0]).toMatchObject({
      Image: "example.org/bank@sha256:00",
      ReadonlyRootFilesystem: true,
    });
    expect(containers[0]?.Command).toBeUndefined();
    expect(existsSync("infra/leader.Dockerfile")).toBe(true);
  });
});

describe("functions", () => {
  const functions = resourcesOf(production, "AWS::Lambda::Function").map(([, { Properties }]) => Properties);

  it("are five, of one runtime, each with a log of its own", () => {
    expect(functions.map(({ FunctionName }) => FunctionName)).toEqual(
      ["provisioner", "sweeper", "registry", "gateway", "bootstrap"].map((job) => `theseus-bank-${job}`),
    );
    for (const { Runtime, Architectures } of functions)
      expect([Runtime, Architectures]).toEqual(["nodejs24.x", ["arm64"]]);
    const logs = functions.map(({ LoggingConfig }) =>
      textOf((LoggingConfig as { LogGroup: unknown }).LogGroup),
    );
    expect(new Set(logs).size).toBe(5);
    for (const [, { Properties }] of resourcesOf(production, "AWS::Logs::LogGroup"))
      expect(Properties.RetentionInDays).toBe(90);
  });

  it("let nobody in without IAM", () => {
    const urls = resourcesOf(production, "AWS::Lambda::Url");
    expect(urls).toHaveLength(2);
    for (const [, { Properties }] of urls) expect(Properties.AuthType).toBe("AWS_IAM");
  });

  it("wait for the deployment to be founded, where they need that", () => {
    const founded = "TheseusBootstrapFounded";
    for (const id of [
      "TheseusProvisioningOrders",
      "TheseusProvisioningEveryMinute",
      "TheseusLeadersServiceService",
    ])
      expect([id, production.Resources[id]?.DependsOn]).toEqual([id, expect.arrayContaining([founded])]);
  });

  it("tell the queue which messages failed, and try each some times", () => {
    expect(only(production, "AWS::Lambda::EventSourceMapping").Properties).toMatchObject({
      FunctionResponseTypes: ["ReportBatchItemFailures"],
      ScalingConfig: { MaximumConcurrency: 2 },
    });
    const queue = only(production, "AWS::SQS::Queue", "Queue").Properties;
    expect(queue).toMatchObject({
      QueueName: "theseus-bank-provisioning",
      RedrivePolicy: { maxReceiveCount: 5 },
    });
  });
});

describe("the network", () => {
  it("has no NAT gateway, and endpoints for DynamoDB and S3", () => {
    expect(resourcesOf(production, "AWS::EC2::NatGateway")).toEqual([]);
    const endpoints = resourcesOf(production, "AWS::EC2::VPCEndpoint").map(
      ([, { Properties }]) => Properties,
    );
    expect(endpoints.map(({ ServiceName }) => textOf(ServiceName))).toEqual([
      `com.amazonaws.\${AWS::Region}.dynamodb`,
      `com.amazonaws.\${AWS::Region}.s3`,
    ]);
  });

  it("lets nobody in but leaders and the gateway", () => {
    const ingress = resourcesOf(production, "AWS::EC2::SecurityGroup").flatMap(
      ([, { Properties }]) => (Properties.SecurityGroupIngress ?? []) as Record<string, unknown>[],
    );
    expect(
      ingress.map(({ FromPort, ToPort, SourceSecurityGroupId }) => [
        FromPort,
        ToPort,
        textOf(SourceSecurityGroupId),
      ]),
    ).toEqual([
      // biome-ignore lint/suspicious/noTemplateCurlyInString: CloudFormation's
      [4600, 4600, "${TheseusNetworkCallers.GroupId}"],
    ]);
  });

  it("is the given one, whose private subnets are used", () => {
    const subnets = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"];
    const given = Vpc.fromVpcAttributes(bankStack(), "Given", {
      vpcId: "vpc-0123456789abcdef0",
      vpcCidrBlock: "10.9.0.0/16",
      availabilityZones: ["a", "b"],
      privateSubnetIds: subnets,
    });
    const template = bank({ vpc: given });
    expect(resourcesOf(template, "AWS::EC2::VPC")).toEqual([]);
    expect(only(template, "AWS::ECS::Service").Properties.NetworkConfiguration).toMatchObject({
      AwsvpcConfiguration: { AssignPublicIp: "DISABLED", Subnets: subnets },
    });
    expect(JSON.stringify(template)).toContain("10.9.0.0/16");
  });
});

describe("what the registry is told", () => {
  const rolesIn = (of: typeof production) => {
    const { Variables } = only(of, "AWS::Lambda::Function", "RegistryJobFunction").Properties.Environment as {
      readonly Variables: Readonly<Record<string, unknown>>;
    };
    return Variables.THESEUS_ROLES;
  };

  it("is each role's job, so that it takes from each only what that is for", () => {
    const roles = textOf(rolesIn(production)).split(",");
    expect(roles.map((each) => each.split("=")[1])).toEqual([
      "leader",
      "provisioner",
      "sweeper",
      "bootstrap",
    ]);
    expect(jobsByRole(roles.join(","))).toHaveProperty("size", 4);
    const names = resourcesOf(production, "AWS::IAM::Role").map(([, { Properties }]) => Properties.RoleName);
    for (const each of roles) expect(names).toContain(each.split("=")[0]);
  });

  it("is no role where an emulator names none", () => {
    expect(rolesIn(bank({ sandbox: true }, { context: { emulator: EMULATOR } }))).toBeUndefined();
  });

  const settingsOf = (template: typeof production) =>
    only(template, "Custom::TheseusDeployment").Properties.settings;

  it("is a majority of three, and one spare", () => {
    expect(settingsOf(production)).toEqual({
      acceptors: 3,
      spares: 1,
      endorsements: "auto",
      machines: { mode: "majority", acceptors: 3 },
    });
  });

  it("is what was asked for", () => {
    expect(settingsOf(bank({ replication: Replication.primaryBackup(2), spares: 0 }))).toMatchObject({
      acceptors: 2,
      spares: 0,
      machines: { mode: "primaryBackup", acceptors: 2 },
    });
    expect(Replication.witness(3).first).toEqual({ mode: "witness", acceptors: 3 });
    const sizes = { acceptors: 4, read: 2, write: 3 };
    expect(Replication.quorums(sizes).first).toEqual({ mode: "quorums", ...sizes });
  });

  it.each([0, 16, 2.5])("is no majority of %d", (tables) => {
    expect(() => Replication.majority(tables)).toThrow("majority takes 1 to 15 tables");
  });
});

it.each([
  [1, 3],
  [0, 4],
  [4, 5],
  [1.5, 3],
])("quorums of %d and %d of four tables are refused", (read, write) => {
  expect(() => Replication.quorums({ acceptors: 4, read, write })).toThrow("do not always meet");
});

it.each(["", "Bank", "9lives", "a".repeat(32), "bank.main", "bank_1"])(
  "%j is no deployment's name",
  (name) => {
    expect(() => bank({ name })).toThrow("a deployment's name is a letter and up to 30 more");
  },
);

it("a stack holds one deployment, since its logical ids are always the same", () => {
  const stack = bankStack();
  expect(() => new Theseus(stack, "Other", { ...BANK, name: "other" })).toThrow("a stack of its own");
});

it("the outputs are what the command line reads", () => {
  expect(Object.keys(production.Outputs).sort()).toEqual([
    "Cluster",
    "Directory",
    "GatewayUrl",
    "Name",
    "Region",
    "RegistryUrl",
    "Sandbox",
    "Service",
  ]);
});
