/** Endorsements between real leader processes: enough, too few, an operator's override, and a suspect that is well. */
import { rmSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import type { MachineId } from "../../shared/protocol/configuration.ts";
import type { AcceptorRecord } from "../../shared/protocol/pool.ts";
import { type AcceptorId, majority } from "../../shared/protocol/quorum.ts";
import type { AcceptorServer, Location } from "../../shared/protocol/registry.ts";
import { MACHINE_GEOMETRY } from "../../shared/protocol/slot.ts";
import { found } from "../../shared/runtime/found.ts";
import { productionPorts } from "../../shared/runtime/ports-production.ts";
import { StorePool } from "../../shared/runtime/store-pool.ts";
import { openStore } from "../../shared/storage/open.ts";
import { theseus } from "../support/cli.ts";
import { startDeployment, type TestDeployment, until } from "../support/deployment.ts";
import { postJson, rawRequest } from "../support/raw-http.ts";

const MACHINE = "bank/main";
const AT = `/v1/machines/${MACHINE}`;
const LEADERS = ["leader-1", "leader-2", "leader-3"];
const MINUTE_MS = 60_000;

async function deploy(leaders: number, tables = 4): Promise<TestDeployment> {
  const deployment = await startDeployment({ file: "examples/bank.ts", leaders, tables });
  onTestFinished(async () => {
    await deployment.stop();
  });
  await post(deployment.url, `${AT}/commands`, { command: { type: "deposit", account: "a", amount: 1 } });
  return deployment;
}

async function post(url: string, path: string, body: object) {
  const { status, text } = await postJson(url, path, body);
  return { status, body: JSON.parse(text) };
}

async function get(url: string, path: string) {
  return JSON.parse((await rawRequest(url, { path })).text);
}

async function command(deployment: TestDeployment, body: object) {
  const answer = await post(deployment.addressOf("registry"), "/v1/registry/commands", body);
  expect(answer).toMatchObject({ status: 200, body: { refused: false } });
  return answer.body.response;
}

async function configurationOf(deployment: TestDeployment) {
  const { configuration } = await get(deployment.url, AT);
  return configuration as { number: number; acceptors: string[] };
}

/** Whoever leads the machine, and the others. */
async function rolesOf(deployment: TestDeployment): Promise<{ leader: string; others: readonly string[] }> {
  const { leader } = await get(deployment.url, AT);
  return { leader: leader.id, others: LEADERS.filter((id) => id !== leader.id) };
}

test(
  "of three leader processes two are enough; one alone is not, until an operator overrides that",
  async () => {
    const deployment = await deploy(3, 5);
    const { leader, others } = await rolesOf(deployment);
    const { acceptors } = await configurationOf(deployment);
    const unused = (await acceptorsOf(deployment)).filter(({ id }) => !acceptors.includes(id));
    const [by = "", next = ""] = unused.map(({ id }): string => id);
    const answer = await post(deployment.url, `${AT}/reconfigure`, { replace: acceptors[0], by });
    expect(answer).toMatchObject({ status: 200, body: { number: 2, previous: 1 } });

    const { publicKey } = (await get(deployment.addressOf("registry"), "/v1/servers")).leaders[0];
    expect(publicKey).toMatch(/^[\w-]{43}$/);
    for (const part of others) deployment.kill(part, "SIGSTOP");
    const again = ["reconfigure", MACHINE, "--replace", acceptors[1] as string, "--by", next];
    // At the leader, since the gateway would have to find out first who is stopped.
    const url = deployment.addressOf(leader);
    const refused = await theseus(again, { url });
    expect(refused).toMatchObject({ code: 1, stdout: "" });
    expect(refused.stderr).toMatch(/has 1 of the 2 endorsements that it needs/);
    expect(refused.stderr).toMatch(/an operator may override that/);
    expect(await get(url, AT)).toMatchObject({ configuration: { number: 2 } });
    expect(await get(url, "/v1/registry/audit")).toEqual({ audit: [] });

    const overridden = await theseus([...again, "--override", "two of three are stopped"], { url });
    expect(overridden).toMatchObject({ code: 0, stderr: "" });
    const number = (await get(url, AT)).configuration.number;
    expect(overridden.stdout).toMatch(`is in configuration ${number} `);
    const entry = {
      machine: MACHINE,
      configuration: number,
      operator: expect.stringMatching(/./),
      reason: "two of three are stopped",
      time: expect.any(Number),
      endorsements: 1,
      needed: 2,
    };
    expect(await get(url, "/v1/registry/audit")).toEqual({ audit: [entry] });
    expect(await get(deployment.addressOf("registry"), "/v1/registry/audit")).toEqual({ audit: [entry] });
    const { body } = await post(url, `${AT}/queries/balance`, { args: "a" });
    expect(body.result).toBe(1);
  },
  MINUTE_MS,
);

test(
  "a suspect that is well is not endorsed, one that is lost is, and neither by a process that was revoked",
  async () => {
    const deployment = await deploy(3);
    const { leader, others } = await rolesOf(deployment);
    const suspect = (await configurationOf(deployment)).acceptors[0] as string;
    const number = await proposeReplacing(deployment, suspect);
    const endorsedBy = (part: string) =>
      post(deployment.addressOf(part), "/v1/endorsements", { machine: MACHINE, configuration: number });
    for (const part of LEADERS) {
      const { status, body } = await endorsedBy(part);
      expect([status, body.code]).toEqual([409, "not_endorsed"]);
      expect(body.detail).toMatch(
        `${part} does not endorse configuration ${number} of ${MACHINE}: ${suspect}`,
      );
      expect(body.detail).toMatch("which is to go, answers as it should");
    }
    // More than there are, so that the fleet's own repair does not come before the test's.
    await command(deployment, { type: "configure", endorsements: 9 });
    rmSync((await acceptorsOf(deployment)).find(({ id }) => id === suspect)?.location as string);
    for (const part of LEADERS)
      expect(await endorsedBy(part)).toMatchObject({
        status: 200,
        body: { leader: part, configuration: number },
      });

    await command(deployment, { type: "revokeLeader", leader: others[0] });
    // Another process is started in the place of the revoked one, and endorses as well.
    let refused: Awaited<ReturnType<typeof post>> | undefined;
    await until(async () => {
      refused = await post(deployment.addressOf(leader), `${AT}/reconfigure`, { replace: suspect });
      // The fleet's repair is being refused at this moment.
      return refused.status !== 503;
    });
    expect(refused).toMatchObject({ status: 409, body: { code: "not_endorsed", retryable: false } });
    expect(refused?.body.detail).toMatch(/has [23] of the 9 endorsements that it needs/);
    expect(refused?.body.detail).toMatch(`${others[0]} is revoked`);
    await command(deployment, { type: "configure", endorsements: 2 });
    await until(async () => !(await configurationOf(deployment)).acceptors.includes(suspect));
  },
  MINUTE_MS,
);

/** What a repairer that went wrong would ask for: founded as it should be, only that there is nothing to repair. */
async function proposeReplacing(deployment: TestDeployment, suspect: string): Promise<number> {
  const { acceptors } = await configurationOf(deployment);
  const servers = await acceptorsOf(deployment);
  const spare = servers.find(({ id }) => !acceptors.includes(id)) as AcceptorServer;
  const quorums = majority(acceptors.map((id) => (id === suspect ? spare.id : id)) as AcceptorId[]);
  const [nonce, reason] = ["liar", { suspects: [suspect] }];
  const proposal = { type: "propose", machine: MACHINE, quorums, nonce, reason };
  const { configuration } = (await command(deployment, proposal)) as Location;
  const stores = new StorePool(openStore);
  stores.learn(servers);
  const ports = productionPorts((acceptor) => stores.get(acceptor));
  await found(ports, MACHINE as MachineId, configuration, MACHINE_GEOMETRY, "all");
  await stores.close();
  return configuration.number;
}

/** Of the machines; the registry has its own. */
async function acceptorsOf(deployment: TestDeployment): Promise<readonly AcceptorServer[]> {
  const { acceptors } = await get(deployment.addressOf("registry"), "/v1/servers");
  return acceptors.filter(({ state }: AcceptorRecord) => state !== "own");
}
