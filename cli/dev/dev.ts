/**
 * `theseus dev`: a whole deployment on this machine, every part a process of its own, its state in a folder.
 * Whatever can be refused is refused before anything is created or started; when something fails later,
 * everything that was started is stopped.
 */
import { resolve } from "node:path";
import type { Threshold } from "../../shared/protocol/endorsement.ts";
import type { AcceptorServer } from "../../shared/protocol/registry.ts";
import { type Deployment, deploymentFile, type StoreKind, storeOf } from "../../shared/runtime/deployment.ts";
import { loadMachines } from "../../shared/runtime/load-machines.ts";
import { openDeployment } from "./bootstrap.ts";
import type { DevEvent } from "./events.ts";
import { assertPortFree } from "./free-port.ts";
import { lockFolder } from "./lock.ts";
import { Parts } from "./parts.ts";
import { stopSignal } from "./signals.ts";
import { startAll } from "./start.ts";
import { type DevStore, openDevStore } from "./store.ts";
import { findRegistry, missingTables } from "./tables.ts";

export interface DevOptions {
  readonly file: string;
  readonly dir: string;
  /** The gateway's; 0: any free one. */
  readonly port: number;
  readonly leaders: number;
  /** At least so many for the machines; a folder that has fewer gets more. */
  readonly tables: number;
  /** Where the tables are kept; undefined: where the folder's are, or SQLite. */
  readonly store: StoreKind | undefined;
  /** Kept ready to take a lost table's place. */
  readonly spares: number;
  /** How many leader processes have to agree to a reconfiguration. */
  readonly endorsements: Threshold;
  /** After how many a snapshot takes the place of a machine's log. */
  readonly snapshotSlots: number;
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
    const ready = openAndStart(options, dir, parts).then((url) =>
      report({ event: "ready", url, dir, machines }),
    );
    await Promise.race([ready, signal]);
    report({ event: "stopping", signal: await signal });
  } finally {
    await parts.stop();
    lock.release();
  }
}

async function openAndStart(options: DevOptions, dir: string, parts: Parts): Promise<string> {
  const { tables, store: wanted } = options;
  const recorded = await openDeployment(dir, { tables, store: wanted });
  const store = await openDevStore(dir, recorded.id, storeOf(recorded), recorded);
  try {
    const registry = await findRegistry(deploymentFile(dir), recorded.registry, store);
    return await start(options, dir, { ...recorded, registry }, store, parts);
  } finally {
    await store.close();
  }
}

async function start(
  options: DevOptions,
  dir: string,
  deployment: Deployment,
  store: DevStore,
  parts: Parts,
): Promise<string> {
  const missing = ({ id, location }: AcceptorServer) =>
    options.report({ event: "tableMissing", acceptor: id, location });
  const lost = await missingTables(deployment, store);
  // Whether one of the machines' tables is lost or was retired is known to the registry.
  for (const server of deployment.registry.acceptors) if (lost.includes(server)) missing(server);
  const { leaders, spares, endorsements, port, snapshotSlots } = options;
  const file = resolve(options.file);
  return startAll(
    {
      ...{ deploymentFile: deploymentFile(dir), file, deployment, store },
      ...{ leaders, spares, endorsements, port, snapshotSlots, missing },
    },
    parts,
  );
}
