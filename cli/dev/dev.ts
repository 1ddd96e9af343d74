/**
 * `theseus dev`: a whole deployment on this machine, every part a process of its own, its state in a folder.
 * Whatever can be refused is refused before anything is created or started; when something fails later,
 * everything that was started is stopped.
 */
import { resolve } from "node:path";
import type { Deployment } from "../../shared/runtime/deployment.ts";
import { deploymentFile } from "../../shared/runtime/deployment.ts";
import { loadMachines } from "../../shared/runtime/load-machines.ts";
import { registryClient } from "../../shared/runtime/registry-client.ts";
import { openDeployment } from "./bootstrap.ts";
import type { DevEvent } from "./events.ts";
import { assertPortFree, freePorts } from "./free-port.ts";
import { lockFolder } from "./lock.ts";
import { Parts } from "./parts.ts";
import { stopSignal } from "./signals.ts";
import { missingTables } from "./tables.ts";

export interface DevOptions {
  readonly file: string;
  readonly dir: string;
  /** The gateway's; 0: any free one. */
  readonly port: number;
  readonly leaders: number;
  readonly report: (event: DevEvent) => void;
}

/** Runs until it is told to stop. @throws a TheseusError in a sentence for a person. */
export async function dev(options: DevOptions): Promise<void> {
  const { port, report } = options;
  const dir = resolve(options.dir);
  const machines = [...(await loadMachines(options.file)).keys()];
  if (port !== 0) await assertPortFree(port);
  const lock = lockFolder(dir);
  const parts = new Parts(report);
  const signal = stopSignal(() => {
    parts.kill();
    process.exit(1);
  });
  try {
    const start = startAll(options, dir, parts).then((url) => report({ event: "ready", url, dir, machines }));
    await Promise.race([start, signal]);
    report({ event: "stopping", signal: await signal });
  } finally {
    await parts.stop();
    lock.release();
  }
}

async function startAll(options: DevOptions, dir: string, parts: Parts): Promise<string> {
  const { report } = options;
  const deployment = await openDeployment(dir);
  for (const { id, location } of missingTables(deployment))
    report({ event: "tableMissing", acceptor: id, location });
  const [registryPort = 0, gatewayPort = 0, ...leaderPorts] = await freePorts(2 + options.leaders);
  const registry = await startRegistry(deployment, dir, registryPort, parts);
  const leaders = await startLeaders(resolve(options.file), registry, leaderPorts, parts);
  return parts.start({
    part: "gateway",
    entry: "gateway",
    port: options.port || gatewayPort,
    args: ["--registry", registry, "--leaders", leaders.join(",")],
  });
}

/** Leaders ask the registry where the tables are, so it is told before they start. */
async function startRegistry(
  { acceptors }: Deployment,
  dir: string,
  port: number,
  parts: Parts,
): Promise<string> {
  const args = ["--deployment", deploymentFile(dir)];
  const registry = await parts.start({ part: "registry", entry: "registry", port, args });
  const { command } = registryClient(registry);
  await Promise.all(acceptors.map((acceptor) => command({ type: "registerAcceptor", acceptor })));
  return registry;
}

async function startLeaders(
  file: string,
  registry: string,
  ports: readonly number[],
  parts: Parts,
): Promise<readonly string[]> {
  const addresses = ports.map((port) => `http://127.0.0.1:${port}`);
  return Promise.all(
    ports.map((port, index) => {
      const id = `leader-${index + 1}`;
      const peers = addresses.filter((_, other) => other !== index).join(",");
      const args = ["--file", file, "--id", id, "--registry", registry, "--peers", peers];
      return parts.start({ part: id, entry: "leader", port, args });
    }),
  );
}
