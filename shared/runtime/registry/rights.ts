/**
 * Who may say what to the registry. IAM decides who may call it at all, and says by which role; here is what each job is
 * for. What a leader asks for in an operator's name it may ask for itself: leaders checked the operator's token.
 */
import { Forbidden } from "../../errors.ts";
import type { RegistryCommand } from "../../protocol/registry.ts";

type CommandType = RegistryCommand["type"];

export type Job = "leader" | "provisioner" | "sweeper" | "bootstrap" | "operator";

export interface Caller {
  readonly job: Job;
  /** The role's, whose name ECS makes the task's id; empty: it is no role's. */
  readonly session: string;
}

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
export function assertMaySay({ job, session }: Caller, command: RegistryCommand): void {
  const { type } = command;
  const jobs = JOBS_OF_COMMAND[type];
  if (!jobs.includes(job)) throw notFor(job, type, jobs);
  if (job !== "leader") return;
  if (type === "claimLeader") assertOwnTask(session, command.task);
  if (type === "registerLeader") assertOwnTask(session, command.leader.task);
}

/** `task`: an ARN, which ends in `/ID`. */
function assertOwnTask(session: string, task: string | undefined): void {
  if (!task?.endsWith(`/${session}`))
    throw new Forbidden("forbidden", `a leader speaks for its own task, ${session}, and not for ${task}`);
}

/**
 * Whose role it is that IAM names (`requestContext.authorizer.iam.userArn`): by role name, and an operator's otherwise,
 * since nobody gets here whom no policy lets in. A session's name says nothing of the job: whoever takes on a role chooses
 * it. A leader's role only ECS takes on.
 */
export function callerOf(userArn: string, jobs: ReadonlyMap<string, Job>): Caller {
  const [, role = "", session = ""] =
    /^arn:[\w-]+:sts::\d+:assumed-role\/([^/]+)\/([^/]+)$/.exec(userArn) ?? [];
  return { job: jobs.get(role) ?? "operator", session };
}

function notFor(job: Job, what: string, jobs: readonly Job[]): Forbidden {
  const allowed = jobs.length === 0 ? "nobody" : jobs.join(", ");
  return new Forbidden("forbidden", `${what} is for ${allowed} to say, and not for the role of the ${job}`);
}
