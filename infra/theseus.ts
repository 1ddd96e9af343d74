/**
 * A whole deployment of Theseus: everything but its tables, which its own code makes, so that no update of the stack
 * and no mistake in it can replace or delete one.
 */
import { resolve } from "node:path";
import { CfnElement, CfnOutput, Stack } from "aws-cdk-lib";
import type { IMetric } from "aws-cdk-lib/aws-cloudwatch";
import type { IVpc } from "aws-cdk-lib/aws-ec2";
import type { ContainerImage } from "aws-cdk-lib/aws-ecs";
import type { IGrantable } from "aws-cdk-lib/aws-iam";
import { Construct } from "constructs";
import { Bootstrap } from "./bootstrap.ts";
import { Budget, type BudgetOptions } from "./budget.ts";
import { type Deployment, deploymentOf, nameOf } from "./deployment.ts";
import { Gateway } from "./gateway.ts";
import { Leaders, type LeadersOptions } from "./leaders.ts";
import { Network } from "./network.ts";
import { type AlarmsOptions, Observability } from "./observability.ts";
import { assertPeers } from "./peers.ts";
import { Provisioning } from "./provisioning.ts";
import { Registry } from "./registry.ts";
import { Replication } from "./replication.ts";

export interface TheseusProps {
  /**
   * The deployment's, for good: a letter and up to 30 more of a-z, 0-9 and "-". Every other name follows from it, and
   * the tables are found by it; another name is another deployment.
   */
  readonly name: string;
  /** A file that exports machines, relative to the working directory. It may be TypeScript. */
  readonly entry: string;
  /** Of machines that are started from now on. Default: `Replication.majority(3)`. */
  readonly replication?: Replication;
  /** Tables that are kept ready for repairs. Default: 1. */
  readonly spares?: number;
  /** Where tables are made, in turn. Default: this stack's Region. One may be added, and one left out that has no tables any more. */
  readonly regions?: readonly string[];
  readonly leaders?: LeadersOptions;
  /** Default: one is made, without a NAT gateway. */
  readonly vpc?: IVpc;
  /** What leaders run; its command is to start one (infra/leader.Dockerfile). Default: a public image of Node, and bundles. */
  readonly image?: ContainerImage;
  /** Everything that it knows, tables and all, goes with the stack. Default: false. */
  readonly sandbox?: boolean;
  readonly budget?: BudgetOptions;
  readonly alarms?: AlarmsOptions;
}

/** Of a standby in another Region. */
export type TheseusRegionProps = Pick<
  TheseusProps,
  "name" | "entry" | "vpc" | "image" | "sandbox" | "alarms"
> & {
  /** The same as the deployment's. */
  readonly regions: readonly string[];
  /** Default: none runs, until a runbook says so: leaders of two Regions need a network that joins them. */
  readonly leaders?: LeadersOptions;
};

interface PartsProps extends TheseusRegionProps {
  readonly serves: boolean;
  readonly tables: number;
}

/** What a deployment has in every Region where it has more than tables. */
abstract class InRegion extends Construct {
  protected readonly deployment: Deployment;
  protected readonly registry: Registry;
  protected readonly provisioning: Provisioning;
  protected readonly leaders: Leaders;
  protected readonly gateway: Gateway;
  readonly #observability: Observability;

  constructor(scope: Construct, id: string, props: PartsProps) {
    super(scope, id);
    assertPeers();
    this.#isAlone();
    const { entry, vpc, image, leaders, alarms = {}, sandbox = false, serves, tables } = props;
    this.deployment = deploymentOf(this, { name: props.name, regions: props.regions, sandbox });
    const { deployment } = this;
    Stack.of(this).terminationProtection = !sandbox;
    const network = new Network(this, "Network", deployment, vpc);
    this.provisioning = new Provisioning(this, "Provisioning", { deployment, sweeps: serves });
    this.registry = new Registry(this, "Registry", deployment, this.provisioning.queue);
    this.gateway = new Gateway(this, "Gateway", deployment, network);
    this.leaders = new Leaders(this, "Leaders", {
      ...leaders,
      deployment,
      network,
      entry: resolve(entry),
      image,
    });
    const parts = { registry: this.registry, provisioning: this.provisioning, gateway: this.gateway };
    this.#observability = new Observability(this, "Observability", {
      ...parts,
      leaders: this.leaders,
      deployment,
      tables,
      alarms,
    });
    this.#outputs();
  }

  /** May send commands and queries to every machine, through the gateway. */
  grantSend(principal: IGrantable): void {
    this.gateway.job.function.grantInvokeUrl(principal);
  }

  /** May do all that an operator may: reconfigure, retire leaders, read the audit. */
  grantAdmin(principal: IGrantable): void {
    this.grantSend(principal);
    this.registry.job.function.grantInvokeUrl(principal);
  }

  /** Calls through the gateway. */
  metricCalls(): IMetric {
    return this.#observability.metrics.calls;
  }
  /** Calls through the gateway that failed, and were not refused. */
  metricUnavailable(): IMetric {
    return this.#observability.metrics.unavailable;
  }
  /** Of calls through the gateway, in ms: of 100 calls, 99 took less. */
  metricLatency(): IMetric {
    return this.#observability.metrics.latency;
  }
  /** Leader processes that run. */
  metricLeaders(): IMetric {
    return this.#observability.metrics.leaders;
  }
  /** Tables made in an hour, first ones and replacements. */
  metricTablesMade(): IMetric {
    return this.#observability.metrics.replacements;
  }
  /** Reports of tables that could not be replaced. */
  metricQuorumAtRisk(): IMetric {
    return this.#observability.metrics.quorumAtRisk;
  }

  /** Its logical ids are always the same (`settleIds`). */
  #isAlone(): void {
    const all = Stack.of(this).node.findAll();
    if (all.some((other) => other !== this && other instanceof InRegion))
      throw new RangeError("a stack holds one deployment: give each a stack of its own");
  }

  #outputs(): void {
    const { deployment } = this;
    const outputs = {
      Name: deployment.name,
      Region: Stack.of(this).region,
      GatewayUrl: this.gateway.url.url,
      RegistryUrl: this.registry.url.url,
      Directory: deployment.regions.map((region) => `${region}/${nameOf.directory(deployment)}`).join(","),
      Cluster: nameOf.cluster(deployment),
      Service: nameOf.service(deployment),
      Sandbox: String(deployment.sandbox),
    };
    for (const [name, value] of Object.entries(outputs))
      new CfnOutput(this, name, { value }).overrideLogicalId(name);
  }

  /**
   * Logical ids do not come from this construct's id or place: to CloudFormation, a resource that is called otherwise
   * is another one, so that renaming a construct would replace everything.
   */
  protected settleIds(): void {
    for (const child of this.node.findAll()) {
      if (!CfnElement.isCfnElement(child) || child instanceof CfnOutput) continue;
      const path = child.node.path.slice(this.node.path.length + 1).split("/");
      const names = path.filter((part) => part !== "Resource" && part !== "Default");
      child.overrideLogicalId(`Theseus${names.join("").replace(/[^A-Za-z0-9]/g, "")}`);
    }
  }
}

/** The deployment, in the Region that serves. A stack holds one. */
export class Theseus extends InRegion {
  /** @throws RangeError when a property is out of its range. */
  constructor(scope: Construct, id: string, props: TheseusProps) {
    const { replication = Replication.majority(3), spares = 1, budget } = props;
    const { first } = replication;
    const regions = props.regions ?? [Stack.of(scope).region];
    super(scope, id, { ...props, regions, serves: true, tables: first.acceptors + spares });
    const { deployment, registry } = this;
    const { founded } = new Bootstrap(this, "Bootstrap", {
      deployment,
      registry,
      settings: { acceptors: first.acceptors, spares, endorsements: "auto", machines: first },
    });
    this.provisioning.start(founded);
    this.leaders.service.node.addDependency(founded);
    if (budget !== undefined && deployment.emulator === undefined)
      new Budget(this, "Budget", deployment, budget);
    this.settleIds();
  }
}

/**
 * The same deployment in one more Region: a registry, a gateway and a service that stand by for the loss of the first
 * Region. Its directory and tables were made with the deployment's, which has to be deployed before.
 */
export class TheseusRegion extends InRegion {
  /** @throws RangeError when a property is out of its range. */
  constructor(scope: Construct, id: string, props: TheseusRegionProps) {
    super(scope, id, { ...props, leaders: { count: 0, ...props.leaders }, serves: false, tables: 0 });
    this.provisioning.start(this.registry);
    this.settleIds();
  }
}
