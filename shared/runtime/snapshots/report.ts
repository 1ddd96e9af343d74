/** What a process logs of the snapshots that it takes. */
import type { Logger } from "pino";
import type { SnapshotEvents } from "./snapshots.ts";

export function reportSnapshots(log: Logger): SnapshotEvents {
  return {
    begun: (machine) => log.info({ event: "snapshotBegun", machine }, `takes a snapshot of ${machine}`),
    taken: (machine, { slot, snapshot, parts, bytes, truncated, left }) =>
      log.info(
        { event: "snapshot", machine, slot, snapshot, parts, bytes, truncated, left },
        `${machine} has a snapshot of slot ${slot} (${bytes} bytes) on ${truncated.length} tables`,
      ),
    failed: (machine, err) =>
      log.warn({ event: "snapshotFailed", machine, err }, `no snapshot of ${machine} was taken`),
  };
}
