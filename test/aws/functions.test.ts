/** The functions together, on MiniStack: from a bootstrap to a machine that commits, and what may go wrong on the way. */
import { randomBytes } from "node:crypto";
import { expect, onTestFinished, test, vi } from "vitest";
import { bank } from "../../examples/bank.ts";
import { machineCode } from "../../shared/machine.ts";
import type { ProcessId } from "../../shared/protocol/ballot.ts";
import type { MachineId } from "../../shared/protocol/configuration.ts";
import type { AcceptorId } from "../../shared/protocol/quorum.ts";
import { MACHINE_GEOMETRY } from "../../shared/protocol/slot.ts";
import { registration } from "../../shared/runtime/fleet/register-leader.ts";
import { Hosted } from "../../shared/runtime/hosted.ts";
import { productionPorts } from "../../shared/runtime/ports-production.ts";
import type { RegistryClient } from "../../shared/runtime/registry/registry-client.ts";
import { startMachine } from "../../shared/runtime/registry/start-machine.ts";
import { newSigner } from "../../shared/runtime/signing.ts";
import { StorePool } from "../../shared/runtime/store-pool.ts";
import { signatoriesGiven } from "../../shared/runtime/tokens/signers.ts";
import { verifyToken } from "../../shared/runtime/tokens/token.ts";
import { deleteDocumentsTable } from "../../shared/storage/documents-dynamodb.ts";
import { openStore } from "../../shared/storage/open.ts";
import { newDeployment } from "./functions.ts";

const BANK = "bank/main" as MachineId;
const LEAD_MS_MAX = 30_000;
const THREE = { acceptors: 3, spares: 1 };

type Deployment = Awaited<ReturnType<typeof newDeployment>>;

/** Deliveries until so many tables are in the pool. */
async function provisioned({ registry, deliver }: Deployment, count: number): Promise<readonly AcceptorId[]> {
  for (;;) {
    const { acceptors } = await registry.servers();
    const pool = acceptors.filter(({ state }) => state === "active" || state === "spare");
    if (pool.length >= count) return pool.map(({ id }) => id);
    await deliver();
  }
}

async function depositOn(registry: RegistryClient): Promise<unknown> {
  const stores = new StorePool(openStore);
  onTestFinished(() => stores.close());
  const ports = productionPorts((acceptor) => stores.get(acceptor));
  const { configuration } = await startMachine(BANK, registry, stores, ports);
  const process = randomBytes(16).toString("hex") as ProcessId;
  const options = { machine: BANK, geometry: MACHINE_GEOMETRY, code: machineCode(bank), process, ports };
  const hosted = new Hosted(options);
  await hosted.lead(configuration, LEAD_MS_MAX);
  const [reply] = await hosted.send([{ command: { type: "deposit", account: "alice", amount: 1 } }]);
  return reply;
}

test("a deployment is made, its first tables come by the queue, and a machine commits on them", async () => {
  const deployment = await newDeployment(THREE);
  const { bootstrap, registry, directory, tables, sweep, name } = deployment;
  const answer = await bootstrap();
  expect(answer).toMatchObject({ Status: "SUCCESS", PhysicalResourceId: `theseus-${name}` });
  const pool = await provisioned(deployment, 4);
  const { acceptors: own } = await directory.registry();
  const all = [...pool, ...own.map(({ id }) => id)].sort();
  expect((await tables.list(new Set())).map(({ id }) => id).sort()).toEqual(all);
  expect(await depositOn(registry)).toMatchObject({ reply: "response", response: '"OK"' });
  await sweep();
  expect((await tables.list(new Set())).map(({ id }) => id).sort(), "nothing is an orphan").toEqual(all);
  expect(await registry.status()).toMatchObject({ outbox: 0 });
});

test("a bootstrap that is said again changes nothing but what was asked for", async () => {
  const { bootstrap, properties, directory, registry, tables } = await newDeployment(THREE);
  await bootstrap();
  const before = await directory.registry();
  const PhysicalResourceId = `theseus-${properties.name}`;
  const ResourceProperties = {
    ...properties,
    settings: {
      ...{ acceptors: "3", spares: "2", endorsements: "auto" },
      machines: { mode: "majority", acceptors: "3" },
    },
  };
  expect(await bootstrap({ RequestType: "Update", PhysicalResourceId, ResourceProperties })).toMatchObject({
    Status: "SUCCESS",
    PhysicalResourceId,
    Data: { deployment: before.deployment },
  });
  expect(await directory.registry()).toEqual(before);
  expect(await registry.provisioning()).toMatchObject({
    settings: { spares: 2, machines: { mode: "majority", acceptors: 3 } },
  });
  expect(await tables.list(new Set())).toHaveLength(3);
});

test("two bootstraps at once make one deployment, and the loser's tables are removed", async () => {
  const { bootstrap, directory, tables } = await newDeployment(THREE);
  const answers = await Promise.all([bootstrap(), bootstrap()]);
  const { deployment, acceptors } = await directory.registry();
  for (const answer of answers) expect(answer).toMatchObject({ Status: "SUCCESS", Data: { deployment } });
  const left = (await tables.list(new Set())).map(({ id }) => id).sort();
  expect(left).toEqual(acceptors.map(({ id }) => id).sort());
});

test("a rename, a setting that is none, and too little time are failures in a sentence, and change nothing", async () => {
  const { bootstrap, properties, registry } = await newDeployment(THREE);
  await bootstrap();
  const physical = { PhysicalResourceId: `theseus-${properties.name}` };
  const renamed = { ...properties, name: "other" };
  expect(await bootstrap({ RequestType: "Update", ...physical, ResourceProperties: renamed })).toMatchObject({
    Status: "FAILED",
    ...physical,
    Reason: expect.stringContaining("cannot be renamed"),
  });
  const wrong = { ...properties, settings: { spares: "many" } };
  expect(await bootstrap({ RequestType: "Update", ...physical, ResourceProperties: wrong })).toMatchObject({
    Status: "FAILED",
    Reason: expect.stringContaining("spares, which must be a whole number"),
  });
  expect(await registry.provisioning()).toMatchObject({ settings: { spares: 1 } });
  const update = { RequestType: "Update", ...physical };
  expect(await bootstrap(update, 5_001)).toMatchObject({
    Status: "FAILED",
    Reason: expect.stringContaining("deploy again"),
  });
  expect(await bootstrap(update)).toMatchObject({ Status: "SUCCESS" });
});

test("a sandbox that is deleted leaves no table; any other deployment leaves all of them", async () => {
  const deployment = await newDeployment(THREE);
  const { bootstrap, properties, tables, directory, name } = deployment;
  await bootstrap();
  await provisioned(deployment, 4);
  const gone = { RequestType: "Delete", PhysicalResourceId: `theseus-${name}` };
  const kept = { ...gone, ResourceProperties: { ...properties, sandbox: "false" } };
  expect(await bootstrap(kept)).toMatchObject({ Status: "SUCCESS" });
  expect(await tables.list(new Set())).toHaveLength(7);
  expect(await bootstrap(gone)).toMatchObject({ Status: "SUCCESS" });
  expect(await tables.list(new Set())).toEqual([]);
  await expect(directory.registry()).rejects.toThrow("deploy again");
  expect(await bootstrap(gone), "again").toMatchObject({ Status: "SUCCESS" });
});

test("of the messages of one delivery those that cannot be carried out fail alone", async () => {
  const deployment = await newDeployment(THREE);
  await deployment.bootstrap();
  const { handler } = await import("../../functions/aws/provisioner.ts");
  const [order] = (await deployment.registry.provisioning()).outbox;
  const Records = [
    { messageId: "poison", body: "{" },
    { messageId: "good", body: JSON.stringify({ format: 1, request: order?.request }) },
  ];
  expect(await handler({ Records } as never, {} as never)).toEqual({
    batchItemFailures: [{ itemIdentifier: "poison" }],
  });
  const all = await handler({ Records: Records.slice(0, 1) } as never, {} as never);
  expect(all).toEqual({ batchItemFailures: [{ itemIdentifier: "poison" }] });
});

test("the leaders are in the directory before their registration is answered", async () => {
  const { bootstrap, directory, registry } = await newDeployment(THREE);
  await bootstrap();
  const process = randomBytes(16).toString("hex") as ProcessId;
  const signer = newSigner();
  const leader = { id: "leader-1", process, address: "https://10.0.1.7:4600/", publicKey: signer.publicKey };
  await registry.command(registration(leader, signer));
  expect(await directory.leaders()).toEqual([leader]);
  await registry.command({ type: "retireLeader", leader: "leader-1" });
  expect(await directory.leaders()).toEqual([]);
});

test("whoever may ask the registry gets a token that leaders take", async () => {
  const { bootstrap, directory, call } = await newDeployment(THREE);
  await bootstrap();
  const answer = await call("/v1/tokens", { machine: "bank/main", right: "operate" });
  const { token } = (await answer.json()) as { token: string };
  const keys = signatoriesGiven(await directory.keys());
  const { deployment } = await directory.registry();
  expect(await verifyToken(token, async (by) => keys.get(by), Date.now())).toMatchObject({
    ...{ by: "registry", deployment, machine: "bank/main", right: "operate" },
  });
  expect(await (await call("/v1/tokens", { machine: "bank/main", right: "peer" })).json()).toMatchObject({
    code: "invalid_request",
  });
});

test("with its directory lost, a deployment is not begun anew, which would take all of its tables for orphans", async () => {
  const deployment = await newDeployment(THREE);
  const { bootstrap, locations, name, tables } = deployment;
  await bootstrap();
  await provisioned(deployment, 4);
  const before = (await tables.list(new Set())).map(({ id }) => id).sort();
  await deleteDocumentsTable(locations[0] as string);
  for (const RequestType of ["Update", "Create"])
    expect(await bootstrap({ RequestType, PhysicalResourceId: `theseus-${name}` })).toMatchObject({
      Status: "FAILED",
      Reason: expect.stringMatching(/restore (its|the) directory/),
    });
  expect((await tables.list(new Set())).map(({ id }) => id).sort()).toEqual(before);
});

test("in two Regions: tables in both, and a directory that is lost in one is made and filled again", async () => {
  const regions = ["us-east-1", "eu-central-1"];
  const { bootstrap, directory, directories, locations, name } = await newDeployment(THREE, regions);
  await bootstrap();
  const { acceptors, deployment } = await directory.registry();
  const places = acceptors.map(({ location }) => location.split("/")[0]);
  expect(new Set(places)).toEqual(new Set(regions));
  await deleteDocumentsTable(locations[0] as string);
  expect((await directory.registry()).deployment, "from the other one").toBe(deployment);
  const update = { RequestType: "Update", PhysicalResourceId: `theseus-${name}` };
  expect(await bootstrap(update)).toMatchObject({ Status: "SUCCESS", Data: { deployment } });
  const keys = await Promise.all(directories.map((each) => each.keys()));
  expect(keys[0]).toEqual(keys[1]);
  for (const each of directories) expect((await each.registry()).deployment).toBe(deployment);
});

test("a Region that has tables cannot be left out, and a change of the stack founds no other deployment", async () => {
  const regions = ["us-east-1", "eu-central-1"];
  const { bootstrap, tables, locations, name } = await newDeployment(THREE, regions);
  const update = { RequestType: "Update", PhysicalResourceId: `theseus-${name}` };
  expect(await bootstrap(update)).toMatchObject({
    Status: "FAILED",
    Reason: expect.stringContaining("says where the registry is"),
  });
  expect(await tables.list(new Set())).toEqual([]);
  await bootstrap();
  vi.stubEnv("THESEUS_REGIONS", regions[0]);
  vi.stubEnv("THESEUS_DIRECTORY", locations[0]);
  expect(await bootstrap(update)).toMatchObject({
    Status: "FAILED",
    Reason: expect.stringContaining("eu-central-1/theseus-"),
  });
  vi.stubEnv("THESEUS_REGIONS", regions.join(","));
  vi.stubEnv("THESEUS_DIRECTORY", locations.join(","));
  expect(await bootstrap(update)).toMatchObject({ Status: "SUCCESS" });
});

test("the registry's own tables, lost one after another, are replaced by the sweeps", async () => {
  const deployment = await newDeployment({ acceptors: 3, spares: 1 });
  const { bootstrap, directory, registry, tables, sweep } = deployment;
  await bootstrap();
  const { acceptors: first } = await directory.registry();
  for (const lost of first) {
    await provisioned(deployment, 4);
    await tables.delete(lost);
    await sweep();
    const { configuration } = await directory.registry();
    expect(configuration.quorums.acceptors).not.toContain(lost.id);
  }
  expect((await directory.registry()).configuration.number).toBe(4);
  await provisioned(deployment, 4);
  expect(await depositOn(registry)).toMatchObject({ reply: "response", response: '"OK"' });
});
