/**
 * What leader processes tell each other over one WebSocket: the dialler watches, the other side is
 * watched. No storage is touched. A chosen value travels as it is, after two header lines.
 */
import type { Ballot, ProcessId } from "../../protocol/ballot.ts";
import type { Configuration, MachineId } from "../../protocol/configuration.ts";
import type { AcceptorServer, Location } from "../../protocol/registry.ts";
import type { Slot } from "../../protocol/slot.ts";

/** Raised when a message changes its meaning; peers of another version are not listened to. */
export const PEER_FORMAT = 2;

/** One leader process. `id` outlives restarts, `process` does not. */
export interface Identity {
  readonly id: string;
  /** Another deployment may have a machine of the same name: its processes are nobody's peers here. */
  readonly deployment: string;
  readonly process: ProcessId;
  readonly address: string;
  readonly pid: number;
}

/** A machine that a peer leads. That its location is so is a stable fact, and may be kept. */
export interface Led {
  readonly machine: MachineId;
  readonly ballot: Ballot;
  readonly location: Location;
}

/** As it travels: where its tables are is said once for all that travel together. */
interface LedEntry {
  readonly machine: MachineId;
  readonly ballot: Ballot;
  readonly configuration: Configuration;
}

export type Use = readonly [machine: MachineId, agoMs: number];

export type PeerMessage =
  | { readonly type: "hello"; readonly format: number; readonly self: Identity }
  | { readonly type: "beat" }
  /** Addresses of other leader processes, so that each finds all without the registry. */
  | { readonly type: "peers"; readonly addresses: readonly string[] }
  /** Many at once share the tables that they name: a newcomer hears of a thousand machines. */
  | {
      readonly type: "leads";
      readonly led: readonly LedEntry[];
      readonly acceptors: readonly AcceptorServer[];
    }
  | { readonly type: "left"; readonly machine: MachineId }
  /** Cannot lead the machine, for the time being at least: somebody else should. */
  | { readonly type: "unfit"; readonly machine: MachineId }
  /** That was all that it leads so far: from now on it may be counted with. */
  | { readonly type: "told" }
  /** These of the machines that it leads were used, so many milliseconds ago: standbys follow them. */
  | { readonly type: "used"; readonly machines: readonly Use[] }
  /** Hands its machines over and takes no new ones: no candidate while there is another. */
  | { readonly type: "draining" }
  /** The registry suspects a table: whoever leads machines on it should see to them. */
  | { readonly type: "suspects" }
  /** Is shutting down: no candidate any more. */
  | { readonly type: "leaving" }
  /** Watcher to watched: send me what is chosen from this slot on. */
  | { readonly type: "follow"; readonly machine: MachineId; readonly from: Slot }
  /** Watched to watcher: that is older than what is kept in memory; read the tables first. */
  | { readonly type: "behind"; readonly machine: MachineId }
  | { readonly type: "chosen"; readonly machine: MachineId; readonly slot: Slot; readonly text: string };

/** "leads" of all these. */
export function leadsMessage(led: readonly Led[]): Extract<PeerMessage, { type: "leads" }> {
  const acceptors = new Map(led.flatMap(({ location }) => location.acceptors.map((each) => [each.id, each])));
  const entries = led.map(({ machine, ballot, location: { configuration } }) => ({
    machine,
    ballot,
    configuration,
  }));
  return { type: "leads", led: entries, acceptors: [...acceptors.values()] };
}

/** What "leads" says: machines on the same tables share what describes them. */
export function ledIn({ led, acceptors }: Extract<PeerMessage, { type: "leads" }>): readonly Led[] {
  const known = new Map(acceptors.map((each) => [each.id, each]));
  return led.map(({ machine, ballot, configuration }) => {
    const places = configuration.quorums.acceptors.flatMap((id) => known.get(id) ?? []);
    return { machine, ballot, location: { configuration, active: true, acceptors: places } };
  });
}

export function encodeMessage(message: PeerMessage): string {
  if (message.type !== "chosen") return JSON.stringify(message);
  return `${message.machine}\n${message.slot}\n${message.text}`;
}

/** @throws SyntaxError or RangeError when it is not a message. */
export function decodeMessage(data: string): PeerMessage {
  if (data.startsWith("{")) return JSON.parse(data) as PeerMessage;
  const [machine, slot, text] = data.split("\n", 3);
  if (text === undefined) throw new RangeError("not a peer's message");
  return { type: "chosen", machine: machine as MachineId, slot: Number(slot) as Slot, text };
}
