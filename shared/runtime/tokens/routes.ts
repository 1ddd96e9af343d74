/** What each call of the HTTP interface (DESIGN §1) needs to be allowed. */
import { ANY_MACHINE, type Right } from "./token.ts";

export interface Need {
  readonly right: Right;
  /** `name/id`, or ANY_MACHINE where it is about no single machine. */
  readonly machine: string;
}

const MACHINE = "/v1/machines/:machine/:id";

export const RIGHT_OF_ROUTE: Readonly<Record<string, Right | "nothing">> = {
  "/v1/health": "nothing",
  "/v1/status": "use",
  "/v1/machines": "use",
  [MACHINE]: "use",
  [`${MACHINE}/sessions`]: "use",
  [`${MACHINE}/commands`]: "use",
  [`${MACHINE}/queries/:query`]: "use",
  [`${MACHINE}/log`]: "use",
  [`${MACHINE}/state`]: "use",
  [`${MACHINE}/inbox/:client`]: "use",
  [`${MACHINE}/reconfigure`]: "operate",
  "/v1/leaders": "operate",
  "/v1/leaders/:leader/drain": "operate",
  "/v1/leaders/:leader/retire": "operate",
  "/v1/registry/audit": "operate",
  "/v1/registry/reconfigure": "operate",
  "/v1/endorsements": "peer",
};

/** What is in no list, though it may be nothing at all, is not for everybody to find out. */
const RIGHT_OF_OTHERS: Right = "operate";

const ROUTES = Object.entries(RIGHT_OF_ROUTE).map(([route, right]) => ({
  pattern: new RegExp(`^${route.replaceAll(/:\w+/g, "[^/]+")}$`),
  right,
}));

/** Undefined: nothing. `path` as the router sees it, without the query string. */
export function needOf(path: string): Need | undefined {
  const right = ROUTES.find(({ pattern }) => pattern.test(path))?.right ?? RIGHT_OF_OTHERS;
  if (right === "nothing") return undefined;
  const machine = /^\/v1\/machines\/([^/]+\/[^/]+)/.exec(path)?.[1] ?? ANY_MACHINE;
  return { right, machine };
}
