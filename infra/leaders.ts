/**
 * The leaders: a service of Fargate. By default a public image of Node runs three bundles, which a container that ends
 * before it starts has fetched; so one can deploy without Docker.
 *
 * The root file system cannot be written. Only the fetching container is root, since a Fargate volume is root's; it has
 * no capabilities, and ends before the leader's begins.
 */
import { Duration, Stack } from "aws-cdk-lib";
import {
  AvailabilityZoneRebalancing,
  Capability,
  Cluster,
  ContainerDependencyCondition,
  ContainerImage,
  CpuArchitecture,
  FargateService,
  FargateTaskDefinition,
  type ICluster,
  LinuxParameters,
  LogDrivers,
  OperatingSystemFamily,
  PropagatedTagSource,
} from "aws-cdk-lib/aws-ecs";
import { PolicyDocument, Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import type { LogGroup } from "aws-cdk-lib/aws-logs";
import type { Asset } from "aws-cdk-lib/aws-s3-assets";
import { Construct } from "constructs";
import { acknowledge, NO_CONTAINER_INSIGHTS, PLAIN_ENVIRONMENT, tablesByPrefix } from "./acknowledged.ts";
import { bundle } from "./bundle.ts";
import { type Deployment, environmentOf, nameOf } from "./deployment.ts";
import { entryFile } from "./job.ts";
import { logGroup } from "./log-group.ts";
import { LEADER_PORT, type Network } from "./network.ts";
import { callRegistry, describeAcceptors, fetchBundles, leadMachines, readDirectory } from "./permissions.ts";

export interface LeadersOptions {
  /** Tasks, in different zones while there are zones enough. At least 2, since each is the others' standby. Default: 2. */
  readonly count?: number;
  /** Of a task, in 1/1024 of a virtual CPU. Default: 512. */
  readonly cpu?: number;
  /** Of a task, in MiB. All machines' states are in it, twice. Default: 1024. */
  readonly memoryMiB?: number;
}

export interface LeadersProps extends LeadersOptions {
  readonly deployment: Deployment;
  readonly network: Network;
  /** A file that exports machines. */
  readonly entry: string;
  readonly image: ContainerImage | undefined;
}

const NODE_IMAGE = "public.ecr.aws/docker/library/node:24-slim";
const FETCH_IMAGE = "public.ecr.aws/aws-cli/aws-cli:2.22.0";
const FOLDER = "/theseus";
/** As Fargate allows: in it a leader hands over what it leads. */
const STOP_TIMEOUT = Duration.seconds(120);
/** The user `node` of the image. */
const USER = "1000:1000";
/** Its certificate is its own, and this asks the process on this side of it. */
const HEALTH = [
  `require("https").get({ port: ${LEADER_PORT}, path: "/v1/health", rejectUnauthorized: false },`,
  "(answer) => process.exit(answer.statusCode === 200 ? 0 : 1))",
  '.on("error", () => process.exit(1))',
].join(" ");

export class Leaders extends Construct {
  readonly cluster: Cluster;
  readonly service: FargateService;
  readonly log: LogGroup;

  constructor(scope: Construct, id: string, props: LeadersProps) {
    super(scope, id);
    const { deployment, network, image, entry, count = 2 } = props;
    this.log = logGroup(this, "Log", deployment);
    this.cluster = new Cluster(this, "Cluster", {
      vpc: network.vpc,
      clusterName: nameOf.cluster(deployment),
    });
    acknowledge(this.cluster, [NO_CONTAINER_INSIGHTS]);
    const bundles = image === undefined ? new Bundles(this, entry) : undefined;
    const task = this.#task(props, bundles);
    acknowledge(task, [PLAIN_ENVIRONMENT]);
    this.service = new FargateService(this, "Service", {
      // Its optional properties may also be undefined, which this compiler tells apart.
      cluster: this.cluster as ICluster,
      serviceName: nameOf.service(deployment),
      taskDefinition: task,
      desiredCount: count,
      minHealthyPercent: 100,
      maxHealthyPercent: 200,
      circuitBreaker: { enable: true, rollback: true },
      availabilityZoneRebalancing: AvailabilityZoneRebalancing.ENABLED,
      vpcSubnets: network.subnets,
      assignPublicIp: network.isPublic,
      securityGroups: [network.leaders, network.callers],
      propagateTags: PropagatedTagSource.SERVICE,
    });
  }

  #task(props: LeadersProps, bundles: Bundles | undefined): FargateTaskDefinition {
    const { deployment, image, cpu = 512, memoryMiB = 1024 } = props;
    const task = new FargateTaskDefinition(this, "Task", {
      family: nameOf.family(deployment),
      cpu,
      memoryLimitMiB: memoryMiB,
      runtimePlatform: {
        cpuArchitecture: CpuArchitecture.ARM64,
        operatingSystemFamily: OperatingSystemFamily.LINUX,
      },
      taskRole: this.#role(deployment, bundles).withoutPolicyUpdates(),
    });
    const leader = task.addContainer("leader", {
      image: image ?? ContainerImage.fromRegistry(NODE_IMAGE),
      ...(bundles === undefined ? {} : { command: ["node", `${FOLDER}/leader.js`] }),
      user: USER,
      readonlyRootFilesystem: true,
      linuxParameters: withoutCapabilities(this, "LeaderLinux"),
      stopTimeout: STOP_TIMEOUT,
      portMappings: [{ containerPort: LEADER_PORT }],
      environment: {
        ...environmentOf(deployment),
        THESEUS_CLUSTER: nameOf.cluster(deployment),
        THESEUS_PORT: String(LEADER_PORT),
        ...(bundles === undefined ? {} : { THESEUS_MACHINES: `${FOLDER}/machines.js` }),
      },
      healthCheck: {
        command: ["CMD", "node", "-e", HEALTH],
        interval: Duration.seconds(10),
        timeout: Duration.seconds(5),
        retries: 3,
        startPeriod: Duration.seconds(60),
      },
      logging: LogDrivers.awsLogs({ logGroup: this.log, streamPrefix: "leader" }),
    });
    if (bundles === undefined) return task;
    task.addVolume({ name: "programs" });
    const fetcher = task.addContainer("fetch", {
      image: ContainerImage.fromRegistry(FETCH_IMAGE),
      essential: false,
      entryPoint: ["/bin/sh", "-ec"],
      command: [bundles.script()],
      environment: bundles.addresses(),
      readonlyRootFilesystem: true,
      linuxParameters: withoutCapabilities(this, "FetchLinux"),
      logging: LogDrivers.awsLogs({ logGroup: this.log, streamPrefix: "fetch" }),
    });
    const volume = { sourceVolume: "programs", containerPath: FOLDER };
    fetcher.addMountPoints({ ...volume, readOnly: false });
    leader.addMountPoints({ ...volume, readOnly: true });
    leader.addContainerDependencies({ container: fetcher, condition: ContainerDependencyCondition.SUCCESS });
    return task;
  }

  #role(deployment: Deployment, bundles: Bundles | undefined): Role {
    const role = new Role(this, "Role", {
      roleName: nameOf.role(deployment, "leader", Stack.of(this).region),
      assumedBy: new ServicePrincipal("ecs-tasks.amazonaws.com"),
      description: `${nameOf.family(deployment)}: leads machines`,
      inlinePolicies: {
        job: new PolicyDocument({
          statements: [
            readDirectory(deployment, "registry", "leaders", "tokens"),
            describeAcceptors(deployment),
            ...leadMachines(deployment),
            ...callRegistry(deployment),
            ...(bundles === undefined ? [] : [fetchBundles(bundles.arns())]),
          ],
        }),
      },
    });
    acknowledge(role, tablesByPrefix(deployment));
    return role;
  }
}

function withoutCapabilities(scope: Construct, id: string): LinuxParameters {
  const parameters = new LinuxParameters(scope, id);
  parameters.dropCapabilities(Capability.ALL);
  return parameters;
}

/** The programs of a leader, and how they come into its folder. */
class Bundles {
  readonly #files: ReadonlyMap<string, { readonly variable: string; readonly asset: Asset }>;

  constructor(scope: Construct, entry: string) {
    const worker = entryFile("shared/runtime/snapshots/snapshot.worker");
    this.#files = new Map([
      [
        "leader.js",
        { variable: "LEADER", asset: bundle(scope, "Leader", entryFile("functions/aws/leader")) },
      ],
      ["snapshot.worker.js", { variable: "WORKER", asset: bundle(scope, "Worker", worker) }],
      ["machines.js", { variable: "MACHINES", asset: bundle(scope, "Machines", entry) }],
    ]);
  }

  /** Where each is in S3. */
  addresses(): Record<string, string> {
    const files = [...this.#files.values()];
    return Object.fromEntries(files.map(({ variable, asset }) => [variable, asset.s3ObjectUrl]));
  }

  /** A shell's; `package.json` says what the files are. */
  script(): string {
    const copies = [...this.#files].map(
      ([file, { variable }]) => `aws s3 cp --no-progress "$${variable}" ${FOLDER}/${file}`,
    );
    return [...copies, `echo '{"type":"module"}' > ${FOLDER}/package.json`].join("\n");
  }

  arns(): string[] {
    return [...this.#files.values()].map(({ asset }) => asset.bucket.arnForObjects(asset.s3ObjectKey));
  }
}
