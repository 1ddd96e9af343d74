/** `theseus dev --store dynamodb`: how its tables come into the world, and what a person is told when they cannot. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, renameSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { beforeEach, describe, expect, inject, onTestFinished, test, vi } from "vitest";
import { openDeployment } from "../../cli/dev/bootstrap.ts";
import { type DevStore, openDevStore } from "../../cli/dev/store.ts";
import { findRegistry, missingTables } from "../../cli/dev/tables.ts";
import type { AcceptorServer } from "../../shared/protocol/registry.ts";
import {
  type Deployment,
  deploymentFile,
  readDeployment,
  unfinishedFile,
} from "../../shared/runtime/deployment.ts";
import { NODE_FLAGS, theseus } from "../support/cli.ts";
import { until } from "../support/deployment.ts";
import { hasTable, loseTable, tablesOf } from "../support/store.ts";
import { temporaryFolder } from "../support/temporary.ts";
import { newTable } from "./tables.ts";

const OPENER = fileURLToPath(new URL("../support/open-deployment.ts", import.meta.url));
const IN_DYNAMODB = { store: "dynamodb" } as const;

function idsOf({ registry, acceptors }: Deployment): readonly string[] {
  return [...registry.acceptors, ...acceptors].map(({ id }) => id as string).sort();
}

async function storeOf(dir: string, deployment: Deployment): Promise<DevStore> {
  const store = await openDevStore(dir, deployment.id, "dynamodb", deployment);
  onTestFinished(() => store.close());
  return store;
}

describe.each([
  ["DynamoDB Local", inject("dynamodbLocal")],
  ["MiniStack", inject("ministack")],
])("on %s", (_, endpoint) => {
  beforeEach(() => {
    vi.stubEnv("AWS_ENDPOINT_URL_DYNAMODB", endpoint);
    onTestFinished(() => {
      vi.unstubAllEnvs();
    });
  });

  test("a new folder gets six tables, and keeps nothing but where they are", async () => {
    const dir = temporaryFolder();
    const deployment = await openDeployment(dir, IN_DYNAMODB);
    expect(await tablesOf(dir)).toEqual(idsOf(deployment));
    expect(await missingTables(deployment, await storeOf(dir, deployment))).toEqual([]);
    expect(readdirSync(dir)).toEqual(["theseus.json"]);
    // Named or not, the folder's store is that one.
    expect(await openDeployment(dir, IN_DYNAMODB)).toEqual(deployment);
    expect(await openDeployment(dir)).toEqual(deployment);
    await expect(openDeployment(dir, { store: "sqlite" })).rejects.toThrow(
      `${dir} is of a deployment with --store dynamodb, and --store sqlite was asked for: leave it out, or use`,
    );
    const { acceptors } = await openDeployment(dir, { tables: 4 });
    expect(acceptors).toHaveLength(4);
    expect(await tablesOf(dir)).toContain(acceptors[3]?.id);
  });

  test("killed half-way it starts anew, and nothing is left over", async () => {
    const dir = temporaryFolder();
    const opener = spawn(process.execPath, [...NODE_FLAGS, OPENER, dir], {
      stdio: ["ignore", "inherit", "inherit"],
    });
    await until(() => existsSync(unfinishedFile(dir)) || existsSync(deploymentFile(dir)));
    const ended = once(opener, "close");
    opener.kill("SIGKILL");
    await ended;
    // It may have been quick enough to record all; then this is how it was a moment before.
    if (existsSync(deploymentFile(dir))) renameSync(deploymentFile(dir), unfinishedFile(dir));
    const { registry, acceptors } = await readDeployment(unfinishedFile(dir));
    const deployment = await openDeployment(dir, IN_DYNAMODB);
    expect(await tablesOf(dir)).toEqual(idsOf(deployment));
    for (const { location } of [...registry.acceptors, ...acceptors])
      expect(await hasTable(location)).toBe(false);
  });

  test("a missing table is a lost acceptor; without a majority the registry cannot start", async () => {
    const dir = temporaryFolder();
    const deployment = await openDeployment(dir, IN_DYNAMODB);
    const store = await storeOf(dir, deployment);
    const [first, second] = deployment.registry.acceptors as readonly [AcceptorServer, AcceptorServer];
    await loseTable(first.location);
    expect(await missingTables(deployment, store)).toEqual([first]);
    const file = deploymentFile(dir);
    expect(await findRegistry(file, deployment.registry, store)).toEqual(deployment.registry);
    await loseTable(second.location);
    await expect(findRegistry(file, deployment.registry, store)).rejects.toThrow(
      `too many of the registry's tables are not there (${first.location}, ${second.location}): they were in an emulator`,
    );
  });

  test("another table in a table's place is named", async () => {
    const dir = temporaryFolder();
    vi.stubEnv("AWS_REGION", "eu-central-1");
    const deployment = await openDeployment(dir, IN_DYNAMODB);
    const [{ location, incarnation }] = deployment.acceptors as readonly [AcceptorServer];
    expect(location).toMatch(/^eu-central-1\/theseus-dev-/);
    await loseTable(location);
    const reborn = await newTable(endpoint, location.replace("eu-central-1/", ""));
    await expect(missingTables(deployment, await storeOf(dir, deployment))).rejects.toThrow(
      `The table ${location} was born as ${reborn.incarnation}, not as ${incarnation}: delete it to go on`,
    );
  });
});

describe("a sentence says", () => {
  async function answerOf(environment: Readonly<Record<string, string>>): Promise<string> {
    vi.stubEnv("AWS_ENDPOINT_URL_DYNAMODB", "");
    for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
    onTestFinished(() => {
      vi.unstubAllEnvs();
    });
    const dir = temporaryFolder();
    const dev = ["dev", "examples/bank.ts", "--dir", dir, "--port", "0", "--store", "dynamodb"];
    const { code, stdout, stderr } = await theseus(dev);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    // Nothing that would have to be removed.
    expect(existsSync(unfinishedFile(dir)) || existsSync(deploymentFile(dir))).toBe(false);
    return stderr;
  }

  test("that nothing says where AWS is, or that two do", async () => {
    expect(await answerOf({})).toMatch(
      /^theseus: the tables are in DynamoDB: nothing says where AWS is: set/,
    );
    const both = { THESEUS_AWS: "real", AWS_ENDPOINT_URL: "http://127.0.0.1:4566" };
    expect(await answerOf(both)).toMatch(/unset one of them$/m);
  });

  test("that an endpoint elsewhere is none", async () => {
    const elsewhere = { AWS_ENDPOINT_URL: "https://dynamodb.us-east-1.amazonaws.com" };
    expect(await answerOf(elsewhere)).toMatch(/only an emulator on this machine may be used/);
  });

  test("that real AWS needs a Region", async () => {
    const real = { THESEUS_AWS: "real", AWS_REGION: "", AWS_DEFAULT_REGION: "" };
    expect(await answerOf(real)).toMatch(/nothing says which Region: set AWS_REGION$/m);
  });

  test("that the emulator does not run, or is something else", async () => {
    const server = createServer((_, response) => response.end("<!DOCTYPE html>")).listen(0, "127.0.0.1");
    await once(server, "listening");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    expect(await answerOf({ AWS_ENDPOINT_URL: url })).toMatch(
      /^theseus: what answers at \S+ is not DynamoDB \(.*\): set AWS_ENDPOINT_URL to where it is\n$/,
    );
    server.close();
    server.closeAllConnections();
    await once(server, "close");
    expect(await answerOf({ AWS_ENDPOINT_URL: url })).toMatch(
      /^theseus: nothing answers at \S+ \(.*\): start the emulator, or set AWS_ENDPOINT_URL to where it is\n$/,
    );
  });
});
