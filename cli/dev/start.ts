/** Starting a deployment's processes in the order in which they need each other. */
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Threshold } from "../../shared/protocol/endorsement.ts";
import type { AcceptorServer } from "../../shared/protocol/registry.ts";
import type { LaunchRequest } from "../../shared/provision/launcher-parent.ts";
import { type Deployment, inFolderOf } from "../../shared/runtime/deployment.ts";
import {
  type Provisioning,
  type RegistryClient,
  registryClient,
} from "../../shared/runtime/registry/registry-client.ts";
import { freePorts } from "./free-port.ts";
import { Leaders } from "./leaders.ts";
import type { Parts } from "./parts.ts";
import type { DevStore } from "./store.ts";
import { thoseMissing } from "./tables.ts";

const REGISTERED_POLL_MS = 20;

export interface StartOptions {
  readonly deploymentFile: string;
  /** The machines' file, as an absolute path. */
  readonly file: string;
  readonly deployment: Deployment;
  readonly store: DevStore;
  readonly leaders: number;
  readonly spares: number;
  readonly endorsements: Threshold;
  readonly snapshotSlots: number;
  /** The gateway's; 0: any free one. */
  readonly port: number;
  /** An acceptor that is on record, and whose table is not there. */
  readonly missing: (acceptor: AcceptorServer) => void;
}

/** The gateway's address, once everything is up. */
export async function startAll(options: StartOptions, parts: Parts): Promise<string> {
  const { deployment, file, store, snapshotSlots } = options;
  const [registryPort = 0, gatewayPort = 0, provisionerPort = 0] = await freePorts(3);
  const queue = join(dirname(options.deploymentFile), "queue.sqlite");
  const registry = await startRegistry(options, registryPort, queue, parts);
  const known = await registry.provisioning();
  const leaders = new Leaders(parts, { file, registry, deploymentId: deployment.id, snapshotSlots });
  await leaders.startAll(leaderIds(known, options.leaders));
  const gateway = parts.start({
    part: "gateway",
    entry: "gateway",
    port: options.port || gatewayPort,
    args: [
      ...["--registry", registry.url, "--leaders", leaders.addresses.join(",")],
      ...["--deployment-id", deployment.id],
    ],
  });
  const provisioner = parts.start({
    part: "provisioner",
    entry: "provisioner",
    port: provisionerPort,
    args: ["--registry", registry.url, "--queue", queue, ...store.provisionerArgs],
    heard: async (message, answer) => answer(await leaders.carryOut(message as LaunchRequest)),
  });
  const [url] = await Promise.all([gateway, provisioner, settleLeaders(known, leaders, registry)]);
  return url;
}

/** Leaders ask the registry where the tables are, so it is told before they start. */
async function startRegistry(
  options: StartOptions,
  port: number,
  queue: string,
  parts: Parts,
): Promise<RegistryClient> {
  const args = [
    ...["--deployment", options.deploymentFile, "--queue", queue],
    ...["--snapshot-slots", String(options.snapshotSlots)],
  ];
  const registry = registryClient(await parts.start({ part: "registry", entry: "registry", port, args }));
  const { spares, endorsements } = options;
  await registry.command({ type: "configure", spares, endorsements });
  await registerTables(options, registry);
  return registry;
}

/** The folder's list is only where it began: the registry knows which tables came later, and which were retired. */
async function registerTables(options: StartOptions, registry: RegistryClient): Promise<void> {
  const { deployment, deploymentFile, store } = options;
  const { former, acceptors } = await registry.provisioning();
  const retired = new Set<string>(former);
  const recorded = new Set(acceptors.map(({ id }) => id));
  const { configuration } = await registry.status();
  for (const acceptor of deployment.registry.acceptors)
    if (configuration.quorums.acceptors.includes(acceptor.id) && !recorded.has(acceptor.id))
      await registry.command({ type: "adoptAcceptor", acceptor, configuration: configuration.number });
  const first = deployment.acceptors.filter(({ id }) => !retired.has(id));
  const isFirst = new Set(first.map(({ id }) => id));
  const later = acceptors
    .filter(({ id }) => !isFirst.has(id))
    .map((each) => inFolderOf(deploymentFile, each));
  for (const { id, kind, location, incarnation } of [...first, ...later])
    await registry.command({ type: "registerAcceptor", acceptor: { id, kind, location, incarnation } });
  const isRegistrys = new Set(deployment.registry.acceptors.map(({ id }) => id));
  const { acceptors: present } = await registry.servers();
  const inUse = present.filter(({ id, state }) => state !== "retired" && !isRegistrys.has(id));
  const missing = await thoseMissing(inUse, store);
  for (const acceptor of missing) options.missing(acceptor);
  // The registry's, and the first ones, were looked at before anything was started.
  for (const acceptor of inUse)
    if (!missing.includes(acceptor) && !isFirst.has(acceptor.id)) await store.assertUndamaged(acceptor);
}

/** Those of the last time, and new ones for the rest: an id is never used for another leader. */
function leaderIds({ leaders, former, outbox }: Provisioning, count: number): readonly string[] {
  const ordered = outbox.flatMap((request) => (request.type === "startLeader" ? [request.leader] : []));
  const live = leaders.flatMap(({ id, state }) => (state === "live" ? [id] : []));
  const kept = [...live, ...ordered].slice(0, count);
  const used = [...leaders.map(({ id }) => id), ...former, ...ordered].map((id) =>
    Number(/^leader-(\d+)$/.exec(id)?.[1] ?? 0),
  );
  const last = Math.max(0, ...used);
  return [
    ...kept,
    ...Array.from({ length: count - kept.length }, (_, index) => `leader-${last + index + 1}`),
  ];
}

/** From here on the registry sees to it that there are as many; those that were more before are retired. */
async function settleLeaders(
  { leaders: before }: Provisioning,
  { ids }: Leaders,
  registry: RegistryClient,
): Promise<void> {
  const areRegistered = async () => {
    const { leaders } = await registry.servers();
    return ids.every((id) => leaders.some((each) => each.id === id));
  };
  while (!(await areRegistered())) await sleep(REGISTERED_POLL_MS);
  await registry.command({ type: "configure", leaders: ids.length });
  for (const { id, state } of before)
    if (state === "live" && !ids.includes(id)) await registry.command({ type: "retireLeader", leader: id });
}
