/**
 * From the registry's orders to tables and leaders: a queue that carries ids of orders, a function that carries them
 * out, and one that looks after what was left behind. The orders themselves are the registry's, so that the queue may
 * be lost with all that is in it.
 */
import { Duration, RemovalPolicy } from "aws-cdk-lib";
import { Rule, Schedule } from "aws-cdk-lib/aws-events";
import { ServicePrincipal } from "aws-cdk-lib/aws-iam";
import { EventSourceMapping } from "aws-cdk-lib/aws-lambda";
import { Queue, QueueEncryption } from "aws-cdk-lib/aws-sqs";
import { Construct } from "constructs";
import { acknowledge, tablesByPrefix, tasksByCluster } from "./acknowledged.ts";
import { type Deployment, nameOf, tablesEnvironment } from "./deployment.ts";
import { Job } from "./job.ts";
import {
  callRegistry,
  deleteAcceptors,
  makeAcceptors,
  orderLeaders,
  readDirectory,
  receiveOrders,
  sendOrders,
} from "./permissions.ts";

/** It never waits for a table: it sends itself a message, and is done. */
const PROVISIONER_TIMEOUT = Duration.seconds(60);
const SWEEPER_TIMEOUT = Duration.minutes(2);
/** Then the order is a dead letter, an alarm, and the sweeper's, who sends it again. */
const ATTEMPTS_MAX = 5;

export interface ProvisioningProps {
  readonly deployment: Deployment;
  /** A Region that stands by must not take the tasks of the one that serves for dead. */
  readonly sweeps: boolean;
}

export class Provisioning extends Construct {
  readonly queue: Queue;
  readonly deadLetters: Queue;
  readonly provisioner: Job;
  readonly sweeper: Job;
  readonly #deployment: Deployment;
  readonly #sweeps: boolean;

  constructor(scope: Construct, id: string, { deployment, sweeps }: ProvisioningProps) {
    super(scope, id);
    this.#deployment = deployment;
    this.#sweeps = sweeps;
    const common = {
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: deployment.emulator === undefined,
      removalPolicy: RemovalPolicy.DESTROY,
    };
    this.deadLetters = new Queue(this, "DeadLetters", {
      ...common,
      queueName: nameOf.deadLetters(deployment),
      retentionPeriod: Duration.days(14),
    });
    this.queue = new Queue(this, "Queue", {
      ...common,
      queueName: nameOf.queue(deployment),
      visibilityTimeout: Duration.seconds(6 * PROVISIONER_TIMEOUT.toSeconds()),
      deadLetterQueue: { queue: this.deadLetters, maxReceiveCount: ATTEMPTS_MAX },
    });
    const environment = {
      ...tablesEnvironment(deployment),
      THESEUS_QUEUE_URL: this.queue.queueUrl,
      THESEUS_CLUSTER: nameOf.cluster(deployment),
      THESEUS_SERVICE: nameOf.service(deployment),
    };
    const permissions = [
      readDirectory(deployment, "registry"),
      ...callRegistry(deployment),
      sendOrders(deployment),
      ...orderLeaders(deployment),
      ...deleteAcceptors(deployment),
    ];
    this.provisioner = new Job(this, "Provisioner", {
      deployment,
      job: "provisioner",
      description: "makes and deletes tables, starts and stops leaders",
      permissions: [...permissions, makeAcceptors(deployment), receiveOrders(deployment)],
      environment,
      timeout: PROVISIONER_TIMEOUT,
    });
    this.sweeper = new Job(this, "Sweeper", {
      deployment,
      job: "sweeper",
      description: "finds what was left behind, and sends again what was not carried out",
      permissions,
      environment,
      timeout: SWEEPER_TIMEOUT,
    });
    this.#acknowledge();
  }

  #acknowledge(): void {
    for (const { role } of [this.provisioner, this.sweeper])
      acknowledge(role, [...tablesByPrefix(this.#deployment), ...tasksByCluster(this.#deployment)]);
  }

  /** Once there is something to carry out: until then each attempt would fail. */
  start(founded: Construct): void {
    const orders = new EventSourceMapping(this, "Orders", {
      target: this.provisioner.function,
      eventSourceArn: this.queue.queueArn,
      batchSize: 10,
      maxConcurrency: 2,
      reportBatchItemFailures: true,
    });
    const { function: sweeper } = this.sweeper;
    const everyMinute = new Rule(this, "EveryMinute", {
      description: `theseus-${this.#deployment.name}: the sweeper's`,
      schedule: Schedule.rate(Duration.minutes(1)),
      enabled: this.#sweeps,
      // A minute later it runs anyway.
      targets: [{ bind: () => ({ arn: sweeper.functionArn, retryPolicy: { maximumRetryAttempts: 0 } }) }],
    });
    // Not by the target's own class, which would name the permission after this construct's place.
    sweeper.addPermission("EveryMinute", {
      principal: new ServicePrincipal("events.amazonaws.com"),
      sourceArn: everyMinute.ruleArn,
    });
    for (const each of [orders, everyMinute]) each.node.addDependency(founded);
  }
}
