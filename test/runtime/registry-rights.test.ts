/** Who may say what to the registry, over its HTTP interface, by the roles that IAM names. */
import { beforeEach, describe, expect, it, test } from "vitest";
import { Invalid } from "../../shared/errors.ts";
import type { ProcessId } from "../../shared/protocol/ballot.ts";
import { type LeaderServer, type RegistryCommand, registrationText } from "../../shared/protocol/registry.ts";
import { callerByRole, jobsByRole } from "../../shared/runtime/registry/caller.ts";
import { registryInterface } from "../../shared/runtime/registry/registry-http.ts";
import type { RegistryService } from "../../shared/runtime/registry/registry-service.ts";
import { callerOf, type Job } from "../../shared/runtime/registry/rights.ts";
import { newSigner } from "../../shared/runtime/signing.ts";

const ROLES = jobsByRole(
  "Bank-Leader=leader, Bank-Provisioner=provisioner,Bank-Sweeper=sweeper,Bank-Boot=bootstrap",
);
const roleOf = {
  leader: "Leader",
  provisioner: "Provisioner",
  sweeper: "Sweeper",
  bootstrap: "Boot",
  operator: "Admin",
};
/** ECS makes the task's id the name of its role's session. */
const SESSION = "0f9de17a86a84fc8a6a4b8d9d3b7c1e2";
const TASK = `arn:aws:ecs:eu-central-1:123456789012:task/theseus-bank/${SESSION}`;
const arnOf = (job: Job) => `arn:aws:sts::123456789012:assumed-role/Bank-${roleOf[job]}/${SESSION}`;

let executed: RegistryCommand["type"][];
let reported: unknown[];
let app: ReturnType<typeof registryInterface>;

beforeEach(() => {
  executed = [];
  reported = [];
  const service = {
    async command(command: RegistryCommand) {
      executed.push(command.type);
      return { response: {}, refused: false };
    },
    read: async () => ({}),
    tables: {
      async reconfigure() {
        throw new Invalid("invalid_request", "it was asked");
      },
    },
  };
  const options = {
    callerOf: callerByRole(ROLES),
    maintain: async () => {},
    report: (error: unknown) => void reported.push(error),
  };
  app = registryInterface(service as unknown as RegistryService, Math.random, options);
});

async function ask(userArn: string | undefined, path: string, body?: unknown): Promise<number> {
  const authorizer = userArn === undefined ? {} : { authorizer: { iam: { userArn } } };
  const init =
    body === undefined
      ? {}
      : { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  return (await app.request(path, init, { requestContext: authorizer })).status;
}

function registration(task: string | undefined): RegistryCommand {
  const { sign, publicKey } = newSigner();
  const process = "a".repeat(32) as ProcessId;
  const leader: LeaderServer = {
    ...{ id: "leader-1", process, address: "https://10.0.1.7:4600/", publicKey },
    ...(task === undefined ? {} : { task }),
  };
  return { type: "registerLeader", leader, proof: sign(registrationText(leader)) };
}

const COMMANDS = "/v1/registry/commands";
const JOBS: readonly Job[] = ["leader", "provisioner", "sweeper", "bootstrap", "operator"];

describe("what a role may say", () => {
  it.each<[Partial<Record<string, unknown>> & { readonly type: RegistryCommand["type"] }, readonly Job[]]>([
    [{ type: "registerMachine", machine: "bank/main", acceptors: 3 }, ["leader"]],
    [{ type: "claimLeader", task: TASK }, ["leader"]],
    [{ type: "complete", machine: "bank/main", configuration: 2 }, ["leader"]],
    [{ type: "suspectAcceptor", acceptor: "a", by: "x", why: "gone" }, ["leader", "sweeper"]],
    [{ type: "configure", spares: 2 }, ["bootstrap", "operator"]],
    [{ type: "startLeader", nonce: "n" }, ["leader", "operator"]],
    [{ type: "retireLeader", leader: "leader-1" }, ["leader", "sweeper", "operator"]],
    [{ type: "revokeLeader", leader: "leader-1" }, ["operator"]],
    [{ type: "done", request: "1" }, ["provisioner"]],
    [{ type: "disown", acceptor: "a" }, ["provisioner", "sweeper"]],
  ])("%j: %j", async (command, jobs) => {
    for (const job of JOBS)
      expect([job, await ask(arnOf(job), COMMANDS, command)]).toEqual([job, jobs.includes(job) ? 200 : 403]);
    expect(executed).toEqual(jobs.map(() => command.type));
    expect(reported.length).toBe(JOBS.length - jobs.length);
  });

  it.each([
    "0f9de17a86a84fc8a6a4b8d9d3b7c1e3",
    TASK.replace(SESSION, `1${SESSION}`),
    `${TASK}/1`,
    SESSION,
    undefined,
  ])("is for a leader no word of another task than its own: %s", async (task) => {
    if (task !== undefined)
      expect(await ask(arnOf("leader"), COMMANDS, { type: "claimLeader", task })).toBe(403);
    expect(await ask(arnOf("leader"), COMMANDS, registration(task))).toBe(403);
    expect(executed).toEqual([]);
    expect(await ask(arnOf("leader"), COMMANDS, registration(TASK))).toBe(200);
    expect(executed).toEqual(["registerLeader"]);
  });

  it("ends where it has other calls made", async () => {
    const body = { replace: "r1" };
    const statuses = (path: string) => Promise.all(JOBS.map((job) => ask(arnOf(job), path, body)));
    expect(await statuses("/v1/registry/maintain")).toEqual([403, 403, 200, 200, 200]);
    expect(await statuses("/v1/tokens")).toEqual([403, 403, 403, 403, 404]);
    expect(await statuses("/v1/registry/reconfigure")).toEqual([400, 403, 403, 403, 400]);
  });

  it("is nobody's business where it only asks", async () => {
    for (const job of JOBS) expect(await ask(arnOf(job), "/v1/health")).toBe(200);
  });
});

test("a role is known by its name alone, and not by the session's, another account's kind of name, or its likeness", () => {
  const jobs = jobsByRole("Leader=leader");
  const leader = { job: "leader", session: "0f9de17a" };
  expect(callerOf("arn:aws:sts::1:assumed-role/Leader/0f9de17a", jobs)).toEqual(leader);
  expect(callerOf("arn:aws-cn:sts::1:assumed-role/Leader/0f9de17a", jobs)).toEqual(leader);
  for (const other of [
    "arn:aws:sts::1:assumed-role/Admin/Leader",
    "arn:aws:sts::1:assumed-role/Leader2/x",
    "arn:aws:sts::1:assumed-role/a/Leader/x",
    "arn:aws:iam::1:user/Leader",
    "",
  ])
    expect(callerOf(other, jobs).job).toBe("operator");
});

test.each(["", "Leader", "Leader=king", "=leader", "a=leader=x"])("%j says no role's job", (text) => {
  expect(() => jobsByRole(text)).toThrow(RangeError);
});
