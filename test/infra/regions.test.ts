/** Several Regions and several accounts: one stack each, and none refers to another's. */
import { Stack } from "aws-cdk-lib";
import { describe, expect, it } from "vitest";
import { nameOf } from "../../infra/deployment.ts";
import { Theseus, TheseusRegion } from "../../infra/index.ts";
import { jobsByRole } from "../../shared/runtime/registry/caller.ts";
import { rightsOf } from "./statements.ts";
import {
  ACCOUNT,
  BANK,
  newApp,
  only,
  resourcesOf,
  type TemplateJson,
  templateOf,
  textOf,
} from "./synthesize.ts";

/** Of those that are named; the one that starts a task's containers is CDK's. */
function namesOfRoles(template: TemplateJson): string[] {
  return resourcesOf(template, "AWS::IAM::Role").flatMap(
    ([
      ,
      {
        Properties: { RoleName },
      },
    ]) => (RoleName === undefined ? [] : [textOf(RoleName)]),
  );
}

const REGIONS = ["eu-central-1", "eu-west-1", "us-east-1"];

function deployed() {
  const app = newApp();
  const [home = "", ...others] = REGIONS;
  const stackIn = (region: string) => new Stack(app, `bank-${region}`, { env: { account: ACCOUNT, region } });
  const first = stackIn(home);
  new Theseus(first, "Bank", { ...BANK, regions: REGIONS });
  const standbys = others.map((region) => {
    const stack = stackIn(region);
    new TheseusRegion(stack, "Bank", { ...BANK, regions: REGIONS });
    return stack;
  });
  const assembly = app.synth();
  return { assembly, first: templateOf(first), standbys: standbys.map(templateOf) };
}
const { assembly, first, standbys } = deployed();
const templates = [first, ...standbys];

describe("a deployment in several Regions", () => {
  it("is one stack each, in no order, with no reference between them", () => {
    expect(assembly.stacks).toHaveLength(REGIONS.length);
    for (const stack of assembly.stacks)
      expect([stack.stackName, stack.dependencies.map(({ id }) => id)]).toEqual([
        stack.stackName,
        [expect.stringContaining("assets")],
      ]);
    for (const template of templates) {
      const text = JSON.stringify(template);
      expect(text).not.toContain("Fn::ImportValue");
      expect(text).not.toContain("Custom::CrossRegion");
      expect(resourcesOf(template, "AWS::SSM::Parameter")).toEqual([]);
      expect(Object.values(template.Outputs).filter((output) => "Export" in output)).toEqual([]);
    }
  });

  it("is founded once, in the Region that serves", () => {
    expect(templates.map((each) => resourcesOf(each, "Custom::TheseusDeployment").length)).toEqual([1, 0, 0]);
  });

  it("names everything the same everywhere, and its directories and registries in every Region", () => {
    const directory = REGIONS.map((region) => `${region}/theseus-bank-directory`).join(",");
    for (const template of templates) {
      expect(template.Outputs.Directory?.Value).toBe(directory);
      expect(template.Outputs.Service?.Value).toBe("theseus-bank-leaders");
      const registries = rightsOf(template).filter(
        ({ of, sid }) => of === "TheseusLeadersRole" && sid === "CallRegistry",
      );
      expect(registries.flatMap(({ resources }) => resources)).toEqual(
        REGIONS.map(
          (region) =>
            `arn:\${AWS::Partition}:lambda:${region}:\${AWS::AccountId}:function:theseus-bank-registry`,
        ),
      );
    }
  });

  it("has standbys that lead nothing and retire nobody", () => {
    const counts = templates.map((each) => only(each, "AWS::ECS::Service").Properties.DesiredCount);
    expect(counts).toEqual([2, 0, 0]);
    const sweeping = templates.map((each) => only(each, "AWS::Events::Rule").Properties.State);
    expect(sweeping).toEqual(["ENABLED", "DISABLED", "DISABLED"]);
  });

  it("keeps roles apart, whose names are an account's and not a Region's", () => {
    const names = templates.flatMap(namesOfRoles);
    expect(names).toHaveLength(6 + 5 + 5);
    expect(new Set(names).size).toBe(names.length);
  });

  it("has every registry know the jobs of all Regions' roles", () => {
    const told = templates.map((each) => {
      const { Environment } = only(each, "AWS::Lambda::Function", "RegistryJobFunction").Properties;
      return textOf((Environment as { Variables: Record<string, unknown> }).Variables.THESEUS_ROLES);
    });
    expect(new Set(told).size).toBe(1);
    const jobs = jobsByRole(String(told[0]));
    const callers = templates.flatMap(namesOfRoles).filter((name) => !/-(registry|gateway)-/.test(name));
    expect(callers).toHaveLength(4 + 3 + 3);
    for (const name of callers) expect(name).toContain(`theseus-bank-${jobs.get(name)}-`);
  });

  it.each(["a", "n".repeat(31)])("has names of roles that IAM takes, all different: %s", (name) => {
    const deployment = { name, regions: ["ap-southeast-1"], sandbox: false, emulator: undefined };
    const likeIt = { ...deployment, name: `${name.slice(0, -1)}m` };
    const names = [deployment, likeIt].flatMap((one) =>
      ["provisioner", "bootstrap"].flatMap((job) =>
        ["ap-southeast-1", "ap-southeast-2"].map((region) => nameOf.role(one, job, region)),
      ),
    );
    expect(new Set(names).size).toBe(8);
    for (const each of names) expect(each).toMatch(/^theseus-[\w-]{1,56}$/);
  });

  it.each([
    [[], "at least one Region"],
    [["eu-west-1", "eu-west-1"], "named twice"],
  ])("refuses the Regions %j", (regions, sentence) => {
    expect(() => new Theseus(new Stack(newApp(), "stack"), "Bank", { ...BANK, regions })).toThrow(sentence);
  });
});

describe("deployments in several accounts", () => {
  it("have nothing of each other", () => {
    const app = newApp();
    const accounts = { test: "222222222222", production: "333333333333" };
    const stacks = Object.entries(accounts).map(([stage, account]) => {
      const stack = new Stack(app, stage, { env: { account, region: "eu-central-1" } });
      new Theseus(stack, "Bank", { ...BANK, sandbox: stage === "test" });
      return stack;
    });
    const texts = stacks.map((stack) => JSON.stringify(templateOf(stack)));
    expect(texts.map((text) => Object.values(accounts).filter((account) => text.includes(account)))).toEqual([
      ["222222222222"],
      ["333333333333"],
    ]);
    const [own] = stacks.map((stack) =>
      only(templateOf(stack), "AWS::Lambda::Function", "RegistryJobFunction"),
    );
    expect(textOf(own?.Properties.FunctionName)).toBe("theseus-bank-registry");
  });
});
