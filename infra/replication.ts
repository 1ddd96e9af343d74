/** How many tables a new machine's state is in, and what of them has to answer. A machine that is there keeps its own. */

/** As the registry's settings say it. */
export type FirstQuorums =
  | { readonly mode: "majority" | "primaryBackup" | "witness"; readonly acceptors: number }
  | { readonly mode: "quorums"; readonly acceptors: number; readonly read: number; readonly write: number };

const ACCEPTORS_MAX = 15;

export class Replication {
  readonly first: FirstQuorums;

  private constructor(first: FirstQuorums, atLeast: number) {
    const { mode, acceptors } = first;
    if (!Number.isInteger(acceptors) || acceptors < atLeast || acceptors > ACCEPTORS_MAX)
      throw new RangeError(`${mode} takes ${atLeast} to ${ACCEPTORS_MAX} tables, not ${acceptors}`);
    this.first = first;
  }

  /** Any majority of `acceptors` tables: 3 of them outlive the loss of one, 5 that of two. @throws RangeError */
  static majority(acceptors: number): Replication {
    return new Replication({ mode: "majority", acceptors }, 1);
  }

  /** Every write in all of `acceptors` tables, every read from one. One that is lost stops writes until it is replaced. */
  static primaryBackup(acceptors: number): Replication {
    return new Replication({ mode: "primaryBackup", acceptors }, 1);
  }

  /** A majority whose last table only votes, and keeps no state: cheaper storage. @throws RangeError */
  static witness(acceptors: number): Replication {
    return new Replication({ mode: "witness", acceptors }, 3);
  }

  /**
   * Any `read` of `acceptors` tables to read, and any `write` of them to write: together more than there are, so that
   * each meets each. `read` bounds how many may be lost before a leader change stops, `write` before writes do. @throws RangeError
   */
  static quorums(sizes: {
    readonly acceptors: number;
    readonly read: number;
    readonly write: number;
  }): Replication {
    const { acceptors, read, write } = sizes;
    const areSizes = [read, write].every((each) => Number.isInteger(each) && each >= 1 && each <= acceptors);
    if (!areSizes || read + write <= acceptors)
      throw new RangeError(
        `of ${acceptors} tables, quorums of ${read} to read and ${write} to write do not always meet: together they must be more`,
      );
    return new Replication({ mode: "quorums", acceptors, read, write }, 1);
  }
}
