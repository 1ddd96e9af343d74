/** A function of Lambda: its bundle, its log, and a role that is closed to grants from elsewhere. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Duration, Stack } from "aws-cdk-lib";
import { PolicyDocument, type PolicyStatement, Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import { Architecture, Runtime } from "aws-cdk-lib/aws-lambda";
import { NodejsFunction, type NodejsFunctionProps, OutputFormat } from "aws-cdk-lib/aws-lambda-nodejs";
import type { LogGroup } from "aws-cdk-lib/aws-logs";
import { Construct } from "constructs";
import { type Deployment, environmentOf, nameOf } from "./deployment.ts";
import { logGroup } from "./log-group.ts";
import { writeLog } from "./permissions.ts";

export interface JobProps {
  readonly deployment: Deployment;
  /** Of its entry file, and in its name. */
  readonly job: string;
  readonly description: string;
  readonly permissions: readonly PolicyStatement[];
  readonly environment?: Record<string, string>;
  readonly timeout: Duration;
  readonly memoryMiB?: number;
  readonly more?: Pick<
    NodejsFunctionProps,
    "vpc" | "vpcSubnets" | "securityGroups" | "allowPublicSubnet" | "reservedConcurrentExecutions"
  >;
}

/** What bundles of ES modules need for the CommonJS within them. */
export const REQUIRE_BANNER =
  'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);';

export class Job extends Construct {
  readonly function: NodejsFunction;
  readonly log: LogGroup;
  readonly role: Role;

  constructor(scope: Construct, id: string, props: JobProps) {
    super(scope, id);
    const { deployment, job, description, permissions, environment, timeout, memoryMiB = 512 } = props;
    this.log = logGroup(this, "Log", deployment);
    this.role = new Role(this, "Role", {
      roleName: nameOf.role(deployment, job, Stack.of(this).region),
      assumedBy: new ServicePrincipal("lambda.amazonaws.com"),
      description: `${nameOf.function(deployment, job)}: ${description}`,
      inlinePolicies: {
        job: new PolicyDocument({ statements: [...permissions, writeLog(this.log.logGroupArn)] }),
      },
    });
    this.function = new NodejsFunction(this, "Function", {
      ...props.more,
      functionName: nameOf.function(deployment, job),
      description,
      entry: entryFile(`functions/aws/${job}`),
      handler: "handler",
      runtime: Runtime.NODEJS_24_X,
      architecture: Architecture.ARM_64,
      memorySize: memoryMiB,
      timeout,
      environment: { ...environmentOf(deployment), ...environment },
      logGroup: this.log,
      role: this.role.withoutPolicyUpdates(),
      bundling: {
        format: OutputFormat.ESM,
        target: "node24",
        mainFields: ["module", "main"],
        banner: REQUIRE_BANNER,
        minify: true,
        keepNames: true,
        externalModules: [],
      },
    });
  }
}

/** In the sources, or in what is published. */
export function entryFile(path: string): string {
  const [source, built] = ["ts", "js"].map((extension) =>
    fileURLToPath(new URL(`../${path}.${extension}`, import.meta.url)),
  ) as [string, string];
  return existsSync(source) ? source : built;
}

/** Of a call that somebody waits for. */
export const CALL_TIMEOUT = Duration.seconds(30);
