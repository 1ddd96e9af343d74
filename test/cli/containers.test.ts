/** A task's containers as processes: what they mount, what they find around them, and in which order they run. */
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { prepare } from "../../cli/aws/containers.ts";
import { temporaryFolder } from "../support/temporary.ts";

/** S3 as far as it is asked: every object is its own name. */
async function objects(): Promise<string> {
  const server = createServer((request, response) => {
    response.statusCode = request.url?.includes("missing") ? 404 : 200;
    response.end(request.url);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const mountPoints = [{ sourceVolume: "programs", containerPath: "/theseus" }];
const leader = {
  name: "leader",
  command: ["node", "/theseus/leader.js"],
  mountPoints,
  environment: [
    { name: "THESEUS_MACHINES", value: "/theseus/machines.js" },
    { name: "THESEUS_DIRECTORY", value: "us-east-1/theseus-bank-directory" },
    { name: "THESEUS_PORT", value: "4600" },
  ],
};
const fetcher = (object: string) => ({
  name: "fetch",
  essential: false,
  entryPoint: ["/bin/sh", "-ec"],
  command: ['aws s3 cp --no-progress "$LEADER" /theseus/leader.js\necho done > /theseus/mark'],
  environment: [{ name: "LEADER", value: `s3://assets/${object}` }],
  mountPoints,
});

test("the main container's command follows what the others fetched, in folders of the task's own", async () => {
  const folder = temporaryFolder();
  const task = { id: "t1", folder, emulator: await objects(), port: 20_001 };
  const { command, env } = await prepare({ containerDefinitions: [leader, fetcher("leader.js")] }, task);
  const programs = join(folder, "programs");
  expect(command).toEqual([process.execPath, join(programs, "leader.js")]);
  expect(env).toMatchObject({
    THESEUS_MACHINES: join(programs, "machines.js"),
    THESEUS_DIRECTORY: "us-east-1/theseus-bank-directory",
    ...{ THESEUS_TASK: "t1", THESEUS_PORT: "20001" },
    ...{ AWS_ENDPOINT_URL: task.emulator, AWS_ACCESS_KEY_ID: "test", HOME: folder },
  });
  expect(readFileSync(join(programs, "leader.js"), "utf8")).toBe("/assets/leader.js");
  expect(readFileSync(join(programs, "mark"), "utf8")).toBe("done\n");
});

test("a container that fails before the main one is told of", async () => {
  const task = { id: "t1", folder: temporaryFolder(), emulator: await objects(), port: 20_001 };
  await expect(prepare({ containerDefinitions: [leader, fetcher("missing")] }, task)).rejects.toThrow(
    "the container fetch failed",
  );
});

test("an image with a command of its own would need Docker", async () => {
  const task = { id: "t1", folder: temporaryFolder(), emulator: await objects(), port: 20_001 };
  await expect(prepare({ containerDefinitions: [{ name: "leader" }] }, task)).rejects.toThrow(
    "without Docker",
  );
});
