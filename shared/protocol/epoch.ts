/**
 * What a leader has to know of its configuration's epoch (PROTOCOL §8): a leader always leads the configuration of
 * its next slot, so it looks where its epoch begins and ends.
 *
 * The replica has the succession; but the leader decides what is executed before it is, so within one step it runs
 * ahead of the replica, by the same rules.
 */
import type { Configuration } from "./configuration.ts";
import {
  afterSlot,
  faultOfReconfigure,
  type Horizontal,
  lastSlotBefore,
  type Reconfigure,
  reconfigured,
  type Succession,
} from "./horizontal.ts";
import { type AcceptorId, QuorumSystem } from "./quorum.ts";
import type { Geometry, Slot } from "./slot.ts";
import { type Command, decodeBatch } from "./value.ts";

export interface EpochOptions {
  readonly horizontal: Horizontal;
  readonly configuration: Configuration;
  readonly geometry: Geometry;
  /** Of the replica, which has executed all that it was told to in the steps before. */
  readonly succession: () => Succession;
}

export class LedEpoch {
  readonly #options: EpochOptions;
  #succession: Succession;
  /** No-ops are owed through this slot: a reconfiguration was proposed that will take effect after it. */
  #fillThrough = 0;

  constructor(options: EpochOptions) {
    this.#options = options;
    this.#succession = options.succession();
  }

  /** A new step: nothing is under way between the leader and the replica. */
  refresh(): void {
    this.#succession = this.#options.succession();
  }

  /** A snapshot took the place of the slots that it has executed. */
  installed(succession: Succession | undefined): void {
    if (succession !== undefined) this.#succession = succession;
  }

  executed(slot: Slot, text: string): void {
    const { horizontal, geometry } = this.#options;
    for (const { reconfigure } of reconfigurations(decodeBatch(text).commands)) {
      const after = reconfigured(this.#succession, reconfigure, slot, horizontal, geometry);
      if (typeof after !== "string") this.#succession = after;
    }
    this.#succession = afterSlot(this.#succession, slot);
  }

  /**
   * The configuration to lead instead of this one, if there is one: a later one, which the state has come to; or an
   * earlier one, when this one is not installed yet. Nothing may be concluded from this one's cells then.
   */
  get elsewhere(): Configuration | undefined {
    const { configuration } = this.#succession.current;
    return configuration.number === this.#options.configuration.number ? undefined : configuration;
  }

  /** What must be on the tables before anything is voted in this configuration: F − 1. */
  get inherited(): Slot {
    return (this.#succession.current.first - 1) as Slot;
  }

  /** The last slot that may be voted in this configuration, as far as is known: the next one's F − 1. */
  get last(): Slot {
    return ((this.#succession.next?.first ?? Number.POSITIVE_INFINITY) - 1) as Slot;
  }

  /** Full acceptors that have what this configuration's own may lack, and are not among them. */
  get sources(): readonly AcceptorId[] {
    const { previous, current } = this.#succession;
    if (previous === undefined) return [];
    const own = new Set(current.configuration.quorums.acceptors);
    return new QuorumSystem(previous.quorums).full.filter((acceptor) => !own.has(acceptor));
  }

  /** Slots from F on belong to the next configuration; and α: slot j is voted only once j − α is applied. */
  admits(slot: Slot, applied: Slot): boolean {
    const { alpha } = this.#options.horizontal;
    return slot <= this.last && (alpha === undefined || applied >= slot - alpha);
  }

  /** A reconfiguration is followed by no-ops at once, so that it takes effect without waiting for commands. */
  proposed(slot: Slot, commands: readonly string[]): void {
    const { horizontal, geometry } = this.#options;
    const isOne = reconfigurations(commands.map((command) => JSON.parse(command) as Command)).some(
      ({ reconfigure }) => faultOfReconfigure(this.#succession, reconfigure) === undefined,
    );
    if (isOne) this.#fillThrough = Math.max(this.#fillThrough, lastSlotBefore(slot, horizontal, geometry));
  }

  /** Whether this slot takes a no-op rather than wait for commands. */
  isFilled(slot: Slot): boolean {
    const { next } = this.#succession;
    return slot <= Math.max(this.#fillThrough, next === undefined ? 0 : next.first - 1);
  }
}

function reconfigurations(commands: readonly Command[]): readonly { readonly reconfigure: Reconfigure }[] {
  return commands.filter((command) => "reconfigure" in command);
}
