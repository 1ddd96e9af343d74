/**
 * EPOCHS: which configuration each slot belongs to, when a machine is reconfigured horizontally: by the chosen log
 * alone, in an implementation that shares nothing with the product's (PROTOCOL §8).
 */
import type { ConfigurationNumber } from "../../../shared/protocol/ballot.ts";
import type { Configuration } from "../../../shared/protocol/configuration.ts";
import type { Epoch, Horizontal, Reconfigure, Succession } from "../../../shared/protocol/horizontal.ts";
import type { Reply } from "../../../shared/protocol/session.ts";
import type { Geometry, Slot } from "../../../shared/protocol/slot.ts";
import { check } from "../violation.ts";

export class Epochs {
  readonly alpha: number | undefined;
  /** All that are in the log, the one to come included; that of configuration c is at c − 1. */
  readonly #epochs: Epoch[];
  readonly #chunkSlots: number;
  /** The number of the current configuration. */
  #current = 1;
  /** As text, after each slot. */
  readonly #texts: string[] = [];

  constructor({ first, alpha }: Horizontal, { chunkSlots }: Geometry) {
    this.alpha = alpha;
    this.#chunkSlots = chunkSlots;
    this.#epochs = [{ configuration: first, first: 1 as Slot }];
    this.#texts.push(JSON.stringify(this.succession));
  }

  /** Of the slot after those that are known to be chosen. */
  get current(): Configuration {
    return this.#epoch(this.#current).configuration;
  }

  /** The one that is to follow, if one is. */
  get next(): Epoch | undefined {
    return this.#epochs[this.#current];
  }

  /** All that ever were current. */
  get begun(): readonly Configuration[] {
    return this.#epochs.slice(0, this.#current).map(({ configuration }) => configuration);
  }

  get succession(): Succession {
    const previous = this.#epochs[this.#current - 2]?.configuration;
    const current = this.#epoch(this.#current);
    const { next } = this;
    return { ...(previous && { previous }), current, ...(next && { next }) };
  }

  /** What every replica must say after this slot. */
  textAt(slot: Slot): string | undefined {
    return this.#texts[slot];
  }

  firstOf(configuration: number): Slot {
    return this.#epoch(configuration).first;
  }

  /** As far as the log tells. */
  ownerOf(slot: Slot): number {
    return (this.#epochs.findLast(({ first }) => first <= slot) as Epoch).configuration.number;
  }

  /** A write quorum of this configuration has voted one value in this slot. Whether it is void. */
  chose(configuration: number, slot: Slot): boolean {
    const owner = this.ownerOf(slot);
    const what = (): string =>
      `slot ${slot} is chosen in configuration ${configuration} and belongs to ${owner}`;
    check("EPOCHS", configuration <= owner, what);
    check("EPOCHS", configuration === owner || this.alpha === undefined, what);
    return configuration < owner;
  }

  reconfigured({ expect, quorums }: Reconfigure, slot: Slot): Reply {
    const isVoid = expect !== this.#current || this.next !== undefined || quorums.witnesses.length > 0;
    if (!isVoid) {
      const last = slot + (this.alpha ?? 1) - 1;
      const past = (this.#chunkSlots - (last % this.#chunkSlots)) % this.#chunkSlots;
      const number = (expect + 1) as ConfigurationNumber;
      const configuration: Configuration = { number, previous: expect, quorums };
      this.#epochs.push({ configuration, first: (last + past + 1) as Slot });
    }
    const reply = { reply: "reconfiguration", slot, succession: this.succession } as const;
    return isVoid ? { ...reply, void: "" } : reply;
  }

  /** All commands of the slot are executed. Whether another configuration is current now. */
  executed(slot: Slot): boolean {
    const isOver = this.next !== undefined && slot + 1 === this.next.first;
    if (isOver) this.#current++;
    this.#texts.push(JSON.stringify(this.succession));
    return isOver;
  }

  #epoch(configuration: number): Epoch {
    return this.#epochs[configuration - 1] as Epoch;
  }
}
