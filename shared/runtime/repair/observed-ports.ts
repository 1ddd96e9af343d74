/** Ports that also tell a table's health by what is asked of it anyway. */
import type { AcceptorId } from "../../protocol/quorum.ts";
import type { Ports } from "../ports.ts";
import type { TableHealth } from "./table-health.ts";

/** `isKnown`: of a table whose place is not known yet nothing is learned. */
export function observed(
  ports: Ports,
  health: TableHealth,
  isKnown: (acceptor: AcceptorId) => boolean,
): Ports {
  return {
    ...ports,
    ask(acceptor, machine, verbs, done) {
      if (!isKnown(acceptor)) return ports.ask(acceptor, machine, verbs, done);
      const answered = health.asked(acceptor);
      ports.ask(acceptor, machine, verbs, (outcomes) => {
        answered(outcomes);
        done(outcomes);
      });
    },
  };
}
