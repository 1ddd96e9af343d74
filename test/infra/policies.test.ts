/** Who may do what is reviewed as a whole: a change of any right is a change of the golden file, and is seen. */
import { ArnPrincipal, Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import { describe, expect, it } from "vitest";
import { HEAD } from "../../shared/protocol/acceptor.ts";
import type { MachineId } from "../../shared/protocol/configuration.ts";
import { REGISTRY } from "../../shared/runtime/registry/registry-service.ts";
import { NOBODY } from "../../shared/runtime/repair/prober.ts";
import { partitionKey } from "../../shared/storage/dynamodb-items.ts";
import { NOBODYS_KEY } from "../../shared/storage/dynamodb-table.ts";
import { callersOf, mayTouch, type Right, rightsOf } from "./statements.ts";
import { bank, resourcesOf } from "./synthesize.ts";

const production = bank();
const sandbox = bank({ sandbox: true });
const granted = bank(
  {},
  {
    after: (theseus, stack) => {
      const role = (id: string) =>
        new Role(stack, id, { assumedBy: new ServicePrincipal("ec2.amazonaws.com") });
      theseus.grantSend(role("Sender"));
      theseus.grantAdmin(role("Admin"));
    },
  },
);

/** Right by right, since some have no narrower form: what was looked at, and found to be as narrow as it can be. */
const REVIEWED_WILDCARDS: readonly [of: string, sid: string][] = [
  ["TheseusProvisioningProvisionerRole", "FindOrphans"], // ListTables knows no resource
  ["TheseusProvisioningSweeperRole", "FindOrphans"],
  ["TheseusProvisioningProvisionerRole", "FindLeaders"], // ListTasks knows no resource, but a cluster
  ["TheseusProvisioningSweeperRole", "FindLeaders"],
  ["TheseusBootstrapJobRole", "FindTables"],
  ["TheseusGatewayJobRole", "JoinNetwork"], // interfaces have no names; the function's own code is denied them
];

const isOpen = (resource: string) => resource === "*";
const rowOf = ({ effect, sid, actions, resources, conditions }: Right) =>
  `| ${[`${effect} ${sid}`, actions.join("<br>"), resources.join("<br>"), conditions.join("<br>")].join(" | ")} |`;

function matrix(rights: readonly Right[]): string[] {
  const roles = [...new Set(rights.map(({ of }) => of))];
  return roles.flatMap((role) => [
    `### ${role}`,
    "",
    "| statement | actions | resources | conditions |",
    "| --- | --- | --- | --- |",
    ...rights.filter(({ of }) => of === role).map(rowOf),
    "",
  ]);
}

describe("the policies", () => {
  it("are those that were reviewed", async () => {
    const before = new Set(rightsOf(production).map((right) => JSON.stringify(right)));
    const added = (rights: Right[]) => rights.filter((right) => !before.has(JSON.stringify(right)));
    const text = [
      "# Who may do what",
      "",
      "Written by test/infra/policies.test.ts, for the bank. To change it: change infra/permissions.ts, run the test with",
      "`vitest run -u`, and read the difference.",
      "",
      "## Roles",
      "",
      ...matrix(rightsOf(production)),
      "## More in a sandbox",
      "",
      ...matrix(added(rightsOf(sandbox))),
      "## Granted",
      "",
      ...matrix(added(rightsOf(granted))),
      "## Who may be it, or call it",
      "",
      ...callersOf(production).map((caller) => `- ${caller}`),
      "",
    ].join("\n");
    await expect(text).toMatchFileSnapshot("policies.golden.txt");
  });

  it("name no action by a wildcard, and no resource but the reviewed ones", () => {
    const rights = rightsOf(production);
    expect(rights.flatMap(({ actions }) => actions).filter((action) => action.includes("*"))).toEqual([]);
    const open = rights.filter(({ effect, resources }) => effect === "Allow" && resources.some(isOpen));
    expect(open.map(({ of, sid }) => [of, sid])).toEqual(expect.arrayContaining([...REVIEWED_WILDCARDS]));
    expect(open).toHaveLength(REVIEWED_WILDCARDS.length);
  });

  it("take no right from AWS's managed policies, which are wider and change", () => {
    const managed = resourcesOf(production, "AWS::IAM::Role").filter(
      ([, { Properties }]) => Properties.ManagedPolicyArns !== undefined,
    );
    expect(managed).toEqual([]);
    expect(resourcesOf(production, "AWS::IAM::ManagedPolicy")).toEqual([]);
  });

  it("confine every name to this deployment", () => {
    const names = rightsOf(production)
      .filter(({ effect }) => effect === "Allow")
      .flatMap(({ resources }) => resources)
      .filter((resource) => !isOpen(resource) && /:(dynamodb|sqs|ecs|lambda):/.test(resource));
    expect(names.length).toBeGreaterThan(10);
    expect(names.filter((name) => !name.includes("theseus-bank"))).toEqual([]);
  });

  it.each(["Provisioner", "Sweeper"])("let the %s read no item but where the registry is", (job) => {
    const items = rightsOf(production).filter(
      ({ of, actions }) => of.includes(job) && actions.some((action) => /Item|Query|Scan|Batch/.test(action)),
    );
    expect(items.map(({ actions, conditions }) => [actions, conditions])).toEqual([
      [["dynamodb:GetItem"], ["ForAllValues:StringLike dynamodb:LeadingKeys: registry"]],
    ]);
  });

  it("give each private key to one job and to the one that makes it", () => {
    const readers = (key: string) =>
      rightsOf(production)
        .filter(
          ({ actions, conditions }) =>
            actions.includes("dynamodb:GetItem") && conditions.join().includes(key),
        )
        .map(({ of }) => of);
    expect(readers("key/registry")).toEqual(["TheseusRegistryJobRole", "TheseusBootstrapJobRole"]);
    expect(readers("key/gateway")).toEqual(["TheseusGatewayJobRole", "TheseusBootstrapJobRole"]);
  });

  it("let each job at the items that its code asks for, by the keys that it writes, and at no other's", () => {
    const rights = rightsOf(production);
    const keys = {
      registrys: partitionKey(REGISTRY, HEAD),
      machines: partitionKey("account/alice" as MachineId, HEAD),
      likeness: partitionKey("registry/main2" as MachineId, HEAD),
      probed: partitionKey(NOBODY, HEAD),
      nobodys: NOBODYS_KEY,
    };
    const may = (role: string, verb: string) =>
      Object.entries(keys).flatMap(([name, key]) =>
        mayTouch(rights, `Theseus${role}Role`, `dynamodb:${verb}`, "theseus-bank-p-0123", key) ? [name] : [],
      );
    for (const verb of ["GetItem", "PutItem", "UpdateItem", "DeleteItem"]) {
      const looks = verb === "GetItem" ? ["nobodys"] : [];
      expect(may("Leaders", verb)).toEqual(["machines", "likeness", "probed", "nobodys"]);
      expect(may("RegistryJob", verb)).toEqual(["registrys", ...looks]);
      expect(may("BootstrapJob", verb)).toEqual(["registrys", ...looks]);
      expect(may("GatewayJob", verb)).toEqual([]);
    }
  });

  it("let nothing but a sandbox's bootstrap delete a directory", () => {
    const deleting = (template: typeof production) =>
      rightsOf(template)
        .filter(
          ({ actions, resources }) =>
            actions.includes("dynamodb:DeleteTable") && resources.some((name) => name.endsWith("-directory")),
        )
        .map(({ of }) => of);
    expect(deleting(production)).toEqual([]);
    expect(deleting(sandbox)).toEqual(["TheseusBootstrapJobRole"]);
  });

  it("do not widen by a grant to somebody else, also in another account", () => {
    const other = bank(
      {},
      { after: (theseus) => theseus.grantSend(new ArnPrincipal("arn:aws:iam::222222222222:role/x")) },
    );
    expect(rightsOf(other)).toEqual(rightsOf(production));
    const added = callersOf(other).filter((caller) => !callersOf(production).includes(caller));
    expect(added.map((caller) => caller.replace(/^\w+: /, ""))).toEqual([
      "arn:aws:iam::222222222222:role/x, lambda:InvokeFunctionUrl, from undefined",
      "arn:aws:iam::222222222222:role/x, lambda:InvokeFunction, from undefined",
    ]);
  });
});
