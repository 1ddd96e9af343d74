/** What only a real account has an answer to: rights, metrics, alarms, and what Lambda wrote about its own starts. */
import { setTimeout as sleep } from "node:timers/promises";
import { CloudFormationClient, ListStackResourcesCommand } from "@aws-sdk/client-cloudformation";
import { ECSClient, UpdateServiceCommand } from "@aws-sdk/client-ecs";
import type { Stack } from "../../cli/aws/stack.ts";
import type { Where } from "../../cli/aws/where.ts";
import { awsClient } from "../../shared/aws/clients.ts";
import { inXml, logs, members, query } from "./ask.ts";

export interface Right {
  /** The role's logical id. */
  readonly role: string;
  readonly action: string;
  /** A table's ARN. */
  readonly table: string;
  /** An item's key. */
  readonly key?: string;
}

const POLL_MS = 15_000;
const MINUTE_MS = 60_000;

export class Account {
  readonly #stack: Stack;
  readonly #where: Where;
  /** Names by logical ids. */
  #resources: ReadonlyMap<string, string> = new Map();

  constructor(stack: Stack, where: Where) {
    this.#stack = stack;
    this.#where = where;
  }

  arnOf(table: string): string {
    return `arn:aws:dynamodb:${this.#stack.region}:${this.#stack.account}:table/${table}`;
  }

  /** As IAM would decide it, by the role's own policies. */
  async isAllowed({ role, action, table, key }: Right): Promise<boolean> {
    const keys =
      key === undefined
        ? {}
        : {
            "ContextEntries.member.1.ContextKeyName": "dynamodb:LeadingKeys",
            "ContextEntries.member.1.ContextKeyType": "stringList",
            ...members("ContextEntries.member.1.ContextKeyValues", [key]),
          };
    const xml = await query(
      "iam",
      "SimulatePrincipalPolicy",
      {
        PolicySourceArn: await this.#roleArn(new RegExp(`^${role}$`)),
        ...members("ActionNames", [action]),
        ...members("ResourceArns", [table]),
        ...keys,
      },
      this.#where,
    );
    const [decision = "none"] = inXml(xml, "EvalDecision");
    return decision === "allowed";
  }

  /** An environment in which the role with such a logical id is who one is. */
  async as(role: RegExp): Promise<NodeJS.ProcessEnv> {
    const parameters = { RoleArn: await this.#roleArn(role), RoleSessionName: "test-sandbox" };
    const xml = await query("sts", "AssumeRole", parameters, this.#where);
    const of = (tag: string) => inXml(xml, tag)[0] ?? "";
    return {
      ...{ AWS_PROFILE: undefined, AWS_ACCESS_KEY_ID: of("AccessKeyId") },
      ...{ AWS_SECRET_ACCESS_KEY: of("SecretAccessKey"), AWS_SESSION_TOKEN: of("SessionToken") },
    };
  }

  /** States by the alarms' names, without what is common to all. */
  async alarms(): Promise<ReadonlyMap<string, string>> {
    const prefix = `${this.#stack.name}-`;
    const xml = await query("monitoring", "DescribeAlarms", { AlarmNamePrefix: prefix }, this.#where);
    const states = inXml(xml, "StateValue");
    return new Map(
      inXml(xml, "AlarmName").map((name, index) => [name.slice(prefix.length), states[index] ?? ""]),
    );
  }

  /** In ms. */
  async untilAlarm(alarm: string, state: string): Promise<number> {
    const started = performance.now();
    while ((await this.alarms()).get(alarm) !== state) await sleep(POLL_MS);
    return performance.now() - started;
  }

  async wantLeaders(count: number): Promise<void> {
    const { cluster, service } = this.#stack;
    const client = awsClient(ECSClient, this.#where.region, this.#where.place);
    await client.send(new UpdateServiceCommand({ cluster, service, desiredCount: count }));
    client.destroy();
  }

  /** Write units that each of these tables used, once CloudWatch says the same twice: it is minutes late. */
  async writeUnits(tables: readonly string[], from: Date, to: Date): Promise<readonly number[]> {
    const ask = () => Promise.all(tables.map((table) => this.#writeUnits(table, from, to)));
    for (let before = await ask(); ; ) {
      await sleep(2 * MINUTE_MS);
      const now = await ask();
      if (now.every((units, index) => units > 0 && units === before[index])) return now;
      before = now;
    }
  }

  /** In ms, each that is in the log of the function with that logical id. */
  async coldStarts(job: string): Promise<readonly number[]> {
    const logGroupName = await this.#nameOf(new RegExp(`^Theseus${job}(Job)?Log$`));
    const asked = { logGroupName, filterPattern: '"Init Duration"' };
    const { events = [] } = (await logs("FilterLogEvents", asked, this.#where)) as {
      readonly events?: readonly { readonly message: string }[];
    };
    return events.flatMap(({ message }) => {
      const [, ms] = /Init Duration: ([0-9.]+) ms/.exec(message) ?? [];
      return ms === undefined ? [] : [Number(ms)];
    });
  }

  /** Log groups of the stack that are there, also when it is not there any more but was asked about before. */
  async logGroups(): Promise<readonly string[]> {
    const all = [...(await this.#named())].filter(([id]) => id.endsWith("Log")).map(([, name]) => name);
    const found = await Promise.all(all.map((name) => this.#logGroupsThatBegin(name)));
    return found.flat();
  }

  async #logGroupsThatBegin(logGroupNamePrefix: string): Promise<readonly string[]> {
    const { logGroups = [] } = (await logs("DescribeLogGroups", { logGroupNamePrefix }, this.#where)) as {
      readonly logGroups?: readonly { readonly logGroupName: string }[];
    };
    return logGroups.map(({ logGroupName }) => logGroupName);
  }

  async #roleArn(logicalId: RegExp): Promise<string> {
    return `arn:aws:iam::${this.#stack.account}:role/${await this.#nameOf(logicalId)}`;
  }

  /** Of the resource with such a logical id. */
  async #nameOf(logicalId: RegExp): Promise<string> {
    const found = [...(await this.#named())].find(([id]) => logicalId.test(id));
    if (found === undefined) throw new Error(`the stack ${this.#stack.name} has no ${logicalId}`);
    return found[1];
  }

  async #named(): Promise<ReadonlyMap<string, string>> {
    if (this.#resources.size === 0) this.#resources = await this.#listResources();
    return this.#resources;
  }

  async #listResources(): Promise<ReadonlyMap<string, string>> {
    const client = awsClient(CloudFormationClient, this.#where.region, this.#where.place);
    const names = new Map<string, string>();
    let next: string | undefined;
    do {
      const { StackResourceSummaries = [], NextToken } = await client.send(
        new ListStackResourcesCommand({
          StackName: this.#stack.name,
          ...(next !== undefined && { NextToken: next }),
        }),
      );
      for (const { LogicalResourceId = "", PhysicalResourceId = "" } of StackResourceSummaries)
        names.set(LogicalResourceId, PhysicalResourceId);
      next = NextToken;
    } while (next !== undefined);
    client.destroy();
    return names;
  }

  async #writeUnits(table: string, from: Date, to: Date): Promise<number> {
    const xml = await query(
      "monitoring",
      "GetMetricStatistics",
      {
        ...{ Namespace: "AWS/DynamoDB", MetricName: "ConsumedWriteCapacityUnits", Period: "60" },
        ...{ StartTime: from.toISOString(), EndTime: to.toISOString() },
        ...members("Statistics", ["Sum"]),
        ...{ "Dimensions.member.1.Name": "TableName", "Dimensions.member.1.Value": table },
      },
      this.#where,
    );
    return inXml(xml, "Sum").reduce((sum, text) => sum + Number(text), 0);
  }
}
