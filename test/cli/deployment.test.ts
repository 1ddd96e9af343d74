import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { ConfigurationNumber } from "../../shared/protocol/ballot.ts";
import type { MachineId } from "../../shared/protocol/configuration.ts";
import { type AcceptorId, majority } from "../../shared/protocol/quorum.ts";
import type { AcceptorServer } from "../../shared/protocol/registry.ts";
import {
  type Deployment,
  deploymentFile,
  findDeployment,
  movePointer,
  readDeployment,
  removeUnfinished,
  writeDeployment,
} from "../../shared/runtime/deployment.ts";
import type { Pointer } from "../../shared/runtime/registry/registry-service.ts";
import { temporaryFolder } from "../support/temporary.ts";

function deploymentIn(dir: string): Deployment {
  const server = (id: string): AcceptorServer => ({
    id: id as AcceptorId,
    kind: "sqlite",
    location: join(dir, "tables", `${id}.sqlite`),
    incarnation: `birth of ${id}`,
  });
  const acceptors = ["r1", "r2", "r3"].map(server);
  const quorums = majority(acceptors.map(({ id }) => id));
  const configuration = { number: 1 as ConfigurationNumber, previous: 0, quorums };
  return {
    id: "0123456789abcdef",
    registry: { machine: "registry/main" as MachineId, first: configuration, configuration, acceptors },
    acceptors: ["a1", "a2", "a3"].map(server),
  };
}

async function written(): Promise<{ dir: string; file: string }> {
  const dir = temporaryFolder();
  const file = deploymentFile(dir);
  await writeDeployment(file, deploymentIn(dir));
  return { dir, file };
}

test("What was written is read", async () => {
  const { dir, file } = await written();
  expect(await readDeployment(file)).toEqual(deploymentIn(dir));
  expect(readdirSync(dir)).toEqual(["theseus.json"]);
});

test("A folder may be moved: its tables are where the file is", async () => {
  const { dir, file } = await written();
  const moved = join(temporaryFolder(), "moved");
  mkdirSync(moved);
  renameSync(file, deploymentFile(moved));
  expect(await readDeployment(deploymentFile(moved))).toEqual(deploymentIn(moved));
  expect(await findDeployment(deploymentFile(dir))).toBeUndefined();
});

test("Tables in DynamoDB are where they are, wherever the folder is", async () => {
  const inDynamodb = ({ id, incarnation }: AcceptorServer): AcceptorServer => {
    return { id, kind: "dynamodb", location: `eu-central-1/theseus-dev-${id}`, incarnation };
  };
  const dir = temporaryFolder();
  const { id, registry, acceptors } = deploymentIn(dir);
  const deployment = {
    id,
    registry: { ...registry, acceptors: registry.acceptors.map(inDynamodb) },
    acceptors: acceptors.map(inDynamodb),
  };
  await writeDeployment(deploymentFile(dir), deployment);
  const moved = join(temporaryFolder(), "moved");
  renameSync(dir, moved);
  expect(await readDeployment(deploymentFile(moved))).toEqual(deployment);
});

test("A file is replaced whole; what an earlier attempt left behind can be removed", async () => {
  const { dir, file } = await written();
  writeFileSync(`${file}.0123.new`, "half of some");
  await writeDeployment(file, deploymentIn(dir));
  expect(await readDeployment(file)).toEqual(deploymentIn(dir));
  await removeUnfinished(file);
  expect(readdirSync(dir)).toEqual(["theseus.json"]);
});

function pointerTo(dir: string, number: number): Pointer {
  const { first } = deploymentIn(dir).registry;
  const id = `r${number}` as AcceptorId;
  const acceptors = [
    { id, kind: "sqlite", location: join(dir, "tables", `${id}.sqlite`), incarnation: `birth of ${id}` },
  ];
  return {
    configuration: { ...first, number: number as ConfigurationNumber, quorums: majority([id]) },
    acceptors,
  };
}

test("The pointer only moves on, whoever moves it; where the registry began stays", async () => {
  const { dir, file } = await written();
  const { first } = deploymentIn(dir).registry;
  await movePointer(file, pointerTo(dir, 5));
  expect((await readDeployment(file)).registry).toMatchObject({ first, ...pointerTo(dir, 5) });
  for (const number of [5, 4, 1]) await movePointer(file, pointerTo(dir, number));
  expect((await readDeployment(file)).registry).toMatchObject(pointerTo(dir, 5));
  await Promise.all([8, 6, 9, 7].map((number) => movePointer(file, pointerTo(dir, number))));
  expect(await readDeployment(file)).toMatchObject({ acceptors: deploymentIn(dir).acceptors });
  expect(readdirSync(dir)).toEqual(["theseus.json"]);
});

test("No file is no deployment yet, and an error for whoever needs one", async () => {
  const file = deploymentFile(temporaryFolder());
  expect(await findDeployment(file)).toBeUndefined();
  await expect(readDeployment(file)).rejects.toMatchObject({
    name: "Invalid",
    message: `there is no deployment file ${file}`,
  });
});

test("A newer format stops, and says what to do", async () => {
  const { dir, file } = await written();
  const stored = JSON.parse(readFileSync(file, "utf8"));
  writeFileSync(file, JSON.stringify({ ...stored, format: 2 }));
  await expect(readDeployment(file)).rejects.toMatchObject({
    name: "VersionSkew",
    message: `${dir} was written by a newer version of Theseus (format 2; this one reads 1): upgrade, or use another --dir`,
  });
});

test.each([
  ["", "it is not JSON"],
  ["{", "it is not JSON"],
  ["null", "it names no format"],
  ["[]", "it names no format"],
  ['{"format":"1"}', "it names no format"],
  ['{"format":0}', "it names no format"],
  ['{"format":1}', "it has no id"],
  ['{"format":1,"id":"x"}', "its registry has no machine"],
  [
    '{"format":1,"id":"x","registry":{"machine":"registry/main"}}',
    "its acceptors are not tables of one store, which may be sqlite or dynamodb",
  ],
])("Garbage is refused: %s", async (text, fault) => {
  const file = deploymentFile(temporaryFolder());
  writeFileSync(file, text);
  await expect(readDeployment(file)).rejects.toMatchObject({
    name: "Invalid",
    message: `${file} is not a deployment file: ${fault}; bring back the file that was there, or use another --dir`,
  });
});

test("Half a deployment is none", async () => {
  const { dir, file } = await written();
  const whole = deploymentIn(dir);
  const { registry } = whole;
  const [first, ...others] = registry.acceptors;
  const configuration = (quorums: unknown) => ({ ...registry.configuration, quorums });
  const faults: readonly [object, string][] = [
    [{ acceptors: undefined }, "its acceptors are not tables of one store"],
    [{ acceptors: [{ ...first, kind: "dynamodb" }] }, "its acceptors are not tables of one store"],
    [{ acceptors: [{ ...first, incarnation: "" }] }, "its acceptors are not tables of one store"],
    [{ registry: { ...registry, acceptors: others } }, "its registry's acceptor r1 has no table"],
    [{ registry: { ...registry, configuration: configuration({}) } }, "its registry's quorums"],
    [{ registry: { ...registry, configuration: configuration(null) } }, "its registry's quorums"],
    [{ registry: { ...registry, configuration: configuration(majority([])) } }, "at least one acceptor"],
  ];
  for (const [change, fault] of faults) {
    writeFileSync(file, JSON.stringify({ format: 1, ...whole, ...change }));
    await expect(readDeployment(file)).rejects.toThrow(fault);
  }
});

test("What stands in the way is named", async () => {
  const dir = temporaryFolder();
  mkdirSync(deploymentFile(dir));
  await expect(readDeployment(deploymentFile(dir))).rejects.toThrow(
    /theseus\.json cannot be read: EISDIR.*another --dir/,
  );
  await expect(writeDeployment(deploymentFile(dir), deploymentIn(dir))).rejects.toThrow(/cannot be written/);
  const nowhere = join(dir, "nowhere");
  await expect(writeDeployment(deploymentFile(nowhere), deploymentIn(nowhere))).rejects.toThrow(
    /cannot be written: ENOENT/,
  );
});
