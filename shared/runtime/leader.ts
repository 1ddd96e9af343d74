/**
 * A leader process put together: it leads the machines that are its to lead, and is the standby of all others. On one
 * machine and in a container it is the same; what differs is who it is, how it is reached, and whom it believes.
 */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { Unavailable } from "../errors.ts";
import type { ProcessId } from "../protocol/ballot.ts";
import type { AcceptorId } from "../protocol/quorum.ts";
import type { AcceptorServer, LeaderServer } from "../protocol/registry.ts";
import type { AcceptorStore } from "../storage/store.ts";
import { problemOf } from "../wire.ts";
import { Endorser } from "./fleet/endorser.ts";
import { Fleet } from "./fleet/fleet.ts";
import { LeaderBackend } from "./fleet/leader-backend.ts";
import { registerLeader, retireLeader } from "./fleet/register-leader.ts";
import { reportFleet, reportRepairs, reportSilence } from "./fleet/report.ts";
import { ofDeployment } from "./http/deployment-guard.ts";
import { httpInterface } from "./http/http.ts";
import { problemResponse } from "./http/problem.ts";
import { type App, type ServeOptions, serve } from "./http/serve.ts";
import { loadMachines } from "./load-machines.ts";
import type { Running } from "./part.ts";
import { Peers } from "./peers/peers.ts";
import { productionPorts } from "./ports-production.ts";
import type { RegistryClient } from "./registry/registry-client.ts";
import { watchLeaders } from "./repair/leader-watch.ts";
import { observed } from "./repair/observed-ports.ts";
import { probeTables } from "./repair/prober.ts";
import { Repairer } from "./repair/repairer.ts";
import { TableHealth } from "./repair/table-health.ts";
import { newSigner } from "./signing.ts";
import { takeInThread } from "./snapshots/in-thread.ts";
import { SNAPSHOT_SLOTS } from "./snapshots/pace.ts";
import { reportSnapshots } from "./snapshots/report.ts";
import { Snapshots } from "./snapshots/snapshots.ts";
import { sourceOf } from "./snapshots/source.ts";
import { StorePool } from "./store-pool.ts";
import { leaderAccess } from "./tokens/access.ts";
import type { TokenKeys } from "./tokens/signers.ts";

const MEET_PEERS_MS_MAX = 300;
/** Where they first look up who dials. */
const MEET_GUARDED_PEERS_MS_MAX = 1_000;
/** Where others are listed, they are looked for again so often: whoever both sides missed is found in the end. */
const LOOK_FOR_PEERS_MS = 30_000;

export interface LeaderOptions {
  readonly log: Logger;
  /** The user's file. */
  readonly machines: string;
  /** The deployment's random id. */
  readonly deployment: string;
  readonly registry: RegistryClient;
  /** Chooses the adapter by the server's kind. */
  readonly open: (server: AcceptorServer) => AcceptorStore;
  readonly reached: Pick<ServeOptions, "port" | "host" | "reachedAt" | "certificate">;
  /** Who it is; asked once it can be reached. */
  readonly identify: () => Promise<Pick<LeaderServer, "id" | "task">>;
  /** Addresses of other leader processes to begin with. */
  readonly peers?: readonly string[];
  /** Where the others are listed; may be out of date. */
  readonly hinted?: () => Promise<readonly LeaderServer[]>;
  /** Whose tokens count, beside those of leader processes; absent: nobody is asked for one. */
  readonly keys?: TokenKeys;
  /** Whether its id ends with it: nobody starts it again. */
  readonly retires?: boolean;
  readonly snapshotSlots?: number;
}

export async function startLeader(options: LeaderOptions): Promise<Running> {
  const { log, registry, deployment, hinted = async () => [] } = options;
  const source = await sourceOf(options.machines);
  const definitions = await loadMachines(options.machines);
  const stores = new StorePool(options.open);
  const health = new TableHealth(() => performance.now());
  const isKnown = (acceptor: AcceptorId) => stores.get(acceptor) !== undefined;
  const ports = observed(
    productionPorts((acceptor) => stores.get(acceptor)),
    health,
    isKnown,
  );
  const report = (err: unknown) => log.error({ event: "error", err });
  let app: App = { fetch: starting };
  const served = await serve(
    { fetch: (request, bindings) => app.fetch(request, bindings) },
    { ...options.reached, report },
  );
  const who = await options.identify();
  const address = served.url;
  const self = {
    ...{ id: who.id, deployment, address, pid: process.pid },
    process: randomBytes(16).toString("hex") as ProcessId,
  };
  const signer = newSigner();
  const onRecord = { ...who, address, process: self.process, publicKey: signer.publicKey };
  const access = options.keys && leaderAccess({ ...self, log, registry, hinted, keys: options.keys, signer });
  const snapshots = new Snapshots({
    slots: options.snapshotSlots ?? SNAPSHOT_SLOTS,
    source,
    take: takeInThread,
    ports,
    events: reportSnapshots(log),
  });
  const endorser = new Endorser({ self: onRecord, signer, registry, stores, health });
  const events = reportFleet(log, health);
  const fleet = new Fleet({ self, definitions, registry, stores, endorser, ports, events, snapshots });
  const peers = new Peers({
    self,
    server: served.server,
    welcome: () => fleet.welcome(),
    follow: (machine, from, send) => fleet.follow(machine, from, send),
    credentials: access?.credentials,
  });
  fleet.meet(peers);
  peers.on("live", (peer) => log.info({ event: "peerLive", peer: peer.id }, `${peer.id} is there`));
  peers.on("suspected", (peer) =>
    log.warn({ event: "peerSuspected", peer: peer.id }, `${peer.id} does not answer`),
  );
  const known = [...(options.peers ?? []), ...(await hinted().catch(() => [])).map((each) => each.address)];
  const registration = registerLeader(onRecord, signer, registry, {
    found: (each) => peers.watch(each),
    refused: (err) => log.warn({ event: "notRegistered", err }, err.message),
  });
  // Whoever asks who dials has to find this one on record.
  if (access !== undefined) await registration.tried;
  for (const each of known) peers.watch(each);
  // A newcomer that has not heard of its peers would take their machines for unled.
  const enoughMs = access === undefined ? MEET_PEERS_MS_MAX : MEET_GUARDED_PEERS_MS_MAX;
  await Promise.race([peers.met(known.length), sleep(enoughMs)]);
  const backend = new LeaderBackend(fleet, stores, registry, endorser);
  app = ofDeployment(httpInterface(backend, report, access?.guard), deployment);
  const repairer = new Repairer({ fleet, health, registry, stores, ports, events: reportRepairs(log) });
  repairer.start();
  watchLeaders({ fleet, registry, ports, suspected: reportSilence(log) });
  const stopProbing = probeTables(registry, stores, ports, () => repairer.pass());
  const looking = setInterval(async () => {
    for (const each of await hinted().catch(() => [])) peers.watch(each.address);
  }, LOOK_FOR_PEERS_MS);
  return {
    url: served.url,
    async close() {
      registration.stop();
      stopProbing();
      clearInterval(looking);
      repairer.close();
      await Promise.all([fleet.leave(), snapshots.close()]);
      if (options.retires)
        await retireLeader(self.id, registry).catch((err) => log.warn({ event: "notRetired", err }));
      // Peers' connections are the server's too, and would keep it open.
      peers.close();
      await served.close();
      await stores.close();
    },
  };
}

/** Alive, which is what health asks, and not yet of use. */
function starting(request: Request): Response {
  if (new URL(request.url).pathname === "/v1/health") return Response.json({ status: "starting" });
  return problemResponse(problemOf(new Unavailable("unavailable", "starting: try again")));
}
