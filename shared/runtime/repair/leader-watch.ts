/**
 * Leader processes that stay silent. Their machines were taken over long ago, by the other leaders alone; what is left
 * is to have the process itself replaced, which the registry decides. One that merely crashed is back before this.
 */
import type { SuspectAnswer } from "../../protocol/pool.ts";
import type { Fleet } from "../fleet/fleet.ts";
import { rank } from "../fleet/rendezvous.ts";
import type { Identity } from "../peers/message.ts";
import type { Ports } from "../ports.ts";
import type { RegistryClient } from "../registry/registry-client.ts";

/** Longer than a restart takes, and than any pause that a healthy process makes. */
const LEADER_SILENT_MS = 15_000;
/** What the registry does not take up is said again after twice as long each time: it fills the registry's log. */
const DOUBLINGS_MAX = 5;

export interface LeaderWatchOptions {
  readonly fleet: Fleet;
  readonly registry: RegistryClient;
  readonly ports: Ports;
  /** Default: LEADER_SILENT_MS. */
  readonly silentMs?: number;
  /** The registry has it replaced. */
  readonly suspected: (leader: string) => void;
}

export function watchLeaders({
  fleet,
  registry,
  ports,
  silentMs = LEADER_SILENT_MS,
  suspected,
}: LeaderWatchOptions): void {
  const { self, peers } = fleet;
  const look = async (peer: Identity, wereFew: boolean, refusals: number): Promise<void> => {
    const ids = peers.live.map(({ id }) => id);
    if (ids.includes(peer.id)) return;
    // One of those that live says so; should it die in its turn, the next one does.
    const [spokesman] = rank(peer.id, [self.id, ...ids]);
    if (spokesman !== self.id) return lookLater(peer);
    // Whoever is cut off hears nobody: those who are many speak first, and the registry hears him no more.
    const areFew = await areLessThanHalf(ids.length + 1);
    if (areFew && !wereFew) return lookLater(peer, true);
    const { id, process } = peer;
    const answer = (await registry.command({
      type: "suspectLeader",
      leader: id,
      process,
      by: self.id,
    })) as SuspectAnswer;
    if (answer.suspected) suspected(id);
    else lookLater(peer, areFew, refusals + 1);
  };
  const areLessThanHalf = async (count: number): Promise<boolean> => {
    const { leaders } = await registry.servers();
    return 2 * count < leaders.filter(({ state }) => state === "live").length;
  };
  const lookLater = (peer: Identity, areFew = false, refusals = 0): void => {
    ports.after(silentMs * 2 ** Math.min(refusals, DOUBLINGS_MAX), () => {
      look(peer, areFew, refusals).catch(() => lookLater(peer, areFew, refusals + 1));
    });
  };
  peers.on("suspected", (peer) => lookLater(peer));
}
