/** What a deployment on AWS costs a month, item by item, idle and under a steady load. */
import { PRICES } from "./prices.ts";
import { slotsFor, snapshotUnitsOfSlot, storedBytes, unitsOfSlot } from "./units.ts";

export interface CostInputs {
  readonly commandsPerSecond: number;
  /** Of one command, as JSON. */
  readonly bytes: number;
  /** Tables that a machine has. */
  readonly acceptors: number;
  /** Leader processes in each Region. */
  readonly leaders: number;
  readonly regions: number;
}

export interface CostItem {
  readonly item: string;
  readonly how: string;
  /** US dollars a month. */
  readonly idle: number;
  readonly load: number;
}

const HOURS = 730;
const SECONDS = HOURS * 3_600;
const MINUTES = HOURS * 60;
const MILLION = 1_000_000;
const GB = 1024 ** 3;
const MB = 1024 ** 2;

/** As the construct has them by default. */
const LEADER = { vcpu: 0.5, gb: 1 };
const GATEWAY_GB = 1;
const REGISTRY_GB = 1;
const SWEEPER_GB = 0.5;
const ALARMS = 8;
const LOG_METRICS = 3;
const DASHBOARDS = 1;

/** Of all machines together. */
const STATE_MB = 100;
const REGISTRY_TABLES = 3;
const GATEWAY_SECONDS = 0.02;
/** Each minute: the sweeper runs once, and asks the registry twice. */
const SWEEPER_SECONDS = 1;
const REGISTRY_CALLS_A_MINUTE = 2;
const REGISTRY_SECONDS = 0.2;
/** Lambda asks a queue for messages all the time: five times at once, for 20 s each. */
const POLLS_A_MINUTE = 15;
const LOG_GB = 0.5;

/** What the figures take for granted, for a reader. */
export const ASSUMPTIONS: readonly string[] = [
  `one machine, or many with ${STATE_MB} MB of state together; every command a request of its own through the gateway`,
  "commands that cannot be packed: those that resemble each other cost about a fifth of the write units",
  "no queries (each costs one read unit a table), failed calls, replaced tables, cold starts, or traffic to the internet",
];

export function monthOf(inputs: CostInputs): readonly CostItem[] {
  return [...tables(inputs), ...processes(inputs), ...aroundThem(inputs)];
}

function tables(inputs: CostInputs): readonly CostItem[] {
  const { commandsPerSecond, bytes, acceptors } = inputs;
  const { dynamodb } = PRICES;
  const { perSecond, valueBytes } = slotsFor(commandsPerSecond, bytes);
  const units = unitsOfSlot(valueBytes);
  const perUnit = (perSecond * SECONDS * acceptors * dynamodb.writeUnitsMillion) / MILLION;
  const snapshots = snapshotUnitsOfSlot(valueBytes, STATE_MB * MB);
  const write = (item: string, each: number): CostItem => {
    const how = `${rounded(perSecond)} slots/s × ${rounded(each)} units × ${acceptors} tables`;
    return { item, how, idle: 0, load: each * perUnit };
  };
  const storedGb = (acceptors * storedBytes(valueBytes, STATE_MB * MB)) / GB;
  const stored = (item: string, price: number) => same(item, `${rounded(storedGb)} GB`, storedGb * price);
  const reads = MINUTES * REGISTRY_CALLS_A_MINUTE * REGISTRY_TABLES;
  return [
    write("write units: votes", units.vote),
    write("write units: archive", units.archive),
    write("write units: truncation", units.truncation),
    write("write units: snapshots", snapshots),
    same(
      "read units: registry",
      `${REGISTRY_CALLS_A_MINUTE} reads a minute × ${REGISTRY_TABLES} tables`,
      (reads * dynamodb.readUnitsMillion) / MILLION,
    ),
    stored("table storage", dynamodb.storageGbMonth),
    stored("point-in-time recovery", dynamodb.pointInTimeRecoveryGbMonth),
  ];
}

function processes({ commandsPerSecond, leaders, regions }: CostInputs): readonly CostItem[] {
  const { fargate, lambda, publicIpv4Hour } = PRICES;
  const tasks = leaders * regions;
  const task = HOURS * (LEADER.vcpu * fargate.vcpuHour + LEADER.gb * fargate.gbHour);
  const lambdas = (calls: number, seconds: number, gb: number) =>
    (calls * lambda.requestsMillion) / MILLION + calls * seconds * gb * lambda.gbSecond;
  const sweeps = lambdas(MINUTES, SWEEPER_SECONDS, SWEEPER_GB);
  const registry = lambdas(MINUTES * REGISTRY_CALLS_A_MINUTE, REGISTRY_SECONDS, REGISTRY_GB);
  return [
    same("Fargate: leaders", `${tasks} × ${LEADER.vcpu} vCPU, ${LEADER.gb} GB, arm64`, tasks * task),
    same("public addresses", `${tasks} of leaders, in place of NAT gateways`, tasks * HOURS * publicIpv4Hour),
    {
      item: "Lambda: gateway",
      how: `Function URL, ${commandsPerSecond} calls/s × ${GATEWAY_SECONDS * 1_000} ms × ${GATEWAY_GB} GB`,
      idle: 0,
      load: lambdas(commandsPerSecond * SECONDS, GATEWAY_SECONDS, GATEWAY_GB),
    },
    same("Lambda: registry, sweeper", "each minute", sweeps + registry),
  ];
}

function aroundThem(inputs: CostInputs): readonly CostItem[] {
  const { commandsPerSecond, bytes, acceptors, leaders, regions } = inputs;
  const { cloudwatch, sqsRequestsMillion, schedulerInvocationsMillion, transfer } = PRICES;
  const { perSecond, valueBytes } = slotsFor(commandsPerSecond, bytes);
  const followedGb = (perSecond * valueBytes * SECONDS * (leaders * regions - 1)) / GB;
  // Each slot is voted once and archived once.
  const elsewhere = (acceptors * (regions - 1)) / regions;
  const votedGb = (2 * perSecond * valueBytes * SECONDS * elsewhere) / GB;
  return [
    same(
      "SQS",
      `${POLLS_A_MINUTE} polls a minute`,
      (MINUTES * POLLS_A_MINUTE * sqsRequestsMillion) / MILLION,
    ),
    same("EventBridge", "a sweep a minute", (MINUTES * schedulerInvocationsMillion) / MILLION),
    same(
      "CloudWatch",
      `${regions} × (${ALARMS} alarms, ${LOG_METRICS} metrics, ${DASHBOARDS} dashboard, ${LOG_GB} GB of logs)`,
      regions *
        (ALARMS * cloudwatch.alarmMonth +
          LOG_METRICS * cloudwatch.metricMonth +
          DASHBOARDS * cloudwatch.dashboardMonth +
          LOG_GB * cloudwatch.logGb),
    ),
    {
      item: "data between zones",
      how: `${rounded(followedGb)} GB from a leader to its standbys`,
      idle: 0,
      load: followedGb * transfer.betweenZonesGb,
    },
    {
      item: "data between Regions",
      how: `${rounded(votedGb)} GB to tables elsewhere`,
      idle: 0,
      load: votedGb * transfer.betweenRegionsGb,
    },
  ];
}

function same(item: string, how: string, usd: number): CostItem {
  return { item, how, idle: usd, load: usd };
}

/** Three digits that count, for a reader. */
function rounded(value: number): string {
  return Number(value.toPrecision(3)).toString();
}
