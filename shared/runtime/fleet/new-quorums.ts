/** From what an operator asks for to the quorums of the next configuration. */
import { Invalid, Unavailable } from "../../errors.ts";
import { HEAD } from "../../protocol/acceptor.ts";
import type { MachineId } from "../../protocol/configuration.ts";
import { type AcceptorRecord, nearestFirst } from "../../protocol/pool.ts";
import { type AcceptorId, type QuorumSpec, replaceAcceptor } from "../../protocol/quorum.ts";
import type { ReconfigureRequest } from "../../wire.ts";
import { modeNamed } from "../http/quorums-of.ts";
import type { RegistryClient } from "../registry/registry-client.ts";
import type { StorePool } from "../store-pool.ts";

export interface LostOptions {
  /** Who says so, when a table is reported. */
  readonly by: string;
  readonly registry: RegistryClient;
  readonly stores: StorePool;
  /** What takes the place of tables that the registry suspects. */
  readonly replacements: ReadonlyMap<AcceptorId, AcceptorId>;
}

/** @throws Invalid, naming what there is to choose from; Unavailable while there is no spare. */
export async function newQuorums(
  machine: MachineId,
  present: QuorumSpec,
  request: ReconfigureRequest,
  registry: RegistryClient,
  stores: StorePool,
): Promise<QuorumSpec> {
  if ("quorums" in request) return request.quorums;
  if ("mode" in request) return modeNamed(request.mode)(request.acceptors as readonly AcceptorId[]);
  const old = request.replace as AcceptorId;
  if (!present.acceptors.includes(old))
    throw new Invalid(
      "invalid_request",
      `${old} is not one of ${machine}'s acceptors: ${present.acceptors.join(", ")}`,
    );
  const by =
    (request.by as AcceptorId | undefined) ?? (await substitute(machine, old, present, registry, stores));
  return replaceAcceptor(present, old, by);
}

/**
 * The present quorums without the tables that are suspected or gone: in the place of each what the registry names, the
 * same for all machines. @throws Unavailable while there is no spare.
 */
export async function withoutLost(
  machine: MachineId,
  present: QuorumSpec,
  { by, registry, stores, replacements }: LostOptions,
): Promise<QuorumSpec> {
  let quorums = present;
  for (const id of present.acceptors) {
    const isLost = replacements.has(id) || (await isGone(machine, id, stores));
    const other = isLost ? (replacements.get(id) ?? (await replacementOf(id, by, registry))) : id;
    quorums = replaceAcceptor(quorums, id, other);
  }
  return quorums;
}

export async function isGone(machine: MachineId, acceptor: AcceptorId, stores: StorePool): Promise<boolean> {
  const [outcome] = (await stores.get(acceptor)?.execute(machine, [{ verb: "read", key: HEAD }])) ?? [];
  return outcome?.outcome === "refused" && outcome.gone === true;
}

async function replacementOf(
  acceptor: AcceptorId,
  by: string,
  registry: RegistryClient,
): Promise<AcceptorId> {
  // Said again at every try it would fill the registry's log.
  const { acceptors } = await registry.servers();
  const known = acceptors.find(({ id }) => id === acceptor);
  const isToBeSaid = known?.state === "active" && known.goneBy?.includes(by) !== true;
  const said = isToBeSaid
    ? await registry.command({ type: "suspectAcceptor", acceptor, by, why: "gone" })
    : known;
  const { replacement } = (said ?? {}) as { readonly replacement?: AcceptorId };
  if (replacement !== undefined) return replacement;
  throw new Unavailable(
    "unavailable",
    `there is no spare table yet in the place of ${acceptor}: one is being made, try again`,
  );
}

/**
 * What the registry has in mind for the old one, else a spare, else any other that machines are started on: one that
 * the machine does not use, and that answers.
 */
async function substitute(
  machine: MachineId,
  old: AcceptorId,
  present: QuorumSpec,
  registry: RegistryClient,
  stores: StorePool,
): Promise<AcceptorId> {
  const { acceptors } = await registry.servers();
  const replaced = acceptors.find(({ id }) => id === old);
  const chosen = replaced?.replacement;
  const nearest = replaced === undefined ? acceptors : nearestFirst(replaced, acceptors);
  const inState = (state: AcceptorRecord["state"]) => nearest.filter((each) => each.state === state);
  const unused = [
    ...acceptors.filter(({ id }) => id === chosen),
    ...inState("spare"),
    ...inState("active"),
  ].filter(({ id }) => !present.acceptors.includes(id));
  stores.learn(unused);
  for (const { id } of unused) {
    const [outcome] = (await stores.get(id)?.execute(machine, [{ verb: "read", key: HEAD }])) ?? [];
    if (outcome !== undefined && outcome.outcome !== "unknown" && !("gone" in outcome)) return id;
  }
  throw new Unavailable(
    "unavailable",
    `there is no table that ${machine} does not use already: wait for a spare, start with more of them (--spares), or name one (by)`,
  );
}
