/** Ports that also tell a table's health by what is asked of it anyway. */
import type { Ports } from "../ports.ts";
import type { TableHealth } from "./table-health.ts";

export function observed(ports: Ports, health: TableHealth): Ports {
  return {
    ...ports,
    ask(acceptor, machine, verbs, done) {
      const answered = health.asked(acceptor);
      ports.ask(acceptor, machine, verbs, (outcomes) => {
        answered(outcomes);
        done(outcomes);
      });
    },
  };
}
