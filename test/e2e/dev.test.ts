/** `theseus dev` and the other commands, on real processes and real files. */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { deploymentFile, readDeployment } from "../../shared/runtime/deployment.ts";
import { theseus } from "../support/cli.ts";
import { allGone, isAlive, startDeployment, type TestDeployment, until } from "../support/deployment.ts";
import { postJson, rawRequest } from "../support/raw-http.ts";
import { temporaryFolder } from "../support/temporary.ts";

const BANK = "examples/bank.ts";
const PARTS = ["registry", "leader-1", "leader-2", "gateway", "provisioner"];

async function started(dir?: string): Promise<TestDeployment> {
  const deployment = await startDeployment({ file: BANK, ...(dir === undefined ? {} : { dir }) });
  onTestFinished(async () => void (await deployment.stop()));
  return deployment;
}

async function output(url: string, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await theseus(args, { url });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return stdout;
}

function deposit(url: string, account: string, amount: number): Promise<string> {
  return output(url, "send", "bank/main", JSON.stringify({ type: "deposit", account, amount }));
}

/** A folder whose deployment ran and was stopped, with $20 in Alice's account. */
async function usedFolder(): Promise<string> {
  const dir = temporaryFolder();
  const deployment = await startDeployment({ file: BANK, dir });
  await deposit(deployment.url, "alice", 2_000);
  expect(await deployment.stop()).toBe(0);
  return dir;
}

async function refusedDev(dir: string, ...more: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await theseus(["dev", BANK, "--dir", dir, "--port", "0", ...more]);
  expect([code, stdout]).toEqual([1, ""]);
  expect(stderr).toMatch(/^theseus: [^\n]+\n$/);
  return stderr;
}

test("Every part is a process; the commands and plain HTTP use the deployment", async () => {
  const { url, dir, events } = await started();
  expect(events.flatMap((event) => (event.event === "started" ? [event.part] : [])).sort()).toEqual(
    [...PARTS].sort(),
  );
  expect(events.find(({ event }) => event === "ready")).toMatchObject({ url, dir, machines: ["bank"] });

  expect(await deposit(url, "alice", 2_000)).toBe("OK\n");
  const withdraw = JSON.stringify({ type: "withdraw", account: "bob", amount: 1 });
  expect(await output(url, "send", "bank/main", withdraw)).toBe("refused: Insufficient Funds\n");
  const refused = JSON.parse(await output(url, "send", "bank/main", withdraw, "--json"));
  expect(refused).toMatchObject({ response: "Insufficient Funds", refused: true });

  const again = [
    "send",
    "bank/main",
    JSON.stringify({ type: "deposit", account: "bob", amount: 5 }),
    "--key",
    "k1",
    "--json",
  ];
  expect(JSON.parse(await output(url, ...again))).toEqual(JSON.parse(await output(url, ...again)));

  const transfer = { command: { type: "transfer", from: "alice", to: "bob", amount: 500 } };
  const answer = await postJson(url, "/v1/machines/bank/main/commands", transfer);
  expect([answer.status, JSON.parse(answer.text)]).toMatchObject([200, { response: "Done" }]);

  expect(await output(url, "query", "bank/main", "balance", "alice")).toBe("1500\n");
  expect(await output(url, "query", "bank/main", "balance", "bob", "--stale")).toMatch(/^\d+\n$/);
  const total = JSON.parse(await output(url, "query", "bank/main", "total", "--json"));
  expect(total).toMatchObject({ result: 2_005 });
  const state = await rawRequest(url, { path: "/v1/machines/bank/main/state" });
  expect(JSON.parse(state.text)).toMatchObject({ state: { balances: { alice: 1_500, bob: 505 } } });

  const log = (await output(url, "log", "bank/main", "--json"))
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(log.map(({ slot }) => slot)).toEqual(log.map((_, index) => index + 1));
  expect(
    log.flatMap(({ commands }) => commands.map(({ command }: { command: unknown }) => command)),
  ).toContainEqual(transfer.command);
  expect(
    (await output(url, "log", "bank/main", "--from", String(log.length))).trimEnd().split("\n"),
  ).toHaveLength(1);

  const status = JSON.parse(await output(url, "status", "--json"));
  expect(status.machines).toMatchObject([{ machine: "bank", id: "main", chosen: log.length }]);
  expect(status.leaders.map(({ id }: { id: string }) => id).sort()).toEqual(["leader-1", "leader-2"]);
  expect(status.acceptors.filter(({ role }: { role: string }) => role === "active")).toHaveLength(3);
  expect(await output(url, "status")).toMatch(/^LEADER[\s\S]*leader-1 +live[\s\S]*bank\/main/);
});

test("What the system refuses exits 1, with its words", async () => {
  const { url } = await started();
  // Started, so that no answer takes so long that the client asks twice, and is then unsure of the first time.
  await deposit(url, "alice", 1);
  const wrong = await theseus(["send", "bank/main", '{"type":"rob"}'], { url });
  expect(wrong).toMatchObject({
    code: 1,
    stdout: "",
    stderr: expect.stringMatching(/^theseus: type: .*deposit/),
  });
  const unknown = await theseus(["query", "bank/main", "nothing", "--json"], { url });
  expect([unknown.code, JSON.parse(unknown.stderr)]).toMatchObject([1, { code: "unknown_query" }]);
  const never = await theseus(["log", "bank/never"], { url });
  expect(never).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining("bank/never") });
  const stranger = await theseus(["send", "stranger/main", "{}"], { url });
  expect(stranger).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining("stranger") });
});

test.each(["SIGTERM", "SIGINT"] as const)(
  "%s stops everything, and the folder goes on from there",
  async (signal) => {
    const dir = temporaryFolder();
    const first = await started(dir);
    await deposit(first.url, "alice", 2_000);
    first.signal(signal);
    expect(await first.ended()).toBe(0);
    expect(first.pids.filter(isAlive)).toEqual([]);
    expect(first.pids).toHaveLength(PARTS.length);
    expect(first.stderr).toBe("");
    expect(existsSync(join(dir, "dev.pid"))).toBe(false);
    const stopped = first.events.flatMap((event) => (event.event === "stopped" ? [event.part] : []));
    expect([...stopped].sort()).toEqual([...PARTS].sort());

    const second = await started(dir);
    expect(second.addressOf("leader-1")).toBe(first.addressOf("leader-1"));
    expect(await output(second.url, "query", "bank/main", "balance", "alice")).toBe("2000\n");
    await deposit(second.url, "alice", 1);
    expect(await output(second.url, "query", "bank/main", "balance", "alice")).toBe("2001\n");
    await until(async () => {
      const states = (await second.status()).leaders.map(({ state }) => state);
      return states.length === 2 && states.every((state) => state === "live");
    });
  },
);

test("One request to stop may arrive twice, and is still a clean stop", async () => {
  const deployment = await started();
  deployment.signal("SIGTERM");
  deployment.signal("SIGINT");
  expect(await deployment.ended()).toBe(0);
  expect(deployment.pids.filter(isAlive)).toEqual([]);
});

test("A second signal stops at once, even what does not stop by itself", async () => {
  const deployment = await started();
  deployment.kill("leader-1", "SIGSTOP");
  deployment.signal("SIGTERM");
  await deployment.event((event) => event.event === "stopped" && event.part === "leader-2");
  // Repeated, since what comes very soon after the first counts as the same request.
  const insisting = setInterval(() => deployment.signal("SIGTERM"), 100);
  onTestFinished(() => clearInterval(insisting));
  expect(await deployment.ended()).toBe(1);
  await allGone(deployment.pids);
});

test.each(PARTS)("%s is started again when it dies, at its address", async (part) => {
  const deployment = await started();
  await deposit(deployment.url, "alice", 2_000);
  const before = { pid: deployment.pidOf(part), address: deployment.addressOf(part) };
  deployment.kill(part);
  await deployment.event((event) => event.event === "restarted" && event.part === part);
  expect(deployment.addressOf(part)).toBe(before.address);
  expect(deployment.pidOf(part)).not.toBe(before.pid);
  expect(deployment.events).toContainEqual(
    expect.objectContaining({ event: "died", part, pid: before.pid, code: null, signal: "SIGKILL" }),
  );
  expect(await output(deployment.url, "query", "bank/main", "balance", "alice")).toBe("2000\n");
});

test("When dev itself is killed its parts stop, and the folder goes on from there", async () => {
  const dir = temporaryFolder();
  const first = await started(dir);
  await deposit(first.url, "alice", 2_000);
  first.signal("SIGKILL");
  await first.ended();
  await allGone(first.pids);
  const second = await started(dir);
  expect(await output(second.url, "query", "bank/main", "balance", "alice")).toBe("2000\n");
});

test("A port in use: one sentence, and nothing is created", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const dir = join(temporaryFolder(), "new");
  expect(await refusedDev(dir, "--port", String(port))).toBe(
    `theseus: port ${port} is in use: stop what listens there, or choose another --port\n`,
  );
  expect(existsSync(dir)).toBe(false);
});

test("A second dev on the same folder is told who has it", async () => {
  const deployment = await started();
  expect(await refusedDev(deployment.dir)).toBe(
    `theseus: ${deployment.dir} is in use by another theseus dev (process ${deployment.pid}): stop it, or use another --dir\n`,
  );
  expect(await deposit(deployment.url, "alice", 1)).toBe("OK\n");
});

test.each([
  ["examples/nothing.ts", "there is no file"],
  ["package.json", "cannot be imported"],
  ["shared/limits.ts", "exports no machine"],
])("A bad machine file creates nothing: %s", async (file, sentence) => {
  const dir = join(temporaryFolder(), "new");
  const { code, stdout, stderr } = await theseus(["dev", file, "--dir", dir, "--port", "0"]);
  expect([code, stdout]).toEqual([1, ""]);
  expect(stderr).toMatch(/^theseus: [^\n]+\n$/);
  expect(stderr).toContain(sentence);
  expect(existsSync(dir)).toBe(false);
});

test("A part that cannot start is named with its reason, and nothing is left running", async () => {
  const args = [
    "dev",
    "test/support/breaks-in-leader.ts",
    "--dir",
    temporaryFolder(),
    "--port",
    "0",
    "--json",
  ];
  const { code, stdout, stderr } = await theseus(args);
  expect(code).toBe(1);
  expect(JSON.parse(stderr).detail).toMatch(/^leader-\d could not be started: .*broken in a leader/);
  const events = stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(events.map(({ event }) => event)).not.toContain("ready");
  expect(events.map(({ pid }) => pid).filter(isAlive)).toEqual([]);
});

test("A damaged table stops the start and is named", async () => {
  const dir = await usedFolder();
  const { acceptors } = await readDeployment(deploymentFile(dir));
  const location = acceptors[0]?.location as string;
  for (const suffix of ["-wal", "-shm"]) rmSync(location + suffix, { force: true });
  writeFileSync(location, "garbage".repeat(2_000));
  const sentence = await refusedDev(dir);
  expect(sentence).toContain(`The table ${location} is damaged`);
  expect(sentence).toContain("move the file away to go on without this acceptor");
});

test("A table that is gone is a lost acceptor: the others go on", async () => {
  const dir = await usedFolder();
  const { registry, acceptors } = await readDeployment(deploymentFile(dir));
  const lost = [registry.acceptors[0], acceptors[0]];
  for (const server of lost)
    for (const suffix of ["", "-wal", "-shm"]) rmSync(`${server?.location}${suffix}`, { force: true });
  const deployment = await started(dir);
  const missing = deployment.events.flatMap((event) =>
    event.event === "tableMissing" ? [event.acceptor] : [],
  );
  expect(missing).toEqual(lost.map((server) => server?.id));
  expect(await output(deployment.url, "query", "bank/main", "balance", "alice")).toBe("2000\n");
  expect(await deposit(deployment.url, "alice", 1)).toBe("OK\n");
});

test("A folder of a newer version is left alone", async () => {
  const dir = await usedFolder();
  const file = deploymentFile(dir);
  const newer = readFileSync(file, "utf8").replace('"format": 1', '"format": 2');
  writeFileSync(file, newer);
  const tables = readdirSync(join(dir, "tables"));
  expect(await refusedDev(dir)).toBe(
    `theseus: ${dir} was written by a newer version of Theseus (format 2; this one reads 1): upgrade, or use another --dir\n`,
  );
  expect(readFileSync(file, "utf8")).toBe(newer);
  expect(readdirSync(join(dir, "tables"))).toEqual(tables);
});
