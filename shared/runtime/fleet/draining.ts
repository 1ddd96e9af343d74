/** `POST /v1/leaders/{id}/drain`, at whichever leader it arrives. Whoever is to stop a leader says it until it is drained. */
import { Invalid } from "../../errors.ts";
import type { DrainAnswer } from "../../wire.ts";
import type { Fleet } from "./fleet.ts";

/** It answers at once; the one who asked says it again. */
const ANSWER_MS_MAX = 2_000;

/** How far it is. @throws Invalid when there is no such leader, or no other one; Unavailable when it does not answer. */
export async function drainLeader(fleet: Fleet, id: string): Promise<DrainAnswer> {
  const { self, peers } = fleet;
  if (id === self.id) {
    fleet.drain();
    const machines = fleet.leads;
    return { leader: id, state: machines === 0 ? "drained" : "draining", machines };
  }
  const peer = peers.live.find((each) => each.id === id);
  if (peer !== undefined) {
    const request = { path: `/v1/leaders/${id}/drain`, body: {}, withinMs: ANSWER_MS_MAX };
    return (await peers.calls.ask(peer, request)) as DrainAnswer;
  }
  if (peers.silent.some((each) => each.id === id))
    throw new Invalid("invalid_request", `${id} does not answer, so it leads nothing that could be drained`);
  const ids = [self, ...peers.live, ...peers.silent].map((each) => each.id).sort();
  throw new Invalid("not_found", `there is no leader "${id}"; there are: ${ids.join(", ")}`);
}
