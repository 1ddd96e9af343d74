/** The port by which leader processes are started and stopped. */
import type { LeaderServer } from "../protocol/leader-pool.ts";

export interface Launcher {
  /**
   * Resolves when it is seen to; asked again, it starts no second one of that id. `wanted`: so many there are to be in
   * all, for a launcher that keeps a number of them running and leaves their ids to them (`claimLeader`).
   */
  start(leader: string, wanted: number): Promise<void>;
  /** Gone, or on its way out for good, when it resolves; also when there was none. */
  stop(leader: Pick<LeaderServer, "id" | "task">): Promise<void>;
  /** Those that are kept running: each by its task, or by its id where that was given to it. */
  list(): Promise<readonly string[]>;
}
