/**
 * Who may do what: one role a job, and each statement here. A role is closed to grants from elsewhere (job.ts), so that
 * this file is all of it; test/infra/policies.golden.txt is how it comes out.
 *
 * Where an action cannot be confined (listing tables, network interfaces), what is listed is confined by its use.
 */
import { Effect, PolicyStatement } from "aws-cdk-lib/aws-iam";
import { arnHere, arnsOf, type Deployment, nameOf } from "./deployment.ts";

const ITEM_VERBS = ["GetItem", "PutItem", "UpdateItem", "DeleteItem"].map((verb) => `dynamodb:${verb}`);
/** The registry's own items, in whatever table: `machine#key`. */
const REGISTRY_ITEMS = "registry/main#*";
/** Of the item that no table has: whether the table itself is there is asked by it. */
const NOBODYS_ITEM = "-";

const allow = (sid: string, actions: string[], resources: string[], conditions = {}) =>
  new PolicyStatement({ sid, actions, resources, conditions });

/** Only items with these keys; every one of a request's, and these verbs always name one. */
const onlyKeys = (...keys: string[]) => ({ "ForAllValues:StringLike": { "dynamodb:LeadingKeys": keys } });

/** Items of the directory. */
export function readDirectory(deployment: Deployment, ...keys: string[]): PolicyStatement {
  return allow("ReadDirectory", ["dynamodb:GetItem"], directoryArns(deployment), onlyKeys(...keys));
}
export function writeDirectory(deployment: Deployment, ...keys: string[]): PolicyStatement {
  return allow("WriteDirectory", ["dynamodb:PutItem"], directoryArns(deployment), onlyKeys(...keys));
}

/** Whether an acceptor is the one that it was (its incarnation), and there at all. */
export function describeAcceptors(deployment: Deployment): PolicyStatement {
  return allow("DescribeAcceptors", ["dynamodb:DescribeTable"], acceptorArns(deployment));
}

/** The seven verbs on machines' items, and never on the registry's. */
export function leadMachines(deployment: Deployment): PolicyStatement[] {
  const tables = acceptorArns(deployment);
  return [
    allow("MachinesItems", ITEM_VERBS, tables),
    new PolicyStatement({
      sid: "NotTheRegistrysItems",
      effect: Effect.DENY,
      actions: ITEM_VERBS,
      resources: tables,
      conditions: { "ForAnyValue:StringLike": { "dynamodb:LeadingKeys": [REGISTRY_ITEMS] } },
    }),
  ];
}

/** The seven verbs on the registry's items, and on no machine's. */
export function leadRegistry(deployment: Deployment): PolicyStatement[] {
  const tables = acceptorArns(deployment);
  return [
    allow("RegistrysItems", ITEM_VERBS, tables, onlyKeys(REGISTRY_ITEMS)),
    allow("NobodysItem", ["dynamodb:GetItem"], tables, onlyKeys(NOBODYS_ITEM)),
  ];
}

/** No item can be read or written with these. */
export function makeAcceptors(deployment: Deployment): PolicyStatement {
  return allow("MakeAcceptors", MAKE_TABLES, acceptorArns(deployment));
}
export function makeDirectory(deployment: Deployment): PolicyStatement {
  return allow("MakeDirectory", MAKE_TABLES, directoryArns(deployment));
}
const MAKE_TABLES = [
  "CreateTable",
  "DescribeTable",
  "TagResource",
  "ListTagsOfResource",
  "DescribeContinuousBackups",
  "UpdateContinuousBackups",
].map((call) => `dynamodb:${call}`);

/** Takes off the deletion protection first. Only what the registry retired, or disowned, is deleted. */
export function deleteAcceptors(deployment: Deployment): PolicyStatement[] {
  return [
    allow("DeleteAcceptors", DELETE_TABLES, acceptorArns(deployment)),
    allow("FindOrphans", ["dynamodb:ListTables"], ["*"]),
  ];
}

/** Those of another registry of this name, beside which none is founded; and what a sandbox leaves behind. */
export function findTables(): PolicyStatement {
  return allow("FindTables", ["dynamodb:ListTables"], ["*"]);
}
const DELETE_TABLES = ["DescribeTable", "ListTagsOfResource", "UpdateTable", "DeleteTable"].map(
  (call) => `dynamodb:${call}`,
);

/** Everything of a sandbox goes with its stack. */
export function deleteSandbox(deployment: Deployment): PolicyStatement {
  const tables = [...acceptorArns(deployment), ...directoryArns(deployment)];
  return allow("DeleteSandbox", DELETE_TABLES, tables);
}

/** A Function URL asks for both of these rights, since October 2025. */
export function callRegistry(deployment: Deployment): PolicyStatement[] {
  const registries = arnsOf(deployment, "lambda", `function:${nameOf.function(deployment, "registry")}`);
  return [
    allow("CallRegistry", ["lambda:InvokeFunctionUrl"], registries, {
      StringEquals: { "lambda:FunctionUrlAuthType": "AWS_IAM" },
    }),
    allow("CallRegistryByItsUrlOnly", ["lambda:InvokeFunction"], registries, {
      Bool: { "lambda:InvokedViaFunctionUrl": true },
    }),
  ];
}

export function sendOrders(deployment: Deployment): PolicyStatement {
  return allow("SendOrders", ["sqs:SendMessage"], [queueArn(deployment)]);
}

/** What Lambda needs to poll the queue for the function. */
export function receiveOrders(deployment: Deployment): PolicyStatement {
  const calls = ["ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "GetQueueAttributes"];
  return allow(
    "ReceiveOrders",
    calls.map((call) => `sqs:${call}`),
    [queueArn(deployment)],
  );
}

/** Starts, finds and stops leaders of its own cluster. A service starts its tasks itself, so no role is passed on. */
export function orderLeaders(deployment: Deployment): PolicyStatement[] {
  const cluster = nameOf.cluster(deployment);
  const service = arnHere("ecs", `service/${cluster}/${nameOf.service(deployment)}`);
  const tasks = arnHere("ecs", `task/${cluster}/*`);
  const inCluster = { ArnEquals: { "ecs:cluster": arnHere("ecs", `cluster/${cluster}`) } };
  return [
    allow("LeadersCount", ["ecs:DescribeServices", "ecs:UpdateService"], [service], inCluster),
    allow("FindLeaders", ["ecs:ListTasks"], ["*"], inCluster),
    allow("StopLeaders", ["ecs:StopTask"], [tasks], inCluster),
  ];
}

/** Its bundles, by their names, which are their contents' digests. */
export function fetchBundles(objectArns: string[]): PolicyStatement {
  return allow("FetchBundles", ["s3:GetObject"], objectArns);
}

/** The network interfaces of a function in a VPC: Lambda's to use, and not the function's own code's. */
export function joinNetwork(deployment: Deployment, job: string): PolicyStatement[] {
  const calls = [
    "CreateNetworkInterface",
    "DescribeNetworkInterfaces",
    "DescribeSubnets",
    "DeleteNetworkInterface",
    "AssignPrivateIpAddresses",
    "UnassignPrivateIpAddresses",
  ].map((call) => `ec2:${call}`);
  const itself = arnHere("lambda", `function:${nameOf.function(deployment, job)}`);
  return [
    allow("JoinNetwork", calls, ["*"]),
    new PolicyStatement({
      sid: "ByLambdaOnly",
      effect: Effect.DENY,
      actions: calls,
      resources: ["*"],
      conditions: { ArnEquals: { "lambda:SourceFunctionArn": itself } },
    }),
  ];
}

/** A log group's ARN ends in `:*`, its streams. */
export function writeLog(logGroupArn: string): PolicyStatement {
  return allow("WriteLog", ["logs:CreateLogStream", "logs:PutLogEvents"], [logGroupArn]);
}

function directoryArns(deployment: Deployment): string[] {
  return arnsOf(deployment, "dynamodb", `table/${nameOf.directory(deployment)}`);
}
function acceptorArns(deployment: Deployment): string[] {
  return arnsOf(deployment, "dynamodb", `table/${nameOf.acceptors(deployment)}`);
}
function queueArn(deployment: Deployment): string {
  return arnHere("sqs", nameOf.queue(deployment));
}
