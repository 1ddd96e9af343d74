/**
 * The bootstrap pointer of a machine that is reconfigured horizontally, in place of a registry: a hint, which names
 * a configuration that is still there (PROTOCOL §8, §9). Moved by whoever says that a configuration is installed.
 */
import type { Configuration } from "../../shared/protocol/configuration.ts";
import type { Reconfigure } from "../../shared/protocol/horizontal.ts";
import type { AcceptorId } from "../../shared/protocol/quorum.ts";
import type { Epochs } from "./checks/epochs.ts";
import { Registrar } from "./registrar.ts";
import type { World } from "./world.ts";

export class Bootstrap extends Registrar {
  readonly #world: World;
  readonly #epochs: Epochs;
  #pointer: Configuration;
  /** Asked for, and perhaps still to be executed. */
  #asked: Reconfigure[] = [];

  constructor(world: World, first: Configuration, epochs: Epochs) {
    super(world, first);
    this.#world = world;
    this.#epochs = epochs;
    this.#pointer = first;
  }

  override get active(): Configuration {
    return this.#pointer;
  }

  /** Every configuration that is or was current. */
  override get activated(): readonly Configuration[] {
    return super.activated.length === 0 ? [] : this.#epochs.begun;
  }

  /** What somebody may still depend on, or come to. */
  override get live(): readonly Configuration[] {
    const { begun, next, current } = this.#epochs;
    this.#asked = this.#asked.filter(({ expect }) => expect >= current.number);
    return [
      ...begun.filter(({ number }) => number >= this.#pointer.number),
      ...(next === undefined ? [] : [next.configuration]),
      ...this.#asked.map(({ quorums }) => ({ number: 0, previous: 0, quorums }) as unknown as Configuration),
    ];
  }

  /** Nobody depends on what only configurations before the pointer's have. */
  override get retired(): ReadonlySet<AcceptorId> {
    const acceptorsOf = (each: Configuration): readonly AcceptorId[] => each.quorums.acceptors;
    const live = new Set(this.live.flatMap(acceptorsOf));
    return new Set(this.#epochs.begun.flatMap(acceptorsOf).filter((id) => !live.has(id)));
  }

  asked(reconfigure: Reconfigure): void {
    this.#asked.push(reconfigure);
  }

  moveTo(configuration: Configuration): void {
    if (configuration.number <= this.#pointer.number) return;
    this.#world.coverage.hit("pointerMoved");
    this.#world.trace(() => `the pointer moves to configuration ${configuration.number}`);
    this.#pointer = configuration;
  }
}
