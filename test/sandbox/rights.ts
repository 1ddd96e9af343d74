/** Who may and may not do what, where a mistake would cost most: IAM itself is asked. */
export interface Expected {
  readonly role: string;
  readonly action: string;
  readonly table: "directory" | "acceptor";
  readonly key?: string;
  readonly allowed: boolean;
}

const [LEADER, REGISTRY, GATEWAY] = ["TheseusLeadersRole", "TheseusRegistryJobRole", "TheseusGatewayJobRole"];
const [PROVISIONER, SWEEPER] = ["TheseusProvisioningProvisionerRole", "TheseusProvisioningSweeperRole"];
const ROLES = [LEADER, REGISTRY, GATEWAY, PROVISIONER, SWEEPER];
const [READ, WRITE, SCAN] = ["dynamodb:GetItem", "dynamodb:UpdateItem", "dynamodb:Scan"];
const MACHINES = "bank/main#head";
const REGISTRYS = "registry/main#head";

const item = (role: string, action: string, key: string, allowed: boolean): Expected => ({
  ...{ role, action, key, allowed },
  table: key.includes("#") ? "acceptor" : "directory",
});

export const EXPECTED: readonly Expected[] = [
  item(LEADER, WRITE, MACHINES, true),
  item(LEADER, READ, "leaders", true),
  item(LEADER, READ, REGISTRYS, false),
  item(LEADER, WRITE, REGISTRYS, false),
  item(LEADER, READ, "key/registry", false),
  item(LEADER, READ, "key/gateway", false),
  item(REGISTRY, WRITE, REGISTRYS, true),
  item(REGISTRY, READ, "key/registry", true),
  item(REGISTRY, WRITE, MACHINES, false),
  item(REGISTRY, READ, "key/gateway", false),
  item(GATEWAY, READ, "key/gateway", true),
  item(GATEWAY, READ, "key/registry", false),
  item(GATEWAY, READ, MACHINES, false),
  ...[PROVISIONER, SWEEPER].flatMap((role) => [
    item(role, READ, MACHINES, false),
    item(role, WRITE, REGISTRYS, false),
    item(role, READ, "key/registry", false),
  ]),
  { role: PROVISIONER, action: "dynamodb:CreateTable", table: "acceptor", allowed: true },
  { role: PROVISIONER, action: "dynamodb:CreateTable", table: "directory", allowed: false },
  { role: SWEEPER, action: "dynamodb:CreateTable", table: "acceptor", allowed: false },
  { role: LEADER, action: "dynamodb:DeleteTable", table: "acceptor", allowed: false },
  ...ROLES.map((role) => ({ role, action: SCAN, table: "acceptor" as const, allowed: false })),
];
