/**
 * The thread that takes one snapshot and ends. It has nothing from the process that started it but the place of the
 * tables and of the machine's code, so that neither its work nor its memory is the leader's.
 */
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { machineCode } from "../../machine.ts";
import type { Configuration, MachineId } from "../../protocol/configuration.ts";
import type { AcceptorServer } from "../../protocol/registry.ts";
import { MACHINE_GEOMETRY } from "../../protocol/slot.ts";
import { openStore } from "../../storage/open.ts";
import type { Ports } from "../ports.ts";
import { productionPorts } from "../ports-production.ts";
import { registryHost } from "../registry/registry-service.ts";
import { StorePool } from "../store-pool.ts";
import { loadFrom, type Source } from "./source.ts";
import { type Taken, takeSnapshot } from "./take-snapshot.ts";

export interface SnapshotOrder {
  readonly machine: MachineId;
  /** Its code. The registry's is built in, and needs the configuration that it began with. */
  readonly source: Source | { readonly first: Configuration };
  readonly configuration: Configuration;
  /** Where the configuration's tables are. */
  readonly acceptors: readonly AcceptorServer[];
}
/** `progress`: a table has answered. */
export type SnapshotMessage = "progress" | Taken;

const { machine, source, configuration, acceptors } = workerData as SnapshotOrder;
const port = parentPort as MessagePort;
const stores = new StorePool(openStore);
stores.learn(acceptors);
try {
  const options =
    "first" in source
      ? registryHost(source.first)
      : { machine, geometry: MACHINE_GEOMETRY, code: machineCode(await loadFrom(source, nameOf(machine))) };
  say(await takeSnapshot({ ...options, ports: tellingPorts() }, configuration));
} finally {
  await stores.close();
}

function nameOf(of: MachineId): string {
  return of.slice(0, of.indexOf("/"));
}

function say(message: SnapshotMessage): void {
  port.postMessage(message);
}

function tellingPorts(): Ports {
  const ports = productionPorts((acceptor) => stores.get(acceptor));
  return {
    ...ports,
    ask: (acceptor, of, verbs, done) =>
      ports.ask(acceptor, of, verbs, (outcomes) => {
        say("progress");
        done(outcomes);
      }),
  };
}
