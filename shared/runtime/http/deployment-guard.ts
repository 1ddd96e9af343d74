/**
 * Deployments on one network whose addresses were handed on, or mixed up, must not execute each other's commands:
 * a request may name the deployment that it is meant for.
 */
import { Unavailable } from "../../errors.ts";
import { problemOf } from "../../wire.ts";
import { problemResponse } from "./problem.ts";

export const DEPLOYMENT_HEADER = "theseus-deployment";

interface App<Bindings> {
  fetch(request: Request, bindings: Bindings): Response | Promise<Response>;
}

/** The app, for requests that name this deployment or none. */
export function ofDeployment<Bindings>(app: App<Bindings>, id: string): App<Bindings> {
  return {
    fetch(request, bindings) {
      const meant = request.headers.get(DEPLOYMENT_HEADER);
      if (meant === null || meant === id) return app.fetch(request, bindings);
      const detail = `this server is of deployment ${id}, and the request is for another one; nothing was executed`;
      return problemResponse(problemOf(new Unavailable("unavailable", detail)));
    },
  };
}
