/**
 * What a driver needs of the world. Production gives it stores, timers, the clock and the system's random
 * source; the simulator gives it one scheduler and one seed. Callbacks, not promises: the driver stays
 * synchronous, so the simulator can cut between any two effects and replay exactly.
 */
import type { Outcome, Verb } from "../protocol/acceptor.ts";
import type { MachineId } from "../protocol/configuration.ts";
import type { AcceptorId } from "../protocol/quorum.ts";

export interface Ports {
  /** `done` is called at most once; a request or reply may be lost, late, or executed twice. */
  ask(
    acceptor: AcceptorId,
    machine: MachineId,
    verbs: readonly Verb[],
    done: (outcomes: readonly Outcome[]) => void,
  ): void;
  /** Calls back once after about `delayMs`; the returned function cancels. */
  after(delayMs: number, call: () => void): () => void;
  /** Wall clock in milliseconds since 1970: logged, never relied on. */
  now(): number;
  /** Milliseconds of a clock that never jumps; only differences mean something. */
  elapsed(): number;
  /** In [0, 1). */
  random(): number;
  /** SHA-256 as hexadecimal: a table's comparison of values must resist collisions. */
  digest(text: string): string;
}
