/** `theseus aws destroy` of what is no sandbox: the stack goes, tables stay, until their deployment is named. */
import { randomBytes } from "node:crypto";
import {
  CloudFormationClient,
  CreateStackCommand,
  DescribeStacksCommand,
} from "@aws-sdk/client-cloudformation";
import { beforeEach, expect, inject, test, vi } from "vitest";
import { destroy } from "../../cli/aws/destroy.ts";
import { stateOf } from "../../cli/aws/state.ts";
import { awsClient } from "../../shared/aws/clients.ts";
import { DynamodbTables } from "../../shared/provision/tables-dynamodb.ts";
import { makeDocumentsTable } from "../../shared/storage/documents-dynamodb.ts";
import { until } from "../support/deployment.ts";

const REGION = "us-east-1";
const place = { endpoint: inject("ministack") };
const where = { place, region: REGION };

let name: string;
let stack: string;

beforeEach(async () => {
  for (const variable of ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB"])
    vi.stubEnv(variable, place.endpoint);
  name = `d${randomBytes(4).toString("hex")}`;
  stack = `theseus-${name}`;
});

/** A stack that says what a deployment's says, and tables as its functions make them: protected. */
async function deployed(deployment: string): Promise<void> {
  const outputs = {
    Name: deployment,
    GatewayUrl: "https://g.lambda-url.us-east-1.on.aws/",
    RegistryUrl: "https://r.lambda-url.us-east-1.on.aws/",
    Cluster: `theseus-${deployment}`,
    Service: `theseus-${deployment}-leaders`,
    Directory: `${REGION}/theseus-${deployment}-directory`,
    Sandbox: "false",
  };
  const template = {
    Resources: { Queue: { Type: "AWS::SQS::Queue", Properties: { QueueName: `theseus-${deployment}` } } },
    Outputs: Object.fromEntries(Object.entries(outputs).map(([key, Value]) => [key, { Value }])),
  };
  const client = awsClient(CloudFormationClient, REGION, place);
  const asked = {
    StackName: stack,
    TemplateBody: JSON.stringify(template),
    EnableTerminationProtection: true,
  };
  await client.send(new CreateStackCommand(asked));
  await until(async () => {
    const { Stacks = [] } = await client.send(new DescribeStacksCommand({ StackName: stack }));
    return Stacks[0]?.StackStatus === "CREATE_COMPLETE";
  });
  client.destroy();
  await tablesOf(deployment);
}

async function tablesOf(deployment: string): Promise<void> {
  const tags = { "theseus:deployment": deployment, "theseus:part": "directory" };
  await makeDocumentsTable(`${REGION}/theseus-${deployment}-directory`, { tags, isProtected: true });
  const tables = new DynamodbTables({
    deployment,
    regions: [REGION],
    isProtected: true,
    place,
    warn: () => {},
  });
  for (let count = 0; count < 2; count++) await tables.create([]);
  await tables.close();
}

const removing = (deleteState?: string) => destroy({ stack, where, yes: false, deleteState, tell: () => {} });

test("the stack goes and the tables stay; asked for by name, they go too, and nobody else's", async () => {
  await deployed(name);
  const other = `${name}-p`;
  await tablesOf(other);
  const state = await stateOf(name, [REGION], place);
  expect(state).toHaveLength(3);

  await expect(removing("other")).rejects.toThrow(`is the deployment ${name}, not other: nothing was done`);
  expect(await removing()).toEqual({ kept: state, deleted: [] });
  expect(await stateOf(name, [REGION], place)).toEqual(state);
  await expect(removing()).rejects.toThrow(`there is no stack ${stack}`);

  expect(await removing(name)).toEqual({ kept: [], deleted: state });
  expect(await stateOf(name, [REGION], place)).toEqual([]);
  expect(await stateOf(other, [REGION], place)).toHaveLength(3);
});

test("stack and tables go in one command when they are named", async () => {
  await deployed(name);
  const { kept, deleted } = await removing(name);
  expect([kept.length, deleted.length]).toEqual([0, 3]);
  expect(await stateOf(name, [REGION], place)).toEqual([]);
});
