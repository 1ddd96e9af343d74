/** An alarm without a meaning is noise at night: each says what users notice, and where it is written what to do. */
import { globSync, readFileSync } from "node:fs";
import { Topic } from "aws-cdk-lib/aws-sns";
import { describe, expect, it } from "vitest";
import { bank, bankStack, resourcesOf, templateOf } from "./synthesize.ts";

const production = bank();
const alarms = resourcesOf(production, "AWS::CloudWatch::Alarm").map(([, { Properties }]) => Properties);
const headings = readFileSync("docs/aws.md", "utf8")
  .split("\n")
  .filter((line) => line.startsWith("#"))
  .map((line) =>
    line
      .replace(/^#+ /, "")
      .toLowerCase()
      .replace(/[^a-z0-9 -]/g, "")
      .replaceAll(" ", "-"),
  );

/** Events as our logs have them: what a filter looks for has to be what somebody writes. */
const sources = globSync(["functions/**/*.ts", "shared/**/*.ts"]).map((path) => readFileSync(path, "utf8"));

describe("alarms", () => {
  it("are there without asking, for each of what may go wrong", () => {
    expect(alarms.map(({ AlarmName }) => AlarmName)).toEqual([
      "theseus-bank-no-leader",
      "theseus-bank-unavailable",
      "theseus-bank-quorum-at-risk",
      "theseus-bank-dead-letters",
      "theseus-bank-replacement-loop",
      "theseus-bank-throttling",
      "theseus-bank-divergence",
      "theseus-bank-sweeper-fails",
    ]);
  });

  it.each(alarms.map(({ AlarmName, AlarmDescription }) => [AlarmName, String(AlarmDescription)]))(
    "%s says what it means, and where its runbook is",
    (_, description) => {
      const [, meaning, anchor] = /^(.{40,}) Runbook: docs\/aws\.md#([a-z-]+)$/.exec(description) ?? [];
      expect(meaning).toMatch(/\.$/);
      expect(headings).toContain(anchor);
    },
  );

  it("tell a topic, if there is one, when it begins and when it is over", () => {
    const stack = bankStack();
    const without = resourcesOf(templateOf(stack), "AWS::CloudWatch::Alarm");
    expect(without.filter(([, { Properties }]) => Properties.AlarmActions !== undefined)).toEqual([]);
    const topic = Topic.fromTopicArn(bankStack(), "Topic", "arn:aws:sns:eu-central-1:111111111111:pager");
    const told = resourcesOf(bank({ alarms: { topic } }), "AWS::CloudWatch::Alarm");
    expect(told).toHaveLength(without.length);
    for (const [, { Properties }] of told)
      expect([Properties.AlarmActions, Properties.OKActions]).toEqual([[topic.topicArn], [topic.topicArn]]);
  });

  it("takes silence for an alarm where a leader would speak, and nowhere else", () => {
    const breaching = alarms.filter(({ TreatMissingData }) => TreatMissingData === "breaching");
    expect(breaching.map(({ AlarmName }) => AlarmName)).toEqual(["theseus-bank-no-leader"]);
  });
});

describe("metrics of our logs", () => {
  const filters = resourcesOf(production, "AWS::Logs::MetricFilter").map(([, { Properties }]) =>
    String(Properties.FilterPattern),
  );
  const events = new Set(
    filters.flatMap((pattern) => [...pattern.matchAll(/event = "(\w+)"/g)].map(([, name]) => name)),
  );

  it("count events that somebody writes", () => {
    expect(events.size).toBeGreaterThan(3);
    for (const event of events)
      expect([event, sources.some((source) => source.includes(`event: "${event}"`))]).toEqual([event, true]);
  });

  it("are what alarms read", () => {
    const made = resourcesOf(production, "AWS::Logs::MetricFilter").flatMap(
      ([, { Properties }]) =>
        Properties.MetricTransformations as { MetricName: string; MetricNamespace: string }[],
    );
    const read = alarms
      .filter(({ Namespace }) => Namespace === "Theseus/bank")
      .map(({ MetricName }) => MetricName);
    expect(new Set(made.map(({ MetricNamespace }) => MetricNamespace))).toEqual(new Set(["Theseus/bank"]));
    expect(new Set(made.map(({ MetricName }) => MetricName))).toEqual(new Set(read));
  });
});
