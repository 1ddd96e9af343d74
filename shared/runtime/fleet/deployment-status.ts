/** `GET /v1/status`: the whole deployment as one process sees it, gathered when somebody asks. */
import { HEAD } from "../../protocol/acceptor.ts";
import type { MachineId } from "../../protocol/configuration.ts";
import type { AcceptorRecord } from "../../protocol/pool.ts";
import { modeOf } from "../../protocol/quorum.ts";
import type { DeploymentStatus, MachineStatus } from "../../wire.ts";
import type { Led } from "../peers/message.ts";
import type { RegistryClient } from "../registry/registry-client.ts";
import { NOBODY } from "../repair/prober.ts";
import type { StorePool } from "../store-pool.ts";
import type { Fleet } from "./fleet.ts";
import type { Member } from "./member.ts";

/** Machines told of; `GET /v1/machines` pages through more. */
const MACHINES_MAX = 100;
/** Somebody waits for the page; whoever does not answer by then is shown as not answering. */
const ANSWER_MS_MAX = 1_000;

export async function deploymentStatus(
  fleet: Fleet,
  stores: StorePool,
  registry: RegistryClient,
  describe: (member: Member) => MachineStatus,
): Promise<DeploymentStatus> {
  const [servers, registryStatus, registered] = await Promise.all([
    inTime(registry.servers()),
    inTime(registry.status()),
    inTime(registry.machines("")),
  ]);
  const acceptors = servers?.acceptors ?? [];
  stores.learn(acceptors);
  const led = new Map(fleet.peers.led.map((each) => [each.machine, each]));
  const machines = new Set([
    ...(registered ?? []),
    ...led.keys(),
    ...[...fleet.members].map((m) => m.machine),
  ]);
  const statuses = await Promise.all(acceptors.map((acceptor) => acceptorStatus(acceptor, stores, machines)));
  const quorums = registryStatus?.configuration.quorums;
  return {
    leaders: leaders(
      fleet,
      servers?.leaders.map(({ id }) => id),
    ),
    acceptors: statuses.filter(({ role }) => role !== "own"),
    registry: {
      configuration: registryStatus?.configuration.number ?? 0,
      mode: quorums === undefined ? "majority" : modeOf(quorums),
      acceptors: quorums?.acceptors ?? [],
      tables: statuses
        .filter(({ role }) => role === "own")
        .map(({ id, kind, location, state }) => ({ id, kind, location, state })),
      applied: registryStatus?.applied ?? 0,
      address: registry.url,
      outbox: registryStatus?.outbox ?? 0,
    },
    machines: await Promise.all(
      [...machines]
        .filter((machine) => fleet.knows(machine))
        .sort()
        .slice(0, MACHINES_MAX)
        .map((machine) => machineStatus(fleet, machine, led.get(machine), describe)),
    ),
  };
}

/** Of those that do not answer, the ones that the registry still counts on; all, when it does not answer either. */
function leaders(fleet: Fleet, registered: readonly string[] | undefined): DeploymentStatus["leaders"] {
  const { self, peers, candidates } = fleet;
  const stateOf = (isDraining: boolean, leads: number): string => {
    if (!isDraining) return "live";
    return leads === 0 ? "drained" : "draining";
  };
  const own = { ...self, state: stateOf(candidates.isDraining, fleet.leads) };
  const others = peers.live.map((peer) => ({
    ...peer,
    state: stateOf(peers.isDraining(peer), peers.countLed(peer)),
  }));
  const live = [own, ...others].map(({ id, address, pid, state }) => ({ id, address, pid, state }));
  const silent = peers.silent
    .filter(({ id }) => registered?.includes(id) ?? true)
    .map((peer) => ({ ...peer, state: "suspected" }));
  return [...live, ...silent].sort((one, other) => (one.id < other.id ? -1 : 1));
}

/** A table says whether it is there; it knows nothing of its use, so any machine's Head will do. */
async function acceptorStatus(
  { id, kind, location, state: role, replacement }: AcceptorRecord,
  stores: StorePool,
  machines: ReadonlySet<MachineId>,
): Promise<DeploymentStatus["acceptors"][number]> {
  const [machine = NOBODY] = machines;
  const outcomes = await inTime(
    stores.get(id)?.execute(machine, [{ verb: "read", key: HEAD }]) ?? Promise.resolve([]),
  );
  const outcome = outcomes?.[0];
  const isLost = outcome?.outcome === "refused" && outcome.gone === true;
  const isSilent = outcome === undefined || outcome.outcome === "unknown";
  const state = isLost ? "lost" : isSilent ? "suspected" : "live";
  return { id, kind, location, role, state, ...(replacement === undefined ? {} : { replacement }) };
}

async function machineStatus(
  fleet: Fleet,
  machine: MachineId,
  led: Led | undefined,
  describe: (member: Member) => MachineStatus,
): Promise<MachineStatus> {
  const member = fleet.member(machine);
  member.location ??= led?.location;
  const leader = fleet.candidates.leaderElsewhere(machine);
  if (leader === undefined) return describe(member);
  const told = await inTime(
    fleet.peers.calls.ask(leader, {
      path: `/v1/machines/${machine}`,
      withinMs: ANSWER_MS_MAX,
    }) as Promise<MachineStatus>,
  );
  const { id, address } = leader;
  return told ?? { ...describe(member), leader: { id, address }, ballot: led?.ballot ?? null };
}

/** What was answered in time; undefined when nothing was. */
async function inTime<Answer>(answer: Promise<Answer>): Promise<Answer | undefined> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(resolve, ANSWER_MS_MAX, undefined);
  return Promise.race([answer.catch(() => undefined), promise]).finally(() => clearTimeout(timer));
}
