/**
 * `theseus aws destroy`: the stack goes, and of a sandbox all that it knew. A production deployment's tables stay, where
 * the same name deployed again finds them, unless they are asked for by name: nothing else in an account can say what is
 * in them.
 */
import { setTimeout as sleep } from "node:timers/promises";
import {
  CloudFormationClient,
  DeleteStackCommand,
  DescribeStacksCommand,
  UpdateTerminationProtectionCommand,
} from "@aws-sdk/client-cloudformation";
import { awsClient } from "../../shared/aws/clients.ts";
import { Invalid, Unavailable } from "../../shared/errors.ts";
import { confirm } from "./confirm.ts";
import { describeStack, type Stack, stackOf } from "./stack.ts";
import { deleteState, stateOf } from "./state.ts";
import { awsTrouble } from "./trouble.ts";
import type { Where } from "./where.ts";

export interface DestroyOptions {
  /** The stack's name. */
  readonly stack: string;
  readonly where: Where;
  readonly yes: boolean;
  /** The deployment whose tables are to be deleted, by its name. */
  readonly deleteState: string | undefined;
  /** What is done, in a sentence each. */
  readonly tell: (sentence: string) => void;
}

export interface Destroyed {
  /** Tables that are still there. */
  readonly kept: readonly string[];
  readonly deleted: readonly string[];
}

const POLL_MS = 2_000;
/** Lambda takes back the network interfaces of a function in a VPC in up to 20 minutes. */
const DELETE_MS_MAX = 45 * 60_000;

/** @throws a TheseusError in a sentence; what was done until then stays done, and it may be said again. */
export async function destroy(options: DestroyOptions): Promise<Destroyed> {
  const { where, tell } = options;
  const described = await describeStack(options.stack, where);
  if (described === undefined) return deleteLeftState(options);
  const stack = stackOf(options.stack, described);
  const wanted = options.deleteState;
  if (wanted !== undefined && wanted !== stack.deployment)
    throw new Invalid(
      "invalid_request",
      `the stack ${stack.name} is the deployment ${stack.deployment}, not ${wanted}: nothing was done`,
    );
  const everything = stack.sandbox || wanted !== undefined;
  const state = await stateOf(stack.deployment, stack.regions, where.place);
  const fate = everything
    ? `DELETE ${state.length} tables with all that they hold`
    : `keep its ${state.length} tables`;
  await confirm(`remove the stack and ${fate}`, stack, { place: where.place, yes: options.yes });
  await removeStack(stack, where, tell);
  const left = await stateOf(stack.deployment, stack.regions, where.place);
  if (!everything) return { kept: left, deleted: [] };
  await deleteState(stack.deployment, stack.regions, where.place);
  return { kept: [], deleted: state };
}

/** The stack is gone already; its tables may not be. */
async function deleteLeftState({ stack, where, yes, deleteState: name }: DestroyOptions): Promise<Destroyed> {
  const { region, place } = where;
  const state = name === undefined ? [] : await stateOf(name, [region], place);
  if (name === undefined || state.length === 0)
    throw new Invalid(
      "not_found",
      `there is no stack ${stack} in ${region}, and no table was asked for by name`,
    );
  const [first = ""] = state;
  await confirm(
    `DELETE the ${state.length} tables of ${name} (${first}, …)`,
    { name: stack, account: "?", region },
    { place, yes },
  );
  await deleteState(name, [region], place);
  return { kept: [], deleted: state };
}

async function removeStack(
  { name, sandbox }: Stack,
  { region, place }: Where,
  tell: DestroyOptions["tell"],
): Promise<void> {
  const client = awsClient(CloudFormationClient, region, place);
  const action = "cloudformation:DeleteStack";
  try {
    if (!sandbox)
      await client.send(
        new UpdateTerminationProtectionCommand({ StackName: name, EnableTerminationProtection: false }),
      );
    await client.send(new DeleteStackCommand({ StackName: name }));
    tell(`the stack ${name} is being deleted, which takes up to half an hour on AWS`);
    await whenGone(client, name);
  } catch (error) {
    throw awsTrouble(error, action, place);
  } finally {
    client.destroy();
  }
}

async function whenGone(client: CloudFormationClient, name: string): Promise<void> {
  const deadline = performance.now() + DELETE_MS_MAX;
  while (performance.now() < deadline) {
    const status = await statusOf(client, name);
    if (status === undefined || status === "DELETE_COMPLETE") return;
    if (status === "DELETE_FAILED")
      throw new Unavailable(
        "unavailable",
        `the stack ${name} could not be deleted: its events say why; say it again`,
      );
    await sleep(POLL_MS);
  }
  throw new Unavailable("unavailable", `the stack ${name} is still being deleted: say it again later`);
}

/** Undefined: it is gone. */
async function statusOf(client: CloudFormationClient, name: string): Promise<string | undefined> {
  try {
    const { Stacks = [] } = await client.send(new DescribeStacksCommand({ StackName: name }));
    return Stacks[0]?.StackStatus;
  } catch (error) {
    if (/does not exist/.test((error as Error).message)) return undefined;
    throw error;
  }
}
