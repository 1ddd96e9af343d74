/**
 * Horizontal reconfiguration (PROTOCOL §8; the talk's Part I): "Make the configuration part of the state." The state
 * after each slot says which configuration is current and, after a reconfiguration command, which is next and from
 * which slot on; every replica says the same.
 *
 * One code for both of the talk's forms. α ("command n is chosen by the configuration after command n − α"): slot j
 * is voted only once slot j − α is applied. Epochs (its α = ∞, "command number = ⟨epoch number, number⟩"): nothing is
 * awaited, and what an earlier configuration votes in the slots of a later one is void, even if it is chosen.
 */
import type { ConfigurationNumber } from "./ballot.ts";
import type { Configuration } from "./configuration.ts";
import { faultOf, type QuorumSpec } from "./quorum.ts";
import { type Geometry, roundUpToChunk, type Slot } from "./slot.ts";

/** What a reconfiguration command says: these in place of configuration `expect`. */
export interface Reconfigure {
  readonly expect: ConfigurationNumber;
  readonly quorums: QuorumSpec;
}

/** A configuration, and the first slot that belongs to it. */
export interface Epoch {
  readonly configuration: Configuration;
  readonly first: Slot;
}

/** Part of the state after each slot. Plain data that never changes in place: frozen and thawed as it stands. */
export interface Succession {
  /** The one before the current: its tables have what those of the current one still lack. */
  readonly previous?: Configuration;
  readonly current: Epoch;
  readonly next?: Epoch;
}

/** Constants of a machine that is reconfigured horizontally, fixed for its life as K and C are. */
export interface Horizontal {
  /** What the machine began with. */
  readonly first: Configuration;
  /** 1 ≤ α ≤ K; absent: the epoch form. */
  readonly alpha?: number;
}

export function firstSuccession({ first }: Horizontal): Succession {
  return { current: { configuration: first, first: 1 as Slot } };
}

/** F − 1 for a reconfiguration in `slot`: slot + α − 1 (α = 1 in the epoch form), rounded up to a chunk's end. */
export function lastSlotBefore(slot: Slot, { alpha = 1 }: Horizontal, geometry: Geometry): Slot {
  return roundUpToChunk(geometry, (slot + alpha - 1) as Slot);
}

/** The state after a reconfiguration command in `slot`; or why it is void, in words for whoever sent it. */
export function reconfigured(
  succession: Succession,
  command: Reconfigure,
  slot: Slot,
  horizontal: Horizontal,
  geometry: Geometry,
): Succession | string {
  const fault = faultOfReconfigure(succession, command);
  if (fault !== undefined) return fault;
  const previous = succession.current.configuration.number;
  const number = (previous + 1) as ConfigurationNumber;
  const first = (lastSlotBefore(slot, horizontal, geometry) + 1) as Slot;
  return { ...succession, next: { configuration: { number, previous, quorums: command.quorums }, first } };
}

/** Why a reconfiguration command would be void in this state; undefined: it would not. */
export function faultOfReconfigure(
  { current, next }: Succession,
  { expect, quorums }: Reconfigure,
): string | undefined {
  const { number } = current.configuration;
  if (expect !== number) return `configuration ${number} is current, not ${expect}`;
  if (next !== undefined) return `configuration ${next.configuration.number} is next already`;
  // Losing a full acceptor could use up rule U's window before the command finds its slot, and nobody outside helps.
  if (quorums.witnesses.length > 0)
    return "a configuration has no witnesses when its machine has no registry";
  return faultOf(quorums);
}

/** The state once all commands of `slot` are executed: applying F − 1 makes the next configuration current. */
export function afterSlot(succession: Succession, slot: Slot): Succession {
  const { current, next } = succession;
  if (next === undefined || slot !== next.first - 1) return succession;
  return { previous: current.configuration, current: next };
}
