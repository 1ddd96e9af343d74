/** The registry is stateless: it may run twice, and be gone. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, onTestFinished, test } from "vitest";
import type { MachineId } from "../../shared/protocol/configuration.ts";
import type { Location } from "../../shared/protocol/registry.ts";
import { registryClient } from "../../shared/runtime/registry/registry-client.ts";
import { NODE_FLAGS } from "../support/cli.ts";
import { startDeployment, until } from "../support/deployment.ts";
import { postJson } from "../support/raw-http.ts";
import { temporaryFolder } from "../support/temporary.ts";

const DEPOSIT = { command: { type: "deposit", account: "a", amount: 1 } };

async function secondRegistry(dir: string): Promise<string> {
  const args = [...NODE_FLAGS, "functions/registry.ts", "--deployment", join(dir, "theseus.json")];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => {
    child.kill("SIGKILL");
  });
  const [line] = await once(createInterface(child.stdout), "line");
  return JSON.parse(line).url;
}

async function deploy() {
  const dir = temporaryFolder();
  const deployment = await startDeployment({ file: "examples/bank.ts", dir });
  onTestFinished(async () => {
    await deployment.stop();
  });
  return { dir, deployment };
}

test("two registries duel, and whoever starts the same machine through either gets the same one", async () => {
  const { dir, deployment } = await deploy();
  const registries = [deployment.addressOf("registry"), await secondRegistry(dir)].map((url) =>
    registryClient(url),
  );
  const machines = Array.from({ length: 10 }, (_, index) => `bank/duel-${index}` as MachineId);
  const answers = await Promise.all(
    machines.flatMap((machine) =>
      registries.map((registry) => registry.command({ type: "registerMachine", machine, acceptors: 3 })),
    ),
  );
  for (const [index, machine] of machines.entries()) {
    const [one, other] = answers.slice(2 * index, 2 * index + 2) as [Location, Location];
    expect(one.configuration).toEqual(other.configuration);
    for (const registry of registries)
      expect((await registry.lookup(machine)).configuration).toEqual(one.configuration);
  }
});

test("without a registry machines that run go on, through a failover too; new ones wait for it", async () => {
  const { deployment } = await deploy();
  const send = async (id: string) =>
    (
      await postJson(deployment.url, `/v1/machines/bank/${id}/commands`, DEPOSIT, {
        "idempotency-key": String(Math.random()),
      })
    ).status;
  expect(await send("running")).toBe(200);
  deployment.kill("registry", "SIGSTOP");
  expect(await send("running")).toBe(200);
  const status = await deployment.status();
  const leader = status.machines.find(({ id }) => id === "running")?.leader?.id;
  deployment.kill(leader as string, "SIGKILL");
  expect(await send("running")).toBe(200);
  const fresh = send("fresh");
  deployment.kill("registry", "SIGCONT");
  await until(async () => (await fresh) === 200 || (await send("fresh")) === 200);
});
