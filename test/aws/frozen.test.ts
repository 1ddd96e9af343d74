/**
 * Lambda freezes a function wherever it is, and thaws it whenever it likes. Here one is stopped in the midst of a command
 * (SIGSTOP), another one decides, and then the first goes on: it changes nothing that was decided, and whoever asked it
 * hears what is true, or that nobody knows.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { beforeEach, describe, expect, inject, onTestFinished, test } from "vitest";
import type { ProcessId } from "../../shared/protocol/ballot.ts";
import type { MachineId } from "../../shared/protocol/configuration.ts";
import type { RegistryCommand } from "../../shared/protocol/registry.ts";
import { REGISTRY_GEOMETRY } from "../../shared/protocol/slot.ts";
import { registration } from "../../shared/runtime/fleet/register-leader.ts";
import { newSigner } from "../../shared/runtime/signing.ts";
import { type Fault, FaultyDynamodb } from "../support/faulty-dynamodb.ts";
import { urlEvent } from "../support/function-url.ts";
import { newDeployment } from "./functions.ts";

const BANK = "bank/main" as MachineId;
const TABLES = 3;
const PROMISES = TABLES * (REGISTRY_GEOMETRY.lanes + 1);
const CHILD = fileURLToPath(new URL("../support/function-child.ts", import.meta.url));

let deployment: Awaited<ReturnType<typeof newDeployment>>;
let between: FaultyDynamodb;
let child: ChildProcess;

beforeEach(async () => {
  deployment = await newDeployment({ acceptors: 3, spares: 0 });
  await deployment.bootstrap();
  while ((await deployment.registry.servers()).acceptors.length < 2 * TABLES) await deployment.deliver();
  between = await FaultyDynamodb.before(inject("ministack")).listen();
  const env = { ...process.env, AWS_ENDPOINT_URL_DYNAMODB: between.url };
  child = fork(CHILD, {
    env,
    execArgv: ["--conditions=source"],
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  onTestFinished(() => {
    child.kill("SIGKILL");
    between.close();
  });
});

async function asked(command: RegistryCommand): Promise<{ status: number; body: { response?: unknown } }> {
  child.send(urlEvent("/v1/registry/commands", { body: command }));
  const [answer] = await once(child, "message");
  return answer;
}

/** Holds requests up, all of them from the first on. */
function hold(isExecuted: boolean) {
  const reached = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  const fault: Fault = async ({ execute }) => {
    const answer = isExecuted ? await execute() : undefined;
    reached.resolve();
    await released.promise;
    return answer ?? execute();
  };
  return { fault, reached: reached.promise, release: released.resolve };
}

/** While it is frozen another one decides. */
async function frozenWhile(
  decide: () => Promise<unknown>,
  release: () => void,
  isLate: boolean,
): Promise<void> {
  child.kill("SIGSTOP");
  await decide();
  if (!isLate) release();
  child.kill("SIGCONT");
  if (isLate) release();
}

const start = (acceptors: number) => ({ type: "registerMachine", machine: BANK, acceptors }) as const;
const quorumsIn = (location: unknown) =>
  (location as { configuration: { quorums: unknown } }).configuration.quorums;

describe.each([
  ["votes, of which nobody has heard", false, false],
  ["votes, of which nobody has heard, until after it goes on", false, true],
  ["votes that are written, without the answers", true, false],
])("a function that is frozen in its %s", (_, isExecuted, isLate) => {
  test("and is thawed when another one has decided", async () => {
    const warm = { type: "configure" } as const;
    expect(await asked(warm)).toMatchObject({ status: 200 });
    const { fault, reached, release } = hold(isExecuted);
    between.fault("UpdateItem", ...Array.from({ length: TABLES }, () => fault));
    const answer = asked(start(3));
    await reached;
    let decided: unknown;
    const decide = async () => {
      decided = await deployment.registry.command(start(1));
    };
    await frozenWhile(decide, release, isLate);
    await told(await answer, decided);
    expect(quorumsIn(decided)).toMatchObject({ acceptors: { length: isExecuted ? 3 : 1 } });
  });
});

test("a function that is frozen before its promises, and is thawed when another one leads", async () => {
  const { fault, reached, release } = hold(false);
  between.fault("UpdateItem", ...Array.from({ length: PROMISES }, () => fault));
  const answer = asked(start(3));
  await reached;
  let decided: unknown;
  const decide = async () => {
    decided = await deployment.registry.command(start(1));
  };
  await frozenWhile(decide, release, false);
  await told(await answer, decided);
  expect(quorumsIn(decided)).toMatchObject({ acceptors: { length: 1 } });
});

/** One configuration was decided, whoever asks; the one that was frozen may only not know. */
async function told(answer: Awaited<ReturnType<typeof asked>>, decided: unknown): Promise<void> {
  const { configuration } = await deployment.registry.lookup(BANK);
  expect(quorumsIn(decided)).toEqual(configuration.quorums);
  if (answer.status === 200) expect(quorumsIn(answer.body.response)).toEqual(configuration.quorums);
  else expect(answer.body).toMatchObject({ code: expect.stringMatching(/^(unavailable|outcome_unknown)$/) });
}

test("a function that is frozen while it tells the directory of leaders does not bring back older ones", async () => {
  const signer = newSigner();
  const registered = (id: string) => {
    const process = "9".repeat(32) as ProcessId;
    const leader = { id, process, address: `https://${id}:4600/`, publicKey: signer.publicKey };
    return registration(leader, signer);
  };
  const { fault, reached, release } = hold(false);
  const onlyDirectory: Fault = async (exchange) => {
    if (exchange.body.includes("-directory")) return fault(exchange);
    between.fault("PutItem", onlyDirectory);
    return exchange.execute();
  };
  between.fault("PutItem", onlyDirectory);
  const answer = asked(registered("leader-1"));
  await reached;
  const decide = async () => {
    await deployment.registry.command(registered("leader-2"));
    await deployment.registry.command({ type: "retireLeader", leader: "leader-1" });
  };
  await frozenWhile(decide, release, false);
  expect(await answer).toMatchObject({ status: 200, body: { response: { registered: "leader-1" } } });
  expect((await deployment.directory.leaders()).map(({ id }) => id)).toEqual(["leader-2"]);
});
