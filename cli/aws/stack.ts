/** A deployment's stack: what it says of itself, and whether it may be relied on. */
import {
  CloudFormationClient,
  type Stack as Described,
  DescribeStacksCommand,
} from "@aws-sdk/client-cloudformation";
import { awsClient } from "../../shared/aws/clients.ts";
import { Invalid, Unavailable } from "../../shared/errors.ts";
import { awsTrouble } from "./trouble.ts";
import type { Where } from "./where.ts";

export interface Stack {
  readonly name: string;
  readonly account: string;
  readonly region: string;
  /** As CloudFormation has it: UPDATE_COMPLETE, … */
  readonly status: string;
  /** What everything else of the deployment is named after. */
  readonly deployment: string;
  readonly sandbox: boolean;
  /** The addresses of the gateway's and of the registry's function. */
  readonly gateway: string;
  readonly registry: string;
  /** The leaders', of ECS. */
  readonly cluster: string;
  readonly service: string;
  /** Where its tables are. */
  readonly regions: readonly string[];
}

/** The names of the stack's outputs (infra). */
const OUTPUTS = {
  deployment: "Name",
  gateway: "GatewayUrl",
  registry: "RegistryUrl",
  cluster: "Cluster",
  service: "Service",
  directory: "Directory",
  sandbox: "Sandbox",
} as const;

/** @throws a TheseusError in a sentence: no such stack, no right, a stack that is no deployment or is half made. */
export async function findStack(name: string, where: Where): Promise<Stack> {
  const described = await describeStack(name, where);
  if (described === undefined)
    throw new Invalid(
      "not_found",
      `there is no stack ${name} in ${placeName(where)}: is that the right account and Region?`,
    );
  return stackOf(name, described);
}

/** Undefined: there is none. */
export async function describeStack(name: string, { region, place }: Where): Promise<Described | undefined> {
  const client = awsClient(CloudFormationClient, region, place);
  try {
    const { Stacks = [] } = await client.send(new DescribeStacksCommand({ StackName: name }));
    return Stacks[0];
  } catch (error) {
    const { name: kind, message } = error as Error;
    if (kind === "ValidationError" && /does not exist/.test(message)) return undefined;
    throw awsTrouble(error, "cloudformation:DescribeStacks", place);
  } finally {
    client.destroy();
  }
}

export function placeName({ region, place }: Where): string {
  return "aws" in place ? region : `${region} of the emulator at ${place.endpoint}`;
}

/** @throws a TheseusError in a sentence, for a stack that is no deployment or is half made. */
export function stackOf(name: string, { StackId = "", StackStatus, Outputs = [] }: Described): Stack {
  const status = String(StackStatus);
  const [, , , region = "", account = ""] = StackId.split(":");
  const outputs = new Map(Outputs.map(({ OutputKey = "", OutputValue = "" }) => [OutputKey, OutputValue]));
  const said = (key: keyof typeof OUTPUTS) => outputs.get(OUTPUTS[key]) ?? "";
  const [deployment, gateway, registry] = [said("deployment"), said("gateway"), said("registry")];
  const isWhole = deployment !== "" && gateway !== "" && registry !== "";
  if (/^(DELETE|ROLLBACK|CREATE_FAILED|REVIEW)/.test(status) || !isWhole) throw unusable(name, status);
  const sandbox = said("sandbox") === "true";
  const regions = said("directory")
    .split(",")
    .map((location) => location.split("/")[0] ?? "");
  const service = { cluster: said("cluster"), service: said("service") };
  return { name, account, region, status, deployment, sandbox, gateway, registry, regions, ...service };
}

/** A stack that is being updated, or whose update was rolled back, has its outputs, and what it runs goes on. */
function unusable(name: string, status: string): Unavailable | Invalid {
  if (/^(CREATE_IN_PROGRESS|REVIEW_IN_PROGRESS)$/.test(status))
    return new Unavailable(
      "unavailable",
      `the stack ${name} is only being created: wait until cdk deploy is done`,
    );
  if (status.startsWith("DELETE_IN_PROGRESS"))
    return new Unavailable("unavailable", `the stack ${name} is being deleted`);
  if (/^(CREATE_FAILED|ROLLBACK_|DELETE_FAILED)/.test(status))
    return new Unavailable(
      "unavailable",
      `the stack ${name} was not made or deleted completely (${status}): its events say why (cdk deploy shows them); delete it and deploy again`,
    );
  return new Invalid(
    "invalid_request",
    `the stack ${name} is no deployment of Theseus (it has no output ${OUTPUTS.deployment}; ${status})`,
  );
}
