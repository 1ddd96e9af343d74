/** `theseus/cdk`. */
export type { BudgetOptions } from "./budget.ts";
export type { LeadersOptions } from "./leaders.ts";
export type { AlarmsOptions } from "./observability.ts";
export { type FirstQuorums, Replication } from "./replication.ts";
export { Theseus, type TheseusProps, TheseusRegion, type TheseusRegionProps } from "./theseus.ts";
