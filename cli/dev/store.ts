/**
 * Where a deployment on this machine keeps its tables: what has to be done with them before there is a registry to
 * order it, and a provisioner to do it.
 */
import { Invalid } from "../../shared/errors.ts";
import type { AcceptorServer } from "../../shared/protocol/registry.ts";
import { type Deployment, deploymentFile, type StoreKind, storeOf } from "../../shared/runtime/deployment.ts";
import { SqliteDevStore } from "./store-sqlite.ts";

/** Of the registry, or of the other machines: how the name of a file begins. */
export type TableUse = "r" | "a";

export interface DevStore {
  /** A new name, with 128 random bits. Nothing is made yet, and the incarnation may come to be another one. */
  plan(use: TableUse, number: number): AcceptorServer;
  /** Makes what was planned, empty; resolves when all can be used. */
  make(planned: readonly AcceptorServer[]): Promise<readonly AcceptorServer[]>;
  /** Gone for good when it resolves, also those that there never were. */
  delete(tables: readonly AcceptorServer[]): Promise<void>;
  isThere(table: AcceptorServer): Promise<boolean>;
  /** Of one that is there. @throws Invalid, naming the table and the next move. */
  assertUndamaged(table: AcceptorServer): Promise<void>;
  /** How a person gets tables back that are not there. */
  readonly nextMove: string;
  /** How the provisioner is told where to make more. */
  readonly provisionerArgs: readonly string[];
  close(): Promise<void>;
}

/** Of that deployment. @throws Invalid when nothing says where AWS is. */
export async function openDevStore(
  dir: string,
  id: string,
  kind: StoreKind,
  recorded?: Deployment,
): Promise<DevStore> {
  if (kind === "sqlite") return new SqliteDevStore(deploymentFile(dir));
  // The AWS SDK is loaded by whoever uses it, and only they need to have it.
  const { openDynamodbDevStore } = await import("./store-dynamodb.ts").catch((cause: unknown) => {
    throw new Invalid(
      "invalid_request",
      `--store dynamodb needs the AWS SDK: npm install @aws-sdk/client-dynamodb (${cause})`,
      { cause },
    );
  });
  return openDynamodbDevStore(id, recorded);
}

/** Whoever names a store means that one. @throws Invalid when the folder has another. */
export function assertStore(dir: string, deployment: Deployment, wanted: StoreKind | undefined): void {
  const kind = storeOf(deployment);
  if (wanted === undefined || wanted === kind) return;
  throw new Invalid(
    "invalid_request",
    `${dir} is of a deployment with --store ${kind}, and --store ${wanted} was asked for: leave it out, or use another --dir`,
  );
}
