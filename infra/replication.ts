/** How many tables a new machine's state is in, and what of them has to answer. A machine that is there keeps its own. */

/** As the registry's settings say it. */
export interface FirstQuorums {
  readonly mode: "majority" | "primaryBackup" | "witness";
  readonly acceptors: number;
}

const ACCEPTORS_MAX = 15;

export class Replication {
  readonly first: FirstQuorums;

  private constructor(mode: FirstQuorums["mode"], acceptors: number, atLeast: number) {
    if (!Number.isInteger(acceptors) || acceptors < atLeast || acceptors > ACCEPTORS_MAX)
      throw new RangeError(`${mode} takes ${atLeast} to ${ACCEPTORS_MAX} tables, not ${acceptors}`);
    this.first = { mode, acceptors };
  }

  /** Any majority of `acceptors` tables: 3 of them outlive the loss of one, 5 that of two. @throws RangeError */
  static majority(acceptors: number): Replication {
    return new Replication("majority", acceptors, 1);
  }

  /** Every write in all of `acceptors` tables, every read from one. One that is lost stops writes until it is replaced. */
  static primaryBackup(acceptors: number): Replication {
    return new Replication("primaryBackup", acceptors, 1);
  }

  /** A majority whose last table only votes, and keeps no state: cheaper storage. @throws RangeError */
  static witness(acceptors: number): Replication {
    return new Replication("witness", acceptors, 3);
  }
}
