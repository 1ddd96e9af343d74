/** What carries the registry's decisions out, on AWS. */
import { awsPlace } from "../../shared/aws/clients.ts";
import { type Fetch, signedFetch } from "../../shared/aws/signed-fetch.ts";
import { AWS_DRAIN_MS } from "../../shared/provision/aws.ts";
import { EcsLauncher } from "../../shared/provision/launcher-ecs.ts";
import { SqsQueue } from "../../shared/provision/queue-sqs.ts";
import { DynamodbTables } from "../../shared/provision/tables-dynamodb.ts";
import type { Directory } from "../../shared/runtime/directory.ts";
import type { SweeperOptions } from "../../shared/runtime/provisioner/sweeper.ts";
import { registryClient } from "../../shared/runtime/registry/registry-client.ts";
import { environment, listOf, openDirectory } from "./environment.ts";
import { functionLog } from "./log.ts";

export interface Provisioning
  extends Pick<SweeperOptions, "registry" | "queue" | "tables" | "launcher" | "drainMs"> {
  readonly directory: Directory;
  readonly fetch: Fetch;
}

/** @throws Unavailable while there is no registry yet. */
export async function openProvisioning(): Promise<Provisioning> {
  const directory = openDirectory();
  const { address, deployment } = await directory.registry();
  const fetch = signedFetch();
  return {
    directory,
    fetch,
    registry: registryClient(address, fetch),
    queue: openQueue(),
    tables: openTables(deployment),
    launcher: new EcsLauncher({
      cluster: environment("THESEUS_CLUSTER"),
      service: environment("THESEUS_SERVICE"),
      region: environment("AWS_REGION"),
      place: awsPlace("ECS"),
    }),
    drainMs: AWS_DRAIN_MS,
  };
}

export function openQueue(): SqsQueue {
  const url = environment("THESEUS_QUEUE_URL");
  return new SqsQueue({ url, region: environment("AWS_REGION"), place: awsPlace("SQS") });
}

/** `birth`: of this deployment (the directory's `deployment`); undefined: of whichever has the name. */
export function openTables(birth?: string): DynamodbTables {
  const log = functionLog("tables");
  return new DynamodbTables({
    deployment: environment("THESEUS_DEPLOYMENT"),
    birth,
    regions: listOf("THESEUS_REGIONS"),
    isProtected: environment("THESEUS_PROTECTED") === "true",
    place: awsPlace("DYNAMODB"),
    warn: (sentence) => log.warn({ event: "elsewhere" }, sentence),
  });
}
