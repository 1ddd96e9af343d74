/** What a leader process's log says of what happens to its machines. */
import type { Logger } from "pino";
import type { RepairEvents } from "../repair/repairer.ts";
import { reportSuspicions } from "../repair/report.ts";
import type { TableHealth } from "../repair/table-health.ts";
import type { FleetEvents } from "./events.ts";

export function reportRepairs(log: Logger): RepairEvents {
  return {
    ...reportSuspicions(log),
    notRepaired: (machine, acceptor, err) =>
      log.warn(
        { event: "notRepaired", machine, acceptor, err },
        `${acceptor} of ${machine} is not replaced yet`,
      ),
  };
}

export function reportSilence(log: Logger): (leader: string) => void {
  return (leader) =>
    log.warn(
      { event: "leaderReplaced", leader },
      `${leader} stays silent: another one is started in its place`,
    );
}

export function reportFleet(log: Logger, health: TableHealth): FleetEvents {
  return {
    leads: (machine, ballot) => log.info({ event: "leads", machine, ballot }, `leads ${machine}`),
    abdicated: (machine, abdication, ballot) => {
      if (abdication.why === "damaged") health.distrust(abdication.acceptor);
      log.warn(
        { event: "abdicated", machine, ballot, ...abdication },
        `no longer leads ${machine}: ${abdication.why}`,
      );
    },
    lost: (machine, acceptor) =>
      log.warn(
        { event: "lost", machine, acceptor },
        `${acceptor} of ${machine} is lost: it refuses everything`,
      ),
    reconfigured: (machine, configuration) =>
      log.info(
        { event: "reconfigured", machine, configuration },
        `${machine} is in configuration ${configuration}`,
      ),
    failed: (machine, err) => log.warn({ event: "failed", machine, err }, `could not lead ${machine}`),
  };
}
