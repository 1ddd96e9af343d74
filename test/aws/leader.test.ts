/** The leader's program for ECS, bundled, as plain processes beside DynamoDB Local. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test, vi } from "vitest";
import { ecsTask } from "../../shared/aws/ecs-task.ts";
import { jsonOf } from "../../shared/client/answers.ts";
import { Exchange, ExchangeFailed } from "../../shared/client/exchange.ts";
import { parseAddress } from "../../shared/client/pinned.ts";
import { TOKEN_HEADER } from "../../shared/runtime/tokens/token.ts";
import { type Asked, urlEvent } from "../support/function-url.ts";
import { LeaderProcesses, SECRET } from "./leader-processes.ts";

const BANK = "bank/main";
const ALICE = { args: "alice" };
const deposit = (sequence: number, session: string) => ({
  ...{ session, sequence },
  command: { type: "deposit", account: "alice", amount: 1 },
});

async function openSession(leaders: LeaderProcesses): Promise<string> {
  return (jsonOf(await leaders.call(BANK, "/sessions", { nonce: "n" })) as { session: string }).session;
}

async function balance(leaders: LeaderProcesses): Promise<unknown> {
  return (jsonOf(await leaders.call(BANK, "/queries/balance", ALICE)) as { result: unknown }).result;
}

test("leaders serve, fail over with registry and directory down, and tell no secret", async () => {
  const leaders = await LeaderProcesses.start("examples/bank.ts");
  const all = [await leaders.launch("task/1"), await leaders.launch("task/2")];
  const session = await openSession(leaders);
  for (let n = 1; n <= 5; n++) await leaders.call(BANK, "/commands", deposit(n, session));
  expect(await balance(leaders)).toBe(5);
  const onRecord = await leaders.read(({ leaders: each }) => [...each.values()]);
  expect(onRecord.map(({ id, task }) => [id, task])).toEqual([
    ["leader-1", "task/1"],
    ["leader-2", "task/2"],
  ]);
  for (const { address } of onRecord)
    expect(address).toMatch(/^https:\/\/127\.0\.0\.1:\d+\/#sha256=[0-9a-f]{64}$/);

  const token = leaders.mint(BANK, "use").token;
  const forged = `${token.slice(0, -8)}AAAAAAAA`;
  expect((await leaders.call(BANK, "/commands", deposit(6, session), forged)).status).toBe(403);
  expect((await leaders.call(BANK, "/reconfigure", { replace: "a" })).status).toBe(403);
  await Promise.all(all.map((leader) => leader.said("peerLive")));

  await leaders.loseRegistryAndDirectory();
  const [leading, standby] = all[0]?.lines.some(({ event }) => event === "leads") ? all : all.toReversed();
  leading?.child.kill("SIGKILL");
  await leaders.call(BANK, "/commands", deposit(6, session));
  expect(await balance(leaders)).toBe(6);
  await standby?.said("leads");

  const output = all.map((leader) => leader.output).join("");
  expect(output).toContain('"event":"forbidden"');
  for (const secret of [SECRET, token, forged, "PRIVATE KEY", token.split(".")[1] ?? ""])
    expect(output).not.toContain(secret);
});

test("a leader that is told to stop hands over, is retired, and ends well within its time", async () => {
  const leaders = await LeaderProcesses.start("examples/bank.ts");
  const all = [await leaders.launch("task/1"), await leaders.launch("task/2")];
  await Promise.all(all.map((leader) => leader.said("peerLive")));
  const session = await openSession(leaders);
  await leaders.call(BANK, "/commands", deposit(1, session));
  const [leading, standby] = all[0]?.lines.some(({ event }) => event === "leads") ? all : all.toReversed();
  const exit = once(leading!.child, "exit");
  leading?.child.kill("SIGTERM");
  const sent = Array.from({ length: 20 }, (_, n) => leaders.call(BANK, "/commands", deposit(n + 2, session)));
  for (const answer of await Promise.all(sent)) expect(answer.status).toBeLessThan(500);
  expect(await exit).toEqual([0, null]);
  await standby?.said("leads");
  const states = await leaders.read(({ leaders: each }) => [...each.values()].map(({ state }) => state));
  expect(states.sort()).toEqual(["live", "retired"]);
  const { output } = leading!;
  expect(output).not.toContain('"event":"error"');
});

test("a snapshot is taken by the bundled thread, of the bundled machines", async () => {
  const leaders = await LeaderProcesses.start("examples/bank.ts");
  const leader = await leaders.launch("task/1");
  const session = await openSession(leaders);
  for (let n = 1; n <= 80; n++) await leaders.call(BANK, "/commands", deposit(n, session));
  expect(await leader.said("snapshot")).toMatchObject({ machine: BANK });
  expect(leader.output).not.toContain("snapshotFailed");
});

test("without a directory it waits, says so, and stops when it is told to", async () => {
  const leaders = await LeaderProcesses.start("examples/bank.ts");
  await leaders.loseRegistryAndDirectory();
  const leader = leaders.spawn("task/1");
  await leader.said("waiting");
  const exit = once(leader.child, "exit");
  leader.child.kill("SIGTERM");
  expect(await exit).toEqual([0, null]);
});

test("its address answers only to who knows its certificate", async () => {
  const leaders = await LeaderProcesses.start("examples/bank.ts");
  const leader = await leaders.launch("task/1");
  const { origin } = parseAddress(await leader.address()) ?? { origin: "" };
  const exchange = new Exchange();
  onTestFinished(() => exchange.close());
  const health = { method: "GET", path: "/v1/health" };
  const patience = { deadlineMs: 10_000, patienceMs: 10_000, giveUp: () => true };
  const ask = (address: string) => exchange.run(address, health, patience, new AbortController().signal);
  expect((await ask(await leader.address())).status).toBe(200);
  await expect(ask(`${origin}/#sha256=${"ab".repeat(32)}`)).rejects.toThrow(ExchangeFailed);
});

test("the gateway's function reaches leaders with a token of its own, which is good to use machines only", async () => {
  const leaders = await LeaderProcesses.start("examples/bank.ts");
  await Promise.all([leaders.launch("task/1"), leaders.launch("task/2")]);
  vi.resetModules();
  for (const [name, value] of Object.entries(leaders.variables)) vi.stubEnv(name, value);
  const { handler } = await import("../../functions/aws/gateway.ts");
  const invoke = async (path: string, asked: Asked) => {
    const { statusCode, body } = await handler(urlEvent(path, asked) as never, {} as never);
    return { status: statusCode, body: JSON.parse(body) };
  };
  const command = { type: "deposit", account: "alice", amount: 1 };
  const headers = { "idempotency-key": "once" };
  const path = `/v1/machines/${BANK}`;
  expect(await invoke(`${path}/commands`, { body: { command }, headers })).toMatchObject({
    status: 200,
    body: { response: "OK" },
  });
  expect(await invoke(`${path}/queries/balance`, { body: ALICE })).toMatchObject({ body: { result: 1 } });
  const reconfigure = { body: { replace: "a" } };
  expect(await invoke(`${path}/reconfigure`, reconfigure)).toMatchObject({ status: 403 });
  const { token } = leaders.mint(BANK, "operate");
  const operated = await invoke(`${path}/reconfigure`, {
    ...reconfigure,
    headers: { [TOKEN_HEADER]: token },
  });
  expect(operated).toMatchObject({ status: 400, body: { code: "invalid_request" } });
});

test("a container learns from ECS which task it is, unless its environment says so", async () => {
  const TaskARN = "arn:aws:ecs:us-east-1:123456789012:task/theseus-bank/0f9de17a6465404e8b1b2356dc13c2f8";
  let answer: unknown = {
    ...{ Cluster: "theseus-bank", TaskARN, Family: "theseus-bank-leader", LaunchType: "FARGATE" },
    Containers: [
      {
        Name: "leader",
        Networks: [{ NetworkMode: "awsvpc", IPv4Addresses: ["10.0.1.7"], PrivateDNSName: "ip" }],
      },
    ],
  };
  const agent = createServer((request, response) =>
    response.writeHead(request.url === "/v4/abc/task" ? 200 : 404).end(JSON.stringify(answer)),
  );
  agent.listen(0, "127.0.0.1");
  await once(agent, "listening");
  onTestFinished(() => void agent.close());
  const ECS_CONTAINER_METADATA_URI_V4 = `http://127.0.0.1:${(agent.address() as AddressInfo).port}/v4/abc`;
  expect(await ecsTask({ ECS_CONTAINER_METADATA_URI_V4 })).toEqual({ task: TaskARN, address: "10.0.1.7" });
  const environment = { ECS_CONTAINER_METADATA_URI_V4, THESEUS_ADDRESS: "127.0.0.1" };
  expect(await ecsTask(environment)).toEqual({ task: TaskARN, address: "127.0.0.1" });
  expect(await ecsTask({ THESEUS_TASK: "t", THESEUS_ADDRESS: "a" })).toEqual({ task: "t", address: "a" });
  await expect(ecsTask({})).rejects.toThrow("set THESEUS_TASK and THESEUS_ADDRESS");
  answer = { TaskARN, Containers: [{ Networks: [{ NetworkMode: "bridge" }] }] };
  await expect(ecsTask({ ECS_CONTAINER_METADATA_URI_V4 })).rejects.toThrow("awsvpc");
});
