/** The port by which leader processes are started and stopped. */
export interface Launcher {
  /** Resolves when it is seen to; asked again, it starts no second one of that id. */
  start(leader: string): Promise<void>;
  /** Gone when it resolves, also when there was none. */
  stop(leader: string): Promise<void>;
  /** The ids of those that are kept running. */
  list(): Promise<readonly string[]>;
}
