/** Starting a deployment's processes in the order in which they need each other. */
import type { Deployment } from "../../shared/runtime/deployment.ts";
import { type RegistryClient, registryClient } from "../../shared/runtime/registry/registry-client.ts";
import { freePorts, isPortFree } from "./free-port.ts";
import type { Parts } from "./parts.ts";

export interface StartOptions {
  readonly deploymentFile: string;
  /** The machines' file, as an absolute path. */
  readonly file: string;
  readonly deployment: Deployment;
  readonly leaders: number;
  readonly snapshotSlots: number;
  /** The gateway's; 0: any free one. */
  readonly port: number;
}

/** The gateway's address, once everything is up. */
export async function startAll(options: StartOptions, parts: Parts): Promise<string> {
  const [registryPort = 0, gatewayPort = 0] = await freePorts(2);
  const registry = await startRegistry(options, registryPort, parts);
  const leaders = await startLeaders(options, registry, parts);
  return parts.start({
    part: "gateway",
    entry: "gateway",
    port: options.port || gatewayPort,
    args: [
      "--registry",
      registry.url,
      "--leaders",
      leaders.join(","),
      "--deployment-id",
      options.deployment.id,
    ],
  });
}

/** Leaders ask the registry where the tables are, so it is told before they start. */
async function startRegistry(
  { deploymentFile, deployment, snapshotSlots }: StartOptions,
  port: number,
  parts: Parts,
): Promise<RegistryClient> {
  const args = ["--deployment", deploymentFile, "--snapshot-slots", String(snapshotSlots)];
  const registry = registryClient(await parts.start({ part: "registry", entry: "registry", port, args }));
  await Promise.all(
    deployment.acceptors.map((acceptor) => registry.command({ type: "registerAcceptor", acceptor })),
  );
  return registry;
}

async function startLeaders(
  { file, leaders, deployment, snapshotSlots }: StartOptions,
  registry: RegistryClient,
  parts: Parts,
): Promise<readonly string[]> {
  const ids = Array.from({ length: leaders }, (_, index) => `leader-${index + 1}`);
  const ports = await leaderPorts(ids, registry);
  const addresses = ports.map((port) => `http://127.0.0.1:${port}`);
  return Promise.all(
    ids.map((id, index) => {
      const peers = addresses.filter((_, other) => other !== index).join(",");
      const args = [
        "--file",
        file,
        "--id",
        id,
        "--registry",
        registry.url,
        "--peers",
        peers,
        "--deployment-id",
        deployment.id,
        "--snapshot-slots",
        String(snapshotSlots),
      ];
      return parts.start({ part: id, entry: "leader", port: ports[index] as number, args });
    }),
  );
}

/** Where it may be the port of the last time, since the registry and its readers remember that address. */
async function leaderPorts(ids: readonly string[], registry: RegistryClient): Promise<readonly number[]> {
  const fresh = await freePorts(ids.length);
  const { leaders } = await registry.servers();
  const known = new Map(leaders.map(({ id, address }) => [id, Number(new URL(address).port)]));
  return Promise.all(
    fresh.map(async (port, index) => {
      const last = known.get(ids[index] as string);
      return last !== undefined && (await isPortFree(last)) ? last : port;
    }),
  );
}
