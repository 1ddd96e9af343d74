/**
 * Who may say what to the registry. IAM decides who may call it at all, and says by which role; here is what each job is
 * for. What a leader asks for in an operator's name it may ask for itself: leaders checked the operator's token.
 */
import { Forbidden } from "../../errors.ts";
import type { RegistryCommand } from "../../protocol/registry.ts";

type CommandType = RegistryCommand["type"];

export type Job = "leader" | "provisioner" | "sweeper" | "bootstrap" | "operator";

const JOBS_OF_COMMAND: Readonly<Record<CommandType, readonly Job[]>> = {
  registerMachine: ["leader"],
  registerAcceptor: ["bootstrap"],
  adoptAcceptor: [],
  installed: [],
  registerLeader: ["leader"],
  claimLeader: ["leader"],
  propose: ["leader"],
  complete: ["leader"],
  suspectAcceptor: ["leader", "sweeper"],
  clearAcceptor: ["leader"],
  suspectLeader: ["leader"],
  configure: ["bootstrap", "operator"],
  startLeader: ["leader", "operator"],
  retireLeader: ["leader", "sweeper", "operator"],
  revokeLeader: ["operator"],
  provisioned: ["provisioner"],
  done: ["provisioner"],
  disown: ["provisioner", "sweeper"],
};

/** Calls that change something, beside commands; questions are everybody's. */
const JOBS_OF_CALL: Readonly<Record<string, readonly Job[]>> = {
  "/v1/registry/reconfigure": ["leader", "operator"],
  "/v1/registry/maintain": ["sweeper", "bootstrap", "operator"],
  "/v1/tokens": ["operator"],
};

/** `path`: as the router sees it. @throws Forbidden. */
export function assertMayCall(job: Job, path: string): void {
  const jobs = Object.hasOwn(JOBS_OF_CALL, path) ? JOBS_OF_CALL[path] : undefined;
  if (jobs !== undefined && !jobs.includes(job)) throw notFor(job, path, jobs);
}

/** @throws Forbidden. */
export function assertMaySay(job: Job, type: CommandType): void {
  const jobs = JOBS_OF_COMMAND[type];
  if (!jobs.includes(job)) throw notFor(job, type, jobs);
}

/**
 * Whose role it is that IAM names (`requestContext.authorizer.iam.userArn`): by role name, and an operator's otherwise,
 * since nobody gets here whom no policy lets in. A session's name says nothing: whoever takes on a role chooses it.
 */
export function jobOfCaller(userArn: string, jobs: ReadonlyMap<string, Job>): Job {
  const role = /^arn:[\w-]+:sts::\d+:assumed-role\/([^/]+)\/[^/]+$/.exec(userArn)?.[1];
  return (role === undefined ? undefined : jobs.get(role)) ?? "operator";
}

function notFor(job: Job, what: string, jobs: readonly Job[]): Forbidden {
  const allowed = jobs.length === 0 ? "nobody" : jobs.join(", ");
  return new Forbidden("forbidden", `${what} is for ${allowed} to say, and not for the role of the ${job}`);
}
