/**
 * What an operator is told without asking: alarms, each of which says what it means for a user and where its runbook
 * is, and a dashboard. They read AWS's own metrics, and our logs, which are JSON: an event there is a metric here.
 */
import { Duration } from "aws-cdk-lib";
import {
  Alarm,
  type AlarmProps,
  ComparisonOperator,
  Dashboard,
  GraphWidget,
  type IMetric,
  MathExpression,
  Metric,
  TreatMissingData,
} from "aws-cdk-lib/aws-cloudwatch";
import { SnsAction } from "aws-cdk-lib/aws-cloudwatch-actions";
import { FilterPattern, type LogGroup, MetricFilter } from "aws-cdk-lib/aws-logs";
import type { ITopic } from "aws-cdk-lib/aws-sns";
import { Construct } from "constructs";
import { type Deployment, nameOf } from "./deployment.ts";
import type { Gateway } from "./gateway.ts";
import type { Leaders } from "./leaders.ts";
import type { Provisioning } from "./provisioning.ts";
import type { Registry } from "./registry.ts";

export interface AlarmsOptions {
  /** Who is told. Default: nobody; alarms are there to be looked at. */
  readonly topic?: ITopic;
}

export interface ObservabilityProps {
  readonly deployment: Deployment;
  readonly registry: Registry;
  readonly provisioning: Provisioning;
  readonly leaders: Leaders;
  readonly gateway: Gateway;
  /** Tables that the deployment begins with. */
  readonly tables: number;
  readonly alarms: AlarmsOptions;
}

const RUNBOOK = "docs/aws.md#";
/** Beyond the first tables: one after the other is lost, or is taken for lost. */
const REPLACEMENTS_AN_HOUR_MAX = 6;

const MINUTE = Duration.minutes(1);

type AlarmDetails = Omit<AlarmProps, "alarmName" | "alarmDescription" | "metric">;
const REACHED = ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD;

export class Observability extends Construct {
  readonly #props: ObservabilityProps;
  readonly metrics: ReturnType<Observability["metricsOf"]>;

  constructor(scope: Construct, id: string, props: ObservabilityProps) {
    super(scope, id);
    this.#props = props;
    this.#filters();
    this.metrics = this.metricsOf();
    this.#alarms();
    this.#dashboard();
  }

  private metricsOf() {
    const { provisioning, leaders, gateway, registry } = this.#props;
    const ofGateway = (metricName: string, statistic: string) =>
      gateway.job.function.metric(metricName, { statistic, period: MINUTE });
    const logged = (metricName: string, period: Duration) =>
      new Metric({
        namespace: nameOf.metrics(this.#props.deployment),
        metricName,
        statistic: "Sum",
        period,
      });
    return {
      calls: ofGateway("UrlRequestCount", "Sum"),
      unavailable: ofGateway("Url5xxCount", "Sum"),
      latency: ofGateway("UrlRequestLatency", "p99"),
      /** One sample of each leader a minute, and none when there is none. */
      leaders: leaders.service.metricCpuUtilization({ statistic: "SampleCount", period: MINUTE }),
      leadersCpu: leaders.service.metricCpuUtilization({ period: MINUTE }),
      leadersMemory: leaders.service.metricMemoryUtilization({ period: MINUTE }),
      registryCalls: registry.job.function.metricInvocations({ period: MINUTE }),
      registryErrors: registry.job.function.metricErrors({ period: MINUTE }),
      sweeperErrors: provisioning.sweeper.function.metricErrors({ period: MINUTE }),
      orders: provisioning.queue.metricApproximateNumberOfMessagesVisible({ period: MINUTE }),
      deadLetters: provisioning.deadLetters.metricApproximateNumberOfMessagesVisible({
        period: MINUTE,
        statistic: "Maximum",
      }),
      quorumAtRisk: logged("QuorumAtRisk", Duration.minutes(10)),
      replacements: logged("TablesMade", Duration.hours(1)),
      divergence: logged("Divergence", MINUTE),
      throttling: new MathExpression({
        expression: 'SELECT SUM(WriteThrottleEvents) FROM SCHEMA("AWS/DynamoDB", TableName)',
        label: "writes that DynamoDB put off",
        period: MINUTE,
      }),
    };
  }

  /** Of our logs, by what their events are called there. */
  #filters(): void {
    const { leaders, registry, provisioning } = this.#props;
    const leading: [string, LogGroup][] = [
      ["Leaders", leaders.log],
      ["Registry", registry.job.log],
    ];
    for (const [of, log] of leading) {
      this.#filter(
        `QuorumAtRiskOf${of}`,
        log,
        "QuorumAtRisk",
        '{ ($.event = "notRepaired") || ($.event = "notSuspected") }',
      );
      this.#filter(
        `DivergenceOf${of}`,
        log,
        "Divergence",
        '{ ($.event = "abdicated") && (($.why = "alarm") || ($.why = "broken")) }',
      );
    }
    this.#filter(
      "Made",
      provisioning.provisioner.log,
      "TablesMade",
      '{ ($.event = "carriedOut") && ($.type = "createAcceptor") }',
    );
  }

  #filter(id: string, logGroup: LogGroup, metricName: string, pattern: string): void {
    new MetricFilter(this, id, {
      logGroup,
      metricNamespace: nameOf.metrics(this.#props.deployment),
      metricName,
      metricValue: "1",
      filterPattern: FilterPattern.literal(pattern),
    });
  }

  #alarms(): void {
    const { metrics } = this;
    this.#alarm(
      "no-leader",
      metrics.leaders,
      "No leader process runs: no machine of this Region answers, and nothing that was acknowledged is lost.",
      {
        threshold: 1,
        comparisonOperator: ComparisonOperator.LESS_THAN_THRESHOLD,
        evaluationPeriods: 3,
        treatMissingData: TreatMissingData.BREACHING,
      },
    );
    this.#alarm(
      "unavailable",
      metrics.unavailable,
      "Calls fail for minutes on end, longer than a failover takes: some machine has no leader that can reach a quorum.",
      { threshold: 1, evaluationPeriods: 3 },
    );
    this.#alarm(
      "quorum-at-risk",
      metrics.quorumAtRisk,
      "A machine's table is lost and could not be replaced: all still answers, and one more loss may stop that machine.",
      { threshold: 1, evaluationPeriods: 1 },
    );
    this.#alarm(
      "dead-letters",
      metrics.deadLetters,
      "An order to make or delete a table, or to start or stop a leader, failed again and again: users notice nothing until the next loss.",
      { threshold: 1, evaluationPeriods: 1 },
    );
    this.#alarm(
      "replacement-loop",
      metrics.replacements,
      "Table after table is replaced: users notice slow calls and a growing bill, and the cause is not the tables.",
      { threshold: this.#props.tables + REPLACEMENTS_AN_HOUR_MAX, evaluationPeriods: 1 },
    );
    // A query over all tables, since each is made at run time: an emulator has no such alarm.
    if (this.#props.deployment.emulator === undefined)
      this.#alarm(
        "throttling",
        metrics.throttling,
        "DynamoDB puts off writes to tables of this account and Region: calls are slow, and some are refused as overloaded.",
        { threshold: 1, evaluationPeriods: 5 },
      );
    this.#alarm(
      "divergence",
      metrics.divergence,
      "A leader found that an invariant is broken, and stopped leading that machine rather than answer wrongly: it needs a person.",
      { threshold: 1, evaluationPeriods: 1 },
    );
    this.#alarm(
      "sweeper-fails",
      metrics.sweeperErrors,
      "The sweeper fails: what dies is no longer found, so that the next loss would stay. Users notice nothing yet.",
      { threshold: 1, evaluationPeriods: 5 },
    );
  }

  #alarm(name: string, metric: IMetric, meaning: string, details: AlarmDetails): void {
    const { deployment, alarms } = this.#props;
    const alarm = new Alarm(this, name, {
      comparisonOperator: REACHED,
      treatMissingData: TreatMissingData.NOT_BREACHING,
      ...details,
      alarmName: `theseus-${deployment.name}-${name}`,
      alarmDescription: `${meaning} Runbook: ${RUNBOOK}${name}`,
      metric,
    });
    if (alarms.topic === undefined) return;
    const tell = new SnsAction(alarms.topic);
    alarm.addAlarmAction(tell);
    alarm.addOkAction(tell);
  }

  #dashboard(): void {
    const { metrics } = this;
    const graph = (title: string, ...left: IMetric[]) => new GraphWidget({ title, left, width: 8 });
    new Dashboard(this, "Dashboard", {
      dashboardName: `theseus-${this.#props.deployment.name}`,
      widgets: [
        [
          graph("Calls, and those that failed", metrics.calls, metrics.unavailable),
          graph("Of 100 calls, 99 took less (ms)", metrics.latency),
          graph("Leaders", metrics.leaders),
        ],
        [
          graph("Leaders' CPU and memory (%)", metrics.leadersCpu, metrics.leadersMemory),
          graph("Registry: calls and errors", metrics.registryCalls, metrics.registryErrors),
          graph("Orders, and dead letters", metrics.orders, metrics.deadLetters),
        ],
        [
          graph("Tables made", metrics.replacements),
          graph("Tables that could not be replaced", metrics.quorumAtRisk),
          graph("Writes that DynamoDB put off", metrics.throttling),
        ],
      ],
    });
  }
}
