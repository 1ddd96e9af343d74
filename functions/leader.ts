/** A leader process: it leads the machines that are its to lead, and is the standby of all others. */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import type { Logger } from "pino";
import { Unavailable } from "../shared/errors.ts";
import type { ProcessId } from "../shared/protocol/ballot.ts";
import type { AcceptorId } from "../shared/protocol/quorum.ts";
import { Endorser } from "../shared/runtime/fleet/endorser.ts";
import type { FleetEvents } from "../shared/runtime/fleet/events.ts";
import { Fleet } from "../shared/runtime/fleet/fleet.ts";
import { LeaderBackend } from "../shared/runtime/fleet/leader-backend.ts";
import { registerLeader } from "../shared/runtime/fleet/register-leader.ts";
import { ofDeployment } from "../shared/runtime/http/deployment-guard.ts";
import { httpInterface } from "../shared/runtime/http/http.ts";
import { problemResponse } from "../shared/runtime/http/problem.ts";
import { type App, serve } from "../shared/runtime/http/serve.ts";
import { loadMachines } from "../shared/runtime/load-machines.ts";
import { runPart } from "../shared/runtime/part.ts";
import { Peers } from "../shared/runtime/peers/peers.ts";
import { productionPorts } from "../shared/runtime/ports-production.ts";
import { registryClient } from "../shared/runtime/registry/registry-client.ts";
import { watchLeaders } from "../shared/runtime/repair/leader-watch.ts";
import { observed } from "../shared/runtime/repair/observed-ports.ts";
import { probeTables } from "../shared/runtime/repair/prober.ts";
import { type RepairEvents, Repairer } from "../shared/runtime/repair/repairer.ts";
import { reportSuspicions } from "../shared/runtime/repair/report.ts";
import { TableHealth } from "../shared/runtime/repair/table-health.ts";
import { newSigner } from "../shared/runtime/signing.ts";
import { takeInThread } from "../shared/runtime/snapshots/in-thread.ts";
import { SNAPSHOT_SLOTS } from "../shared/runtime/snapshots/pace.ts";
import { reportSnapshots } from "../shared/runtime/snapshots/report.ts";
import { Snapshots } from "../shared/runtime/snapshots/snapshots.ts";
import { sourceOf } from "../shared/runtime/snapshots/source.ts";
import { StorePool } from "../shared/runtime/store-pool.ts";
import { openStore } from "../shared/storage/open.ts";
import { problemOf } from "../shared/wire.ts";

const MEET_PEERS_MS_MAX = 300;

await runPart("leader", async (log) => {
  const flags = readFlags();
  const source = await sourceOf(flags.file);
  const definitions = await loadMachines(flags.file);
  const registry = registryClient(flags.registry);
  const stores = new StorePool(openStore);
  const health = new TableHealth(() => performance.now());
  const isKnown = (acceptor: AcceptorId) => stores.get(acceptor) !== undefined;
  const ports = observed(
    productionPorts((acceptor) => stores.get(acceptor)),
    health,
    isKnown,
  );
  let app: App = {
    fetch: () => problemResponse(problemOf(new Unavailable("unavailable", "starting: try again"))),
  };
  const served = await serve(
    { fetch: (request, bindings) => app.fetch(request, bindings) },
    { port: flags.port },
  );
  const self = {
    id: flags.id,
    deployment: flags.deployment,
    process: randomBytes(16).toString("hex") as ProcessId,
    address: served.url,
    pid: process.pid,
  };
  const snapshots = new Snapshots({
    slots: flags.snapshotSlots,
    source,
    take: takeInThread,
    ports,
    events: reportSnapshots(log),
  });
  const signer = newSigner();
  const onRecord = {
    id: self.id,
    process: self.process,
    address: self.address,
    publicKey: signer.publicKey,
  };
  const endorser = new Endorser({ self: onRecord, signer, registry, stores, health });
  const events = reportTo(log, health);
  const fleet = new Fleet({ self, definitions, registry, stores, endorser, ports, events, snapshots });
  const peers = new Peers({
    self,
    server: served.server,
    welcome: () => fleet.welcome(),
    follow: (machine, from, send) => fleet.follow(machine, from, send),
  });
  fleet.meet(peers);
  peers.on("live", (peer) => log.info({ event: "peerLive", peer: peer.id }, `${peer.id} is there`));
  peers.on("suspected", (peer) =>
    log.warn({ event: "peerSuspected", peer: peer.id }, `${peer.id} does not answer`),
  );
  for (const address of flags.peers) peers.watch(address);
  // A newcomer that has not heard of its peers would take their machines for unled.
  await Promise.race([peers.met(flags.peers.length), sleep(MEET_PEERS_MS_MAX)]);
  app = ofDeployment(
    httpInterface(new LeaderBackend(fleet, stores, registry, endorser), (err) =>
      log.error({ event: "error", err }),
    ),
    self.deployment,
  );
  const repairer = new Repairer({ fleet, health, registry, stores, ports, events: reportRepairs(log) });
  repairer.start();
  watchLeaders({ fleet, registry, ports, suspected: reportSilence(log) });
  const stopProbing = probeTables(registry, stores, ports, () => repairer.pass());
  const stopRegistering = registerLeader(onRecord, registry, {
    found: (address) => peers.watch(address),
    refused: (err) => log.warn({ event: "notRegistered", err }, err.message),
  });
  return {
    url: served.url,
    async close() {
      stopRegistering();
      stopProbing();
      repairer.close();
      await Promise.all([fleet.leave(), snapshots.close()]);
      // Peers' connections are the server's too, and would keep it open.
      peers.close();
      await served.close();
      await stores.close();
    },
  };
});

function readFlags() {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    options: {
      ...{ file: text, id: text, registry: text, peers: text, port: text },
      ...{ "deployment-id": text, "snapshot-slots": text },
    },
  });
  const { file, id, registry, peers = "", port = "0", "deployment-id": deployment } = values;
  if (file === undefined || id === undefined || registry === undefined || deployment === undefined)
    throw new Error("a leader needs --file FILE --id ID --registry URL --deployment-id ID");
  return {
    file,
    id,
    registry,
    deployment,
    port: Number(port),
    snapshotSlots: Number(values["snapshot-slots"] ?? SNAPSHOT_SLOTS),
    peers: peers.split(",").filter((address) => address !== ""),
  };
}

function reportRepairs(log: Logger): RepairEvents {
  return {
    ...reportSuspicions(log),
    notRepaired: (machine, acceptor, err) =>
      log.warn(
        { event: "notRepaired", machine, acceptor, err },
        `${acceptor} of ${machine} is not replaced yet`,
      ),
  };
}

function reportSilence(log: Logger): (leader: string) => void {
  return (leader) =>
    log.warn(
      { event: "leaderReplaced", leader },
      `${leader} stays silent: another one is started in its place`,
    );
}

function reportTo(log: Logger, health: TableHealth): FleetEvents {
  return {
    leads: (machine, ballot) => log.info({ event: "leads", machine, ballot }, `leads ${machine}`),
    abdicated: (machine, abdication, ballot) => {
      if (abdication.why === "damaged") health.distrust(abdication.acceptor);
      log.warn(
        { event: "abdicated", machine, ballot, ...abdication },
        `no longer leads ${machine}: ${abdication.why}`,
      );
    },
    lost: (machine, acceptor) =>
      log.warn(
        { event: "lost", machine, acceptor },
        `${acceptor} of ${machine} is lost: it refuses everything`,
      ),
    reconfigured: (machine, configuration) =>
      log.info(
        { event: "reconfigured", machine, configuration },
        `${machine} is in configuration ${configuration}`,
      ),
    failed: (machine, err) => log.warn({ event: "failed", machine, err }, `could not lead ${machine}`),
  };
}
