/** Who calls the registry's function, as IAM tells it with each request. */
import type { Context } from "hono";
import { type Caller, callerOf, type Job } from "./rights.ts";

const JOBS: readonly Job[] = ["leader", "provisioner", "sweeper", "bootstrap", "operator"];

/** `text`: `ROLE=job,ROLE=job…`, names of roles. @throws RangeError for one of another form. */
export function jobsByRole(text: string): ReadonlyMap<string, Job> {
  return new Map(
    text.split(",").map((each): readonly [string, Job] => {
      const [role = "", job = "", ...rest] = each.trim().split("=");
      if (role === "" || rest.length > 0 || !JOBS.includes(job as Job))
        throw new RangeError(`"${each}" is not ROLE=job, with one of ${JOBS.join(", ")}`);
      return [role, job as Job];
    }),
  );
}

/** From what Lambda tells beside the request; whoever IAM does not name is nobody that it let in. */
export function callerByRole(jobs: ReadonlyMap<string, Job>): (c: Context) => Caller {
  return (c) => {
    const { requestContext } = (c.env ?? {}) as { readonly requestContext?: RequestContext };
    return callerOf(requestContext?.authorizer?.iam?.userArn ?? "", jobs);
  };
}

interface RequestContext {
  readonly authorizer?: { readonly iam?: { readonly userArn?: string } };
}
