/** AWS's own list of what one should not do. What is done all the same is named, one by one (infra/acknowledged.ts). */
import { type App, Stack, Validations } from "aws-cdk-lib";
import { Bucket } from "aws-cdk-lib/aws-s3";
import { AwsSolutionsChecks } from "cdk-nag";
import { describe, expect, it } from "vitest";
import { Theseus, type TheseusProps, TheseusRegion } from "../../infra/index.ts";
import { BANK, bankStack, newApp } from "./synthesize.ts";

/** @throws Error with what was found. */
function check(stack: Stack): void {
  const app = stack.node.root as App;
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
  app.synth();
}

describe("cdk-nag", () => {
  it.each<[string, Partial<TheseusProps>]>([
    ["production", {}],
    ["a sandbox", { sandbox: true }],
    ["several Regions", { regions: ["eu-central-1", "us-east-1"] }],
    ["a budget", { budget: { monthlyUsd: 50, email: "ops@example.org" } }],
  ])("finds nothing in %s", (_, props) => {
    expect(() => check(bankStack(props))).not.toThrow();
  });

  it("finds nothing in a standby Region, nor where account and Region are not known yet", () => {
    const regions = ["eu-central-1", "us-east-1"];
    const standby = new Stack(newApp(), "standby", { env: { account: "111111111111", region: "us-east-1" } });
    new TheseusRegion(standby, "Bank", { ...BANK, regions });
    expect(() => check(standby)).not.toThrow();
    const anywhere = new Stack(newApp(), "anywhere");
    new Theseus(anywhere, "Bank", BANK);
    expect(() => check(anywhere)).not.toThrow();
  });

  it("would find what is added", () => {
    const stack = bankStack({}, { after: (_, to) => void new Bucket(to, "Bucket") });
    expect(() => check(stack)).toThrow(/AwsSolutions-S1/);
  });
});
