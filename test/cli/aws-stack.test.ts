/** What the command line makes of a stack, of an environment, and of AWS's refusals. */
import { describe, expect, test } from "vitest";
import { cacheFolder } from "../../cli/aws/cache.ts";
import { confirm } from "../../cli/aws/confirm.ts";
import { stackOf } from "../../cli/aws/stack.ts";
import { awsTrouble } from "../../cli/aws/trouble.ts";
import { whereIs } from "../../cli/aws/where.ts";

const ID = "arn:aws:cloudformation:eu-central-1:123456789012:stack/theseus-bank/0";
const OUTPUTS = {
  Name: "bank",
  GatewayUrl: "https://g.lambda-url.eu-central-1.on.aws/",
  RegistryUrl: "https://r.lambda-url.eu-central-1.on.aws/",
  Cluster: "theseus-bank",
  Service: "theseus-bank-leaders",
  Directory: "eu-central-1/theseus-bank-directory,us-east-1/theseus-bank-directory",
  Sandbox: "true",
};

type Status = "CREATE_COMPLETE" | "UPDATE_ROLLBACK_COMPLETE";
const stack = (status: string, outputs: object = OUTPUTS) =>
  stackOf("theseus-bank", {
    StackId: ID,
    StackName: "theseus-bank",
    CreationTime: new Date(0),
    StackStatus: status as Status,
    Outputs: Object.entries(outputs).map(([OutputKey, OutputValue]) => ({ OutputKey, OutputValue })),
  });

describe("a stack", () => {
  test.each(["CREATE_COMPLETE", "UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_FAILED"])(
    "that is %s goes on",
    (status) => {
      expect(stack(status)).toMatchObject({
        ...{ account: "123456789012", region: "eu-central-1", deployment: "bank", sandbox: true },
        ...{
          gateway: OUTPUTS.GatewayUrl,
          registry: OUTPUTS.RegistryUrl,
          regions: ["eu-central-1", "us-east-1"],
        },
      });
    },
  );

  test.each([
    ["CREATE_IN_PROGRESS", {}, "only being created"],
    ["REVIEW_IN_PROGRESS", {}, "only being created"],
    ["CREATE_FAILED", OUTPUTS, "was not made or deleted completely"],
    ["ROLLBACK_COMPLETE", {}, "was not made or deleted completely"],
    ["DELETE_FAILED", OUTPUTS, "was not made or deleted completely"],
    ["DELETE_IN_PROGRESS", OUTPUTS, "is being deleted"],
    ["CREATE_COMPLETE", { Other: "x" }, "is no deployment of Theseus"],
  ])("that is %s with %j cannot be used", (status, outputs, sentence) => {
    expect(() => stack(status, outputs)).toThrow(sentence);
  });
});

describe("where AWS is", () => {
  const emulator = "http://127.0.0.1:4566";
  test("an emulator needs no Region, real AWS does", () => {
    expect(whereIs(undefined, { AWS_ENDPOINT_URL: emulator })).toEqual({
      place: { endpoint: emulator },
      region: "us-east-1",
    });
    expect(whereIs("eu-west-1", { THESEUS_AWS: "real", AWS_REGION: "x" }).region).toBe("eu-west-1");
    expect(whereIs(undefined, { THESEUS_AWS: "real", AWS_REGION: "eu-west-1" }).region).toBe("eu-west-1");
    expect(() => whereIs(undefined, { THESEUS_AWS: "real" })).toThrow("set AWS_REGION");
  });

  test.each([
    [{}, "nothing says where AWS is"],
    [{ AWS_ENDPOINT_URL: emulator, THESEUS_AWS: "real" }, "unset one of them"],
  ])("%j says nothing or two things", (environment, sentence) => {
    expect(() => whereIs("eu-west-1", environment)).toThrow(sentence);
  });
});

describe("trouble with AWS", () => {
  const aws = { aws: "real" } as const;
  const error = (name: string, more = {}) =>
    Object.assign(new Error("said so"), { name, $metadata: {}, ...more });
  test.each([
    [error("CredentialsProviderError"), "no valid credentials"],
    [error("ExpiredTokenException"), "no valid credentials"],
    [error("AccessDenied"), "may not cloudformation:DescribeStacks"],
    [error("Error", { code: "ENOTFOUND" }), "nothing answers at AWS"],
    [error("ThrottlingException"), "AWS will not do that"],
  ])("%s is a sentence", (cause, sentence) => {
    expect((awsTrouble(cause, "cloudformation:DescribeStacks", aws) as Error).message).toContain(sentence);
  });

  test("what is no answer of AWS is passed through", () => {
    const mistake = new TypeError("a bug");
    expect(awsTrouble(mistake, "x:Y", aws)).toBe(mistake);
  });
});

describe("a change", () => {
  const target = { name: "theseus-bank", account: "123456789012", region: "eu-central-1" };
  test("of real AWS is not made without a person's word, or --yes", async () => {
    const real = { place: { aws: "real" } as const };
    await expect(confirm("drain leader-1", target, { ...real, yes: false })).rejects.toThrow(
      "drain leader-1: stack theseus-bank, account 123456789012, Region eu-central-1. Say --yes",
    );
    await confirm("drain leader-1", target, { ...real, yes: true });
  });
  test("of an emulator is", async () => {
    await confirm("drain leader-1", target, { place: { endpoint: "http://127.0.0.1:1" }, yes: false });
  });
});

test("the cache is where the operating system has it", () => {
  expect(cacheFolder({ XDG_CACHE_HOME: "/cache" }, "linux")).toBe("/cache/theseus");
  expect(cacheFolder({}, "linux")).toMatch(/\/\.cache\/theseus$/);
  expect(cacheFolder({}, "darwin")).toMatch(/\/Library\/Caches\/theseus$/);
});
