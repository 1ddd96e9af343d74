/**
 * What makes a deployment's state, as a custom resource of its stack. CloudFormation owns none of it: nothing that is done
 * to a stack can replace a table or delete one, but the deletion of a sandbox, which deletes all of them.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { CloudFormationCustomResourceEvent, Context } from "aws-lambda";
import { signedFetch } from "../../shared/aws/signed-fetch.ts";
import { Forbidden, Invalid, TheseusError } from "../../shared/errors.ts";
import type { AcceptorServer } from "../../shared/protocol/pool.ts";
import type { RegistryCommand } from "../../shared/protocol/registry.ts";
import { bootstrapRegistry } from "../../shared/runtime/registry/bootstrap.ts";
import { maintainRegistry, registryClient } from "../../shared/runtime/registry/registry-client.ts";
import { deleteDocumentsTable, makeDocumentsTable } from "../../shared/storage/documents-dynamodb.ts";
import { openDynamodb } from "../../shared/storage/open-dynamodb.ts";
import { answerCloudFormation } from "./cloudformation.ts";
import { environment, listOf, openDirectory } from "./environment.ts";
import { functionLog } from "./log.ts";
import { openTables } from "./provisioning.ts";

/** What CloudFormation is told before Lambda ends the function. */
const LAST_WORDS_MS = 5_000;
/** A permission that the same deployment gives may take so long to be known everywhere. */
const PERMISSION_MS_MAX = 90_000;
const ASK_AGAIN_MS = 3_000;
/** A table may be made by somebody while others are deleted. */
const DELETIONS_MAX = 20;
const WHOLE_NUMBER = /^\d+$/;

interface Properties {
  readonly ServiceToken: string;
  readonly name: string;
  readonly registryAddress: string;
  /** CloudFormation makes a text of everything. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly sandbox: string;
}
type Event = CloudFormationCustomResourceEvent<Properties>;

const log = functionLog("bootstrap");

export async function handler(
  event: Event,
  context: Pick<Context, "getRemainingTimeInMillis">,
): Promise<void> {
  const physicalId = "PhysicalResourceId" in event ? event.PhysicalResourceId : idOf(event);
  const outcome = await inTime(carryOut(event), context.getRemainingTimeInMillis() - LAST_WORDS_MS).then(
    (data) => ({ data }),
    (err: unknown) => {
      const failure = err instanceof Error ? err.message : String(err);
      log.error({ event: "failed", request: event.RequestType, err }, failure);
      return { failure };
    },
  );
  await answerCloudFormation(event, { physicalId, ...outcome });
}

async function inTime<Result>(work: Promise<Result>, ms: number): Promise<Result> {
  const late = sleep(ms, undefined, { ref: false }).then(() => {
    throw new Error("it took too long: deploy again, which goes on from what there is");
  });
  return Promise.race([work, late]);
}

function idOf({ ResourceProperties }: Event): string {
  return `theseus-${ResourceProperties.name}`;
}

async function carryOut(event: Event): Promise<Record<string, string>> {
  if (event.RequestType === "Delete") {
    if (event.ResourceProperties.sandbox === "true") await deleteEverything();
    return {};
  }
  if (event.RequestType === "Update" && event.PhysicalResourceId !== idOf(event))
    throw new Invalid(
      "invalid_request",
      `a deployment cannot be renamed (${event.PhysicalResourceId} is not ${idOf(event)}): its tables keep their names; deploy another one beside it`,
    );
  return setUp(event.ResourceProperties, event.RequestType === "Create");
}

async function setUp(
  { registryAddress, settings }: Properties,
  isNew: boolean,
): Promise<Record<string, string>> {
  const tags = { "theseus:deployment": environment("THESEUS_DEPLOYMENT"), "theseus:part": "directory" };
  const isProtected = environment("THESEUS_PROTECTED") === "true";
  for (const location of listOf("THESEUS_DIRECTORY"))
    await makeDocumentsTable(location, { tags, isProtected });
  const directory = openDirectory("asListed");
  if (!isNew && (await directory.find()) === undefined)
    throw new Invalid(
      "invalid_request",
      `nothing in ${environment("THESEUS_DIRECTORY")} says where the registry is, and another deployment in its place would know nothing of it: keep one of the Regions that it had, or restore the directory`,
    );
  const deployment = await directory.makeDeployment();
  // Whoever finds the registry finds the keys.
  await directory.makeKeys();
  const tables = openTables(deployment);
  const fetch = signedFetch();
  const address = registryAddress;
  const others = () => tables.others();
  const options = { directory, deployment, tables, others, open: openDynamodb, address };
  const { acceptors } = await bootstrapRegistry(options);
  assertInReach(acceptors);
  const registry = registryClient(address, fetch);
  await onceAllowed(async () => assertInReach((await registry.servers()).acceptors));
  await onceAllowed(() => registry.command(configureOf(settings)));
  await onceAllowed(() => maintainRegistry(address, fetch));
  directory.close();
  log.info({ event: "bootstrapped", deployment }, `the registry of ${deployment} is at ${address}`);
  return { deployment };
}

/** @throws Invalid for tables in Regions that are left out: no role has a right to them any more. */
function assertInReach(acceptors: readonly (AcceptorServer & { readonly state?: string })[]): void {
  const regions = listOf("THESEUS_REGIONS");
  const elsewhere = acceptors.filter(
    ({ location, state }) => state !== "retired" && !regions.includes(location.split("/")[0] as string),
  );
  if (elsewhere.length > 0)
    throw new Invalid(
      "invalid_request",
      `a Region cannot be left out that has tables in use (${elsewhere.map(({ location }) => location).join(", ")}): replace them by others first`,
    );
}

/** The registry checks them. */
function configureOf(settings: Properties["settings"]): RegistryCommand {
  return { type: "configure", ...(numbersIn(settings) as object) };
}

/** CloudFormation makes a text of every number. */
function numbersIn(value: unknown): unknown {
  if (typeof value === "string") return WHOLE_NUMBER.test(value) ? Number(value) : value;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, numbersIn(each)]));
}

async function onceAllowed(act: () => Promise<unknown>): Promise<void> {
  const deadline = performance.now() + PERMISSION_MS_MAX;
  for (;;) {
    try {
      await act();
      return;
    } catch (error) {
      // What is no answer of the registry's is the platform's: throttled, or timed out.
      const mayPass = error instanceof Forbidden || !(error instanceof TheseusError) || error.retryable;
      if (!mayPass || performance.now() > deadline) throw error;
      await sleep(ASK_AGAIN_MS);
    }
  }
}

/** The directory first: without it nobody finds a registry that could order more. */
async function deleteEverything(): Promise<void> {
  for (const location of listOf("THESEUS_DIRECTORY")) await deleteDocumentsTable(location);
  const tables = openTables();
  for (let deletion = 1; deletion <= DELETIONS_MAX; deletion++) {
    const left = await tables.list(new Set());
    if (left.length === 0) return;
    for (const table of left) await tables.delete(table);
    log.info({ event: "deleted", tables: left.map(({ id }) => id) }, `${left.length} tables are deleted`);
  }
  throw new Error("tables are still being made: delete the stack again");
}
