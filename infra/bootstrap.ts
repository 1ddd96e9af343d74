/**
 * The deployment's first tables, made by our own code and not by CloudFormation: a template that is changed carelessly,
 * or a stack that is deleted, must not be able to replace or delete a table. Everything it does can be done again.
 */
import { CustomResource, Duration } from "aws-cdk-lib";
import { Construct } from "constructs";
import { acknowledge, LISTS_TABLES, tablesByPrefix } from "./acknowledged.ts";
import { type Deployment, tablesEnvironment } from "./deployment.ts";
import { Job } from "./job.ts";
import {
  callRegistry,
  deleteSandbox,
  findTables,
  leadRegistry,
  makeAcceptors,
  makeDirectory,
  readDirectory,
  writeDirectory,
} from "./permissions.ts";
import type { Registry } from "./registry.ts";

/** A table is there after seconds; the first ones are waited for. */
const TIMEOUT = Duration.minutes(5);
const DIRECTORY_ITEMS = ["deployment", "registry", "leaders", "tokens", "key/registry", "key/gateway"];

export interface BootstrapProps {
  readonly deployment: Deployment;
  readonly registry: Registry;
  /** Of the registry, as its `configure` takes them. */
  readonly settings: Readonly<Record<string, unknown>>;
}

export class Bootstrap extends Construct {
  /** What needs the directory and the registry depends on this. */
  readonly founded: CustomResource;
  readonly job: Job;

  constructor(scope: Construct, id: string, { deployment, registry, settings }: BootstrapProps) {
    super(scope, id);
    this.job = new Job(this, "Job", {
      deployment,
      job: "bootstrap",
      description: "founds the registry, and says where it is",
      permissions: [
        makeDirectory(deployment),
        readDirectory(deployment, ...DIRECTORY_ITEMS),
        writeDirectory(deployment, ...DIRECTORY_ITEMS),
        makeAcceptors(deployment),
        findTables(),
        ...leadRegistry(deployment),
        ...callRegistry(deployment),
        ...(deployment.sandbox ? [deleteSandbox(deployment)] : []),
      ],
      environment: tablesEnvironment(deployment),
      timeout: TIMEOUT,
    });
    acknowledge(this.job.role, [...tablesByPrefix(deployment), LISTS_TABLES]);
    this.founded = new CustomResource(this, "Founded", {
      resourceType: "Custom::TheseusDeployment",
      serviceToken: this.job.function.functionArn,
      serviceTimeout: Duration.minutes(10),
      properties: {
        name: deployment.name,
        regions: deployment.regions,
        registryAddress: registry.url.url,
        settings,
        sandbox: String(deployment.sandbox),
      },
    });
    this.founded.node.addDependency(registry);
  }
}
