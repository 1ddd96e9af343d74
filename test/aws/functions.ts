/**
 * A deployment on MiniStack without a stack: the functions are invoked in this process, as Lambda would. What stands
 * between them (a function's URL, the queue's deliveries, the answer to CloudFormation) is played here.
 */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import {
  CreateClusterCommand,
  CreateServiceCommand,
  ECSClient,
  RegisterTaskDefinitionCommand,
} from "@aws-sdk/client-ecs";
import {
  CreateQueueCommand,
  DeleteMessageCommand,
  ReceiveMessageCommand,
  SQSClient,
} from "@aws-sdk/client-sqs";
import type { CloudFormationCustomResourceResponse, SQSRecord } from "aws-lambda";
import { inject, onTestFinished, vi } from "vitest";
import { awsClient } from "../../shared/aws/clients.ts";
import { signedFetch } from "../../shared/aws/signed-fetch.ts";
import { DynamodbTables } from "../../shared/provision/tables-dynamodb.ts";
import { Directory } from "../../shared/runtime/directory.ts";
import { registryClient } from "../../shared/runtime/registry/registry-client.ts";
import { dynamodbDocuments } from "../../shared/storage/documents-dynamodb.ts";
import { urlEvent } from "../support/function-url.ts";

const REGION = "us-east-1";
const INVOCATION_MS = 60_000;

export interface Settings {
  readonly acceptors: number;
  readonly spares: number;
}

/** A name that nobody has; the environment of its functions is set until the test is over. */
export async function newDeployment(settings: Settings) {
  const name = `t${randomBytes(6).toString("hex")}`;
  const endpoint = inject("ministack");
  const place = { endpoint };
  const [sqs, ecs] = [awsClient(SQSClient, REGION, place), awsClient(ECSClient, REGION, place)];
  const QueueName = `theseus-${name}-provisioning`;
  const { QueueUrl = "" } = await sqs.send(new CreateQueueCommand({ QueueName }));
  await makeService(ecs, name);
  const platform = await listen();
  const address = `https://${name}.lambda-url.${REGION}.on.aws/`;
  const location = `${REGION}/theseus-${name}-directory`;
  const variables = {
    AWS_REGION: REGION,
    AWS_ENDPOINT_URL: endpoint,
    AWS_ENDPOINT_URL_LAMBDA: platform.url,
    THESEUS_DEPLOYMENT: name,
    THESEUS_DIRECTORY: location,
    THESEUS_REGIONS: REGION,
    THESEUS_PROTECTED: "false",
    THESEUS_QUEUE_URL: QueueUrl,
    THESEUS_CLUSTER: `theseus-${name}`,
    THESEUS_SERVICE: `theseus-${name}-leaders`,
  };
  vi.resetModules();
  for (const [variable, value] of Object.entries(variables)) vi.stubEnv(variable, value);
  const tables = new DynamodbTables({
    deployment: name,
    regions: [REGION],
    isProtected: false,
    place,
    warn: () => {},
  });
  const directory = new Directory([dynamodbDocuments(location)]);
  onTestFinished(async () => {
    for (const each of [sqs, ecs]) each.destroy();
    await tables.close();
    directory.close();
    platform.close();
    vi.unstubAllEnvs();
  });
  const properties = {
    ServiceToken: "arn:aws:lambda:us-east-1:000000000000:function:bootstrap",
    name,
    registryAddress: address,
    settings: Object.fromEntries(Object.entries(settings).map(([key, value]) => [key, String(value)])),
    sandbox: "true",
  };
  const bootstrap = async (more: object = { RequestType: "Create" }, remainingMs = INVOCATION_MS) => {
    const { handler } = await import("../../functions/aws/bootstrap.ts");
    const answered = platform.nextAnswer();
    const event = { ResponseURL: answered.url, ResourceProperties: properties, ...CLOUDFORMATION, ...more };
    await handler(event as never, { getRemainingTimeInMillis: () => remainingMs });
    return answered.promise;
  };
  /** One delivery of the queue, if there is one; what failed stays. */
  const deliver = async () => {
    const receive = new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10, VisibilityTimeout: 5 });
    const { Messages = [] } = await sqs.send(receive);
    if (Messages.length === 0) return sleep(100);
    const { handler } = await import("../../functions/aws/provisioner.ts");
    const Records = Messages.map(
      ({ Body, MessageId }) => ({ body: Body, messageId: MessageId }) as SQSRecord,
    );
    const { batchItemFailures } = await handler({ Records }, {} as never);
    const failed = new Set(batchItemFailures.map(({ itemIdentifier }) => itemIdentifier));
    for (const { MessageId = "", ReceiptHandle } of Messages)
      if (!failed.has(MessageId)) await sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle }));
  };
  const sweep = async () => (await import("../../functions/aws/sweeper.ts")).handler();
  const registry = registryClient(address, signedFetch({ AWS_ENDPOINT_URL: platform.url }));
  /** A call of the registry's URL. */
  const call = (path: string, body: object) =>
    signedFetch({ AWS_ENDPOINT_URL: platform.url })(new URL(path, address), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  return { name, properties, tables, directory, registry, call, bootstrap, deliver, sweep };
}

const CLOUDFORMATION = {
  StackId: "stack",
  RequestId: "1",
  LogicalResourceId: "Founded",
  ResourceType: "Custom::T",
};

async function makeService(ecs: ECSClient, name: string): Promise<void> {
  const cluster = `theseus-${name}`;
  await ecs.send(new CreateClusterCommand({ clusterName: cluster }));
  const containerDefinitions = [{ name: "leader", image: "node:24", memory: 64 }];
  await ecs.send(new RegisterTaskDefinitionCommand({ family: `${cluster}-leader`, containerDefinitions }));
  const service = { serviceName: `${cluster}-leaders`, taskDefinition: `${cluster}-leader`, desiredCount: 0 };
  await ecs.send(new CreateServiceCommand({ cluster, ...service }));
}

/** Functions' URLs, all of which are the registry's, and what CloudFormation is answered. */
async function listen() {
  const answers = new Map<string, (answer: CloudFormationCustomResourceResponse) => void>();
  const server = createServer(async (request, response) => {
    const [path = "", query = ""] = (request.url ?? "").split("?");
    const body = await text(request);
    const answered = answers.get(path);
    if (answered !== undefined) {
      answered(JSON.parse(body));
      return response.end();
    }
    const { handler } = await import("../../functions/aws/registry.ts");
    const asked = { method: request.method ?? "", query, ...(body === "" ? {} : { body: JSON.parse(body) }) };
    const { statusCode, headers, body: answer } = await handler(urlEvent(path, asked) as never);
    return response.writeHead(statusCode, headers as Record<string, string>).end(answer);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const nextAnswer = () => {
    const path = `/answer-${answers.size}`;
    const { promise, resolve } = Promise.withResolvers<CloudFormationCustomResourceResponse>();
    answers.set(path, resolve);
    return { url: `${url}${path}`, promise };
  };
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return { url, nextAnswer, close };
}
