/**
 * The deployment file: what a deployment on this machine must know before its registry answers, namely where the
 * registry is, and the tables of both kinds with their birth stamps (PROTOCOL §11). It is the registry's bootstrap
 * pointer (§8): moved on by the registry's leaders, and only a hint to whoever reads it.
 *
 * It is replaced whole or not at all. In the file the location of a table that is a file is relative to this
 * one's folder, so that the folder may be moved; in memory it is absolute.
 */
import { randomBytes } from "node:crypto";
import { glob, open, readFile, rename, rm } from "node:fs/promises";
import { basename, dirname, join, relative, resolve } from "node:path";
import { Invalid } from "../errors.ts";
import type { Configuration, MachineId } from "../protocol/configuration.ts";
import type { AcceptorServer } from "../protocol/registry.ts";
import { FORMAT, parseDeployment } from "./deployment-format.ts";
import { fileTrouble } from "./file-trouble.ts";
import type { Pointer } from "./registry/registry-service.ts";

export interface Deployment {
  /** 128 random bits: processes of different deployments have nothing to say to each other. */
  readonly id: string;
  readonly registry: {
    readonly machine: MachineId;
    /** What it began with: a constant of its life. */
    readonly first: Configuration;
    /** The newest of its configurations that is known to be installed, and the tables of that. */
    readonly configuration: Configuration;
    readonly acceptors: readonly AcceptorServer[];
  };
  /** The tables of all other machines. */
  readonly acceptors: readonly AcceptorServer[];
}

/** Where all of a deployment's tables are kept. */
export const STORE_KINDS = ["sqlite", "dynamodb"] as const;
export type StoreKind = (typeof STORE_KINDS)[number];

export function storeOf({ registry }: Deployment): StoreKind {
  return registry.acceptors[0]?.kind as StoreKind;
}

export function deploymentFile(dir: string): string {
  return join(dir, "theseus.json");
}

/** What is being made, written before it: a crash half-way leaves a list of what to delete. */
export function unfinishedFile(dir: string): string {
  return join(dir, "theseus.unfinished.json");
}

export function tablesFolder(file: string): string {
  return resolve(dirname(file), "tables");
}

/** A file is in the folder of this deployment file, wherever that was when the table was recorded. */
export function inFolderOf(file: string, server: AcceptorServer): AcceptorServer {
  if (server.kind !== "sqlite") return server;
  return { ...server, location: join(tablesFolder(file), basename(server.location)) };
}

/** @throws Invalid, Forbidden or VersionSkew in a sentence for a person. */
export async function readDeployment(file: string): Promise<Deployment> {
  const deployment = await findDeployment(file);
  if (deployment === undefined) throw new Invalid("invalid_request", `there is no deployment file ${file}`);
  return deployment;
}

/** Undefined: there is no such file. */
export async function findDeployment(file: string): Promise<Deployment | undefined> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw fileTrouble(error, `${file} cannot be read`);
  }
  const deployment = parseDeployment(text, file);
  return withLocations(deployment, (location) => resolve(dirname(file), location));
}

/** On disk for good when the promise resolves. */
export function writeDeployment(file: string, deployment: Deployment): Promise<void> {
  return replaceDeployment(file, deployment, async () => true);
}

/**
 * Points to a configuration of the registry that is installed; to one that is not newer than what the file has,
 * nothing is done. On disk for good when the promise resolves.
 */
export async function movePointer(file: string, to: Pointer): Promise<void> {
  const isNewer = async () => {
    const { registry } = await readDeployment(file);
    return to.configuration.number > registry.configuration.number;
  };
  if (!(await isNewer())) return;
  const deployment = await readDeployment(file);
  const registry = { ...deployment.registry, ...to };
  await replaceDeployment(file, { ...deployment, registry }, isNewer);
}

/** What processes that died while they wrote have left beside it; whoever writes now writes it again. */
export async function removeUnfinished(file: string): Promise<void> {
  for await (const name of glob(`${basename(file)}.*.new`, { cwd: dirname(resolve(file)) }))
    await rm(join(dirname(file), name), { force: true });
}

/** `isWanted` is asked at the last moment: other processes write the file as well. */
async function replaceDeployment(
  file: string,
  deployment: Deployment,
  isWanted: () => Promise<boolean>,
): Promise<void> {
  const folder = dirname(resolve(file));
  const stored = withLocations(deployment, (location) => relative(folder, location));
  const unfinished = `${file}.${randomBytes(8).toString("hex")}.new`;
  try {
    await writeFlushed(unfinished, `${JSON.stringify({ format: FORMAT, ...stored }, undefined, 2)}\n`);
    if (await isWanted()) await rename(unfinished, file);
    else await rm(unfinished, { force: true });
    await flushFolder(folder);
  } catch (error) {
    throw fileTrouble(error, `${file} cannot be written`);
  }
}

async function writeFlushed(path: string, text: string): Promise<void> {
  const handle = await open(path, "w", 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** A renamed file is there for good only once its folder is flushed. */
async function flushFolder(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function withLocations(deployment: Deployment, move: (location: string) => string): Deployment {
  const moved = (servers: readonly AcceptorServer[]) =>
    servers.map((server) =>
      server.kind === "sqlite" ? { ...server, location: move(server.location) } : server,
    );
  const { id, registry, acceptors } = deployment;
  return { id, registry: { ...registry, acceptors: moved(registry.acceptors) }, acceptors: moved(acceptors) };
}
