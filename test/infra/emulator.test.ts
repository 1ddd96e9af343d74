/** What is deployed to an emulator is what is deployed to AWS, but for what is listed here. */
import { describe, expect, it } from "vitest";
import { bank, EMULATOR, type Resource, resourcesOf, type TemplateJson } from "./synthesize.ts";

const PROPS = { sandbox: true, budget: { monthlyUsd: 50, email: "ops@example.org" } };
const aws = bank(PROPS);
const emulated = bank(PROPS, { context: { emulator: EMULATOR } });

type Variables = Readonly<Record<string, string>>;

function environmentsOf(template: TemplateJson): Map<string, Variables> {
  const functions = resourcesOf(template, "AWS::Lambda::Function").map(([id, { Properties }]) => {
    const { Variables } = Properties.Environment as { Variables: Variables };
    return [id, Variables] as const;
  });
  const tasks = resourcesOf(template, "AWS::ECS::TaskDefinition").flatMap(([id, { Properties }]) => {
    const containers = Properties.ContainerDefinitions as {
      Name: string;
      Environment: { Name: string; Value: string }[];
    }[];
    return containers.map(
      ({ Name, Environment }) =>
        [`${id}/${Name}`, Object.fromEntries(Environment.map((each) => [each.Name, each.Value]))] as const,
    );
  });
  return new Map([...functions, ...tasks]);
}

function without(template: TemplateJson): Readonly<Record<string, unknown>> {
  const strip = (id: string, { Properties, ...rest }: Resource) => {
    const { Environment: _, ContainerDefinitions: __, ...others } = Properties;
    return [id, { ...rest, Properties: others }] as const;
  };
  return Object.fromEntries(
    Object.entries(template.Resources).flatMap(([id, each]) =>
      id in emulated.Resources ? [strip(id, each)] : [],
    ),
  );
}

describe("for an emulator", () => {
  it("what it refuses is left out", () => {
    const left = Object.keys(aws.Resources).filter((id) => !(id in emulated.Resources));
    expect(left.sort()).toEqual([
      "TheseusBudgetBudget",
      "TheseusObservabilitythrottling",
      // Only over TLS, which an emulator does not speak.
      "TheseusProvisioningDeadLettersPolicy",
      "TheseusProvisioningQueuePolicy",
    ]);
    expect(Object.keys(emulated.Resources).filter((id) => !(id in aws.Resources))).toEqual([]);
  });

  it("nothing else differs but where the parts look for AWS, which there names no roles, and how many registries a sandbox runs", () => {
    const registry = "TheseusRegistryJobFunction";
    const reserved = emulated.Resources[registry]?.Properties;
    expect(reserved?.ReservedConcurrentExecutions).toBe(2);
    const { [registry]: ours, ...others } = without(emulated);
    const { [registry]: theirs, ...rest } = without(aws);
    expect(others).toEqual(rest);
    const properties = (of: unknown) => (of as Resource).Properties;
    expect(properties(ours)).toEqual({ ...properties(theirs), ReservedConcurrentExecutions: 2 });
    const [there, here] = [environmentsOf(aws), environmentsOf(emulated)];
    expect([...here.keys()]).toEqual([...there.keys()]);
    for (const [part, { AWS_ENDPOINT_URL, ...variables }] of here) {
      const { THESEUS_AWS, THESEUS_ROLES, ...others } = there.get(part) as Variables;
      expect(THESEUS_ROLES !== undefined).toBe(part.startsWith("TheseusRegistryJobFunction"));
      expect(variables).toEqual(others);
      const isOurs = !part.endsWith("/fetch");
      expect([part, THESEUS_AWS, AWS_ENDPOINT_URL]).toEqual(
        isOurs ? [part, "real", EMULATOR] : [part, undefined, undefined],
      );
    }
  });

  it("has no type that MiniStack refuses", () => {
    const types = new Set(Object.values(emulated.Resources).map(({ Type }) => Type));
    const refused = [
      "AWS::EC2::SecurityGroupIngress",
      "AWS::EC2::SecurityGroupEgress",
      "AWS::EC2::EIP",
      "AWS::EC2::NatGateway",
      "AWS::EC2::FlowLog",
      "AWS::ApplicationAutoScaling::ScalableTarget",
      "AWS::ECS::ClusterCapacityProviderAssociations",
      "AWS::CloudWatch::CompositeAlarm",
      "AWS::Budgets::Budget",
    ];
    expect(refused.filter((type) => types.has(type))).toEqual([]);
  });

  it.each([
    "https://dynamodb.us-east-1.amazonaws.com",
    "http://10.0.0.1:4566",
    "nonsense",
    "ftp://127.0.0.1",
  ])("refuses %s, which is no emulator on this machine", (emulator) => {
    expect(() => bank({}, { context: { emulator } })).toThrow(/address of an emulator on this machine/);
  });
});
