/**
 * Whether each role has what its code asks AWS for. An emulator allows everything, so what is missing would be found
 * by whoever deploys; and what is there without a call would be found by whoever takes the part over.
 */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { expect, it } from "vitest";
import { rightsOf } from "./statements.ts";
import { bank } from "./synthesize.ts";

const PREFIX: Readonly<Record<string, string>> = {
  "@aws-sdk/client-dynamodb": "dynamodb",
  "@aws-sdk/client-ecs": "ecs",
  "@aws-sdk/client-sqs": "sqs",
};
const IMPORT = /(?:import|export)\s+(type\s+)?(?:\{([^}]*)\}\s+from\s+)?"([^"]+)"|import\("([^"]+)"\)/g;

/** By the actions' names, what a file and all that it imports may send. */
function actionsFrom(path: string, seen = new Set<string>()): Set<string> {
  const actions = new Set<string>();
  if (seen.has(path)) return actions;
  seen.add(path);
  for (const [, type, names = "", module, lazy] of readFileSync(path, "utf8").matchAll(IMPORT)) {
    const from = module ?? lazy ?? "";
    if (type === undefined && from.startsWith("."))
      for (const action of actionsFrom(resolve(path, "..", from), seen)) actions.add(action);
    const service = PREFIX[from];
    if (service === undefined) continue;
    for (const [, call] of names.matchAll(/\b(\w+)Command\b/g)) actions.add(`${service}:${call}`);
    if (names.includes("waitUntilTable")) actions.add("dynamodb:DescribeTable");
    // Of a table that is born with tags.
    if (actions.has("dynamodb:CreateTable")) actions.add("dynamodb:TagResource");
  }
  return actions;
}

const MAKE_AND_DELETE = [
  "CreateTable",
  "TagResource",
  "UpdateContinuousBackups",
  "UpdateTable",
  "DeleteTable",
];
const ITEMS = ["PutItem", "UpdateItem", "DeleteItem"];
const of = (service: string, ...names: string[]) => names.map((name) => `${service}:${name}`);

/** In the code of adapters that other jobs use, too; this one does not come to them. */
const NOT_SENT: Readonly<Record<string, readonly string[]>> = {
  registry: [
    ...of("dynamodb", ...MAKE_AND_DELETE, "ListTables", "ListTagsOfResource"),
    ...of("ecs", "DescribeServices", "ListTasks", "StopTask", "UpdateService"),
    ...of("sqs", "ReceiveMessage", "DeleteMessage"),
  ],
  provisioner: of("dynamodb", ...ITEMS),
  sweeper: [
    ...of("dynamodb", "CreateTable", "TagResource", "UpdateContinuousBackups", ...ITEMS),
    ...of("sqs", "ReceiveMessage", "DeleteMessage"),
  ],
  gateway: of("dynamodb", ...MAKE_AND_DELETE, "DescribeTable", ...ITEMS),
  leader: of("dynamodb", ...MAKE_AND_DELETE),
  // Nothing is deleted but with a sandbox; what it could not delete is the sweeper's.
  bootstrap: [
    ...of("dynamodb", "UpdateTable", "DeleteTable"),
    ...of("ecs", "DescribeServices", "ListTasks", "StopTask", "UpdateService"),
    ...of("sqs", "SendMessage", "ReceiveMessage", "DeleteMessage"),
  ],
};

/** Asked for by AWS in the job's name, and not by its code; what reads a table's backups goes with what sets them. */
const OF_THE_PLATFORM = /^(logs|ec2|s3|lambda):|:DescribeContinuousBackups$/;
const POLLED = of("sqs", "ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "GetQueueAttributes");

const ROLES: Readonly<Record<string, string>> = {
  registry: "TheseusRegistryJobRole",
  provisioner: "TheseusProvisioningProvisionerRole",
  sweeper: "TheseusProvisioningSweeperRole",
  gateway: "TheseusGatewayJobRole",
  leader: "TheseusLeadersRole",
  bootstrap: "TheseusBootstrapJobRole",
};

const rights = rightsOf(bank());

it.each(Object.entries(ROLES))(
  "the %s has a right for each call that it makes, and no other",
  (job, role) => {
    const allowed = new Set(
      rights
        .filter(({ of, effect }) => of === role && effect === "Allow")
        .flatMap(({ actions }) => actions)
        .filter((action) => !OF_THE_PLATFORM.test(action)),
    );
    if (job === "provisioner") for (const action of POLLED) allowed.delete(action);
    const found = actionsFrom(resolve(`functions/aws/${job}.ts`));
    if (job === "provisioner") for (const action of POLLED) found.delete(action);
    const notSent = new Set(NOT_SENT[job]);
    expect([...notSent].filter((action) => !found.has(action))).toEqual([]);
    expect([...allowed].sort()).toEqual([...found.difference(notSent)].sort());
  },
);
