/** What a hosted machine is given, and what it tells whoever hosts it. */
import type { Ballot, ProcessId } from "../protocol/ballot.ts";
import type { Configuration, MachineId } from "../protocol/configuration.ts";
import type { Horizontal } from "../protocol/horizontal.ts";
import type { Abdication } from "../protocol/leader.ts";
import type { AcceptorId } from "../protocol/quorum.ts";
import type { MachineCode } from "../protocol/replica.ts";
import type { Geometry, Slot } from "../protocol/slot.ts";
import type { Ports } from "./ports.ts";
import type { Rounds } from "./rounds.ts";

export interface HostOptions {
  readonly machine: MachineId;
  readonly geometry: Geometry;
  readonly code: MachineCode;
  readonly process: ProcessId;
  readonly ports: Ports;
  readonly events: HostEvents;
  /** Of the hosts of this machine that were before this one in this process. */
  readonly rounds?: Rounds;
  /** The machine is reconfigured horizontally (PROTOCOL §8): its configuration is part of its state. */
  readonly horizontal?: Horizontal;
}

export interface HostEvents {
  /** This process leads: the tail is recovered. */
  serving(ballot: Ballot): void;
  /** It does so no longer. Whether and when to try again is the owner's decision. */
  abdicated(abdication: Abdication, ballot: Ballot): void;
  lost(acceptor: AcceptorId): void;
  /** Chosen and executed here: what followers are sent. */
  executed(slot: Slot, text: string): void;
  /**
   * Of a machine that is reconfigured horizontally: nothing depends on configurations before this one any more. The
   * pointer to it may be moved, and after that what only older ones use may be deleted. Told again by every leader.
   */
  epochInstalled(configuration: Configuration): void;
  /** A table's snapshot took the place of the slots up to this one: they are not told as executed. */
  installed(slot: Slot): void;
}
