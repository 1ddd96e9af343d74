/**
 * Asking leader processes to endorse a configuration: oneself first, then as many live peers as are missing, and others
 * in the place of those that refuse or do not answer. Done before service pauses; it may take its time.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { TheseusError } from "../../errors.ts";
import type { Configuration, MachineId } from "../../protocol/configuration.ts";
import { countEndorsements, type Endorsement } from "../../protocol/endorsement.ts";
import type { PeerCalls } from "../peers/calls.ts";
import type { Identity } from "../peers/message.ts";
import type { RegistryClient } from "../registry/registry-client.ts";
import { verify } from "../signing.ts";
import type { Endorser } from "./endorser.ts";

/** Whoever has not answered by then is passed over. */
const ANSWER_MS_MAX = 1_000;
/** Everybody who did not endorse is asked again after a while: who has just started may not be registered yet. */
const ROUNDS = 2;
const BETWEEN_ROUNDS_MS = 500;

export interface Gathering {
  readonly endorser: Endorser;
  readonly registry: RegistryClient;
  readonly self: Identity;
  readonly peers: () => readonly Identity[];
  readonly calls: Pick<PeerCalls, "ask">;
}

export interface Gathered {
  readonly valid: readonly Endorsement[];
  readonly needed: number;
  /** Why the others that were asked do not count. */
  readonly faults: readonly string[];
}

/** As many as are needed, or all that there are to be had. Each is verified, since who sent it may be wrong. */
export async function gatherEndorsements(
  { endorser, registry, self, peers, calls }: Gathering,
  machine: MachineId,
  configuration: Configuration,
): Promise<Gathered> {
  const ask = (leader: Identity): Promise<Endorsement> =>
    leader === self
      ? endorser.endorse(machine, configuration.number)
      : askPeer(calls, leader, machine, configuration);
  let gathered: Gathered = { valid: [], needed: 1, faults: [] };
  for (let round = 1; round <= ROUNDS && gathered.valid.length < gathered.needed; round++) {
    if (round > 1) await sleep(BETWEEN_ROUNDS_MS);
    const [{ needed, time }, servers] = await Promise.all([
      registry.proposal(machine, configuration.number),
      registry.servers(),
    ]);
    const leaders = new Map(servers.leaders.map((each) => [each.id, each]));
    const have = new Set(gathered.valid.map(({ leader }) => leader));
    const candidates = [self, ...peers()].filter(({ id }) => !have.has(id));
    gathered = { ...gathered, needed, faults: [] };
    while (gathered.valid.length < needed && candidates.length > 0) {
      const asked = candidates.splice(0, needed - gathered.valid.length);
      const answers = await Promise.allSettled(asked.map(ask));
      const signed = answers.flatMap((answer) => (answer.status === "fulfilled" ? [answer.value] : []));
      const declined = answers.flatMap((answer, index) =>
        answer.status === "rejected" ? [wordsOf(answer.reason, (asked[index] as Identity).id)] : [],
      );
      const context = { time, verify };
      const { valid, faults } = countEndorsements(
        machine,
        configuration,
        [...gathered.valid, ...signed],
        leaders,
        context,
      );
      gathered = { valid, needed, faults: [...gathered.faults, ...declined, ...faults] };
    }
  }
  return gathered;
}

async function askPeer(
  calls: Gathering["calls"],
  leader: Identity,
  machine: MachineId,
  { number }: Configuration,
): Promise<Endorsement> {
  const request = {
    path: "/v1/endorsements",
    body: { machine, configuration: number },
    withinMs: ANSWER_MS_MAX,
  };
  // In its own name, whatever it says.
  return { ...((await calls.ask(leader, request)) as Endorsement), leader: leader.id };
}

function wordsOf(error: unknown, leader: string): string {
  return error instanceof TheseusError ? error.message : `${leader} does not answer`;
}
