/** From what an operator asks for to the quorums of the next configuration. */
import { Invalid } from "../../errors.ts";
import { HEAD } from "../../protocol/acceptor.ts";
import type { MachineId } from "../../protocol/configuration.ts";
import {
  type AcceptorId,
  MODES,
  type Mode,
  type QuorumSpec,
  replaceAcceptor,
} from "../../protocol/quorum.ts";
import type { ReconfigureRequest } from "../../wire.ts";
import type { RegistryClient } from "../registry/registry-client.ts";
import type { StorePool } from "../store-pool.ts";

/** @throws Invalid, naming what there is to choose from. */
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
    (request.by as AcceptorId | undefined) ?? (await unusedAcceptor(machine, present, registry, stores));
  return replaceAcceptor(present, old, by);
}

function modeNamed(mode: string): (typeof MODES)[Mode] {
  if (Object.hasOwn(MODES, mode)) return MODES[mode as Mode];
  throw new Invalid(
    "invalid_request",
    `there is no mode "${mode}"; there are: ${Object.keys(MODES).join(", ")}`,
  );
}

/** The present quorums with an unused table in the place of each that is gone. @throws Invalid when there is none. */
export async function withoutLost(
  machine: MachineId,
  present: QuorumSpec,
  registry: RegistryClient,
  stores: StorePool,
): Promise<QuorumSpec> {
  let quorums = present;
  for (const id of present.acceptors) {
    const [outcome] = (await stores.get(id)?.execute(machine, [{ verb: "read", key: HEAD }])) ?? [];
    const isGone = outcome?.outcome === "refused" && outcome.gone === true;
    if (isGone)
      quorums = replaceAcceptor(quorums, id, await unusedAcceptor(machine, quorums, registry, stores));
  }
  return quorums;
}

/** A spare, else any other table that machines are started on: one that the machine does not use, and that answers. */
async function unusedAcceptor(
  machine: MachineId,
  present: QuorumSpec,
  registry: RegistryClient,
  stores: StorePool,
): Promise<AcceptorId> {
  const { acceptors } = await registry.servers();
  const unused = (["spare", "active"] as const).flatMap((state) =>
    acceptors.filter((each) => each.state === state && !present.acceptors.includes(each.id)),
  );
  stores.learn(unused);
  for (const { id } of unused) {
    const [outcome] = (await stores.get(id)?.execute(machine, [{ verb: "read", key: HEAD }])) ?? [];
    if (outcome !== undefined && outcome.outcome !== "unknown" && !("gone" in outcome)) return id;
  }
  throw new Invalid(
    "invalid_request",
    `there is no table that ${machine} does not use already: wait for a spare, start with more of them (--spares), or name one (by)`,
  );
}
