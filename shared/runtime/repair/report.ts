/** What an operator reads of suspicions, whoever has them: a leader process, or the registry of its own tables. */
import type { Logger } from "pino";
import type { RepairEvents } from "./repairer.ts";

export function reportSuspicions(log: Logger): Pick<RepairEvents, "suspected" | "notSuspected"> {
  return {
    suspected: (acceptor, why) =>
      log.warn({ event: "suspected", acceptor, why }, `${acceptor} is ${why}: it is being replaced`),
    notSuspected: (acceptor, why, reason) =>
      log.warn(
        { event: "notSuspected", acceptor, why, reason },
        `${acceptor} is ${why} and stays: ${reason}`,
      ),
  };
}
