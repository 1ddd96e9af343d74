/**
 * The highest round seen in each of a machine's configurations. A ballot is used once in a process's life (PROTOCOL
 * §1), so they outlive the host, which may be let go and made again.
 */
import {
  type Ballot,
  ballotOf,
  type ConfigurationNumber,
  type ProcessId,
  parseBallot,
} from "../protocol/ballot.ts";

export class Rounds {
  readonly #rounds = new Map<ConfigurationNumber, number>();

  /** A ballot of this machine that was seen somewhere: the next one must be above it. */
  note(ballot: Ballot): void {
    const { configuration, round } = parseBallot(ballot);
    this.#rounds.set(configuration, Math.max(this.#rounds.get(configuration) ?? 0, round));
  }

  /** Above any seen, and never the same again. */
  next(configuration: ConfigurationNumber, process: ProcessId): Ballot {
    const round = (this.#rounds.get(configuration) ?? 0) + 1;
    this.#rounds.set(configuration, round);
    return ballotOf(configuration, round, process);
  }
}
