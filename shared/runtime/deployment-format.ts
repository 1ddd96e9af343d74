/** What a deployment file may hold: an unknown format stops, and a damaged file is never half believed. */
import { dirname } from "node:path";
import { Invalid, type TheseusError, VersionSkew } from "../errors.ts";
import type { Configuration } from "../protocol/configuration.ts";
import { faultOf } from "../protocol/quorum.ts";
import type { AcceptorServer } from "../protocol/registry.ts";
import { type Deployment, STORE_KINDS, type StoreKind } from "./deployment.ts";
import type { Pointer } from "./registry/registry-service.ts";

export const FORMAT = 1;

/** @throws Invalid or VersionSkew in a sentence for a person. */
export function parseDeployment(text: string, file: string): Deployment {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw damaged(file, "it is not JSON");
  }
  const { format, id, registry, acceptors } = fields(value);
  if (!Number.isSafeInteger(format) || (format as number) < 1) throw damaged(file, "it names no format");
  if (format !== FORMAT)
    throw new VersionSkew(
      "version_skew",
      `${dirname(file)} was written by a newer version of Theseus (format ${format}; this one reads ${FORMAT}): upgrade, or use another --dir`,
    );
  const deployment = { id, registry, acceptors } as Deployment;
  const fault = deploymentFault(deployment);
  if (fault !== undefined) throw damaged(file, fault);
  return deployment;
}

/** What is wrong with it; nothing of its form may be relied on yet. */
function deploymentFault({ id, registry, acceptors }: Deployment): string | undefined {
  const { machine, acceptors: registryAcceptors } = fields(registry);
  if (typeof id !== "string" || id === "") return "it has no id";
  if (typeof machine !== "string") return "its registry has no machine";
  if (!STORE_KINDS.some((kind) => [registryAcceptors, acceptors].every((servers) => areOf(kind, servers))))
    return `its acceptors are not tables of one store, which may be ${STORE_KINDS.join(" or ")}`;
  return registryFault(registry);
}

/** What is wrong with where a registry is said to be, but for its acceptors, which are servers. */
export function registryFault(registry: Pointer & { readonly first: Configuration }): string | undefined {
  const { first, configuration, acceptors } = registry;
  for (const each of [first, configuration])
    if (!isNumbered(each)) return "its registry's configuration has no number";
  const fault = [first, configuration].map(({ quorums }) => quorumsFault(quorums)).find(Boolean);
  if (fault !== undefined) return `its registry's quorums: ${fault}`;
  const known = new Set(acceptors.map(({ id }) => id));
  const stranger = configuration.quorums.acceptors.find((id) => !known.has(id));
  return stranger === undefined ? undefined : `its registry's acceptor ${stranger} has no table`;
}

function isNumbered(configuration: unknown): boolean {
  const { number, previous } = fields(configuration);
  return Number.isSafeInteger(number) && Number.isSafeInteger(previous);
}

function quorumsFault(quorums: unknown): string | undefined {
  try {
    return faultOf(quorums as Configuration["quorums"]);
  } catch {
    return "they are no quorum system";
  }
}

function areOf(kind: StoreKind, servers: unknown): boolean {
  return Array.isArray(servers) && servers.every((server) => isServer(server, kind));
}

export function isServer(value: unknown, ofKind: string): value is AcceptorServer {
  const { id, kind, location, incarnation } = fields(value);
  const isText = [id, location, incarnation].every((text) => typeof text === "string" && text !== "");
  return isText && kind === ofKind;
}

export function fields(value: unknown): Partial<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? value : {};
}

function damaged(file: string, fault: string): TheseusError {
  return new Invalid(
    "invalid_request",
    `${file} is not a deployment file: ${fault}; bring back the file that was there, or use another --dir`,
  );
}
