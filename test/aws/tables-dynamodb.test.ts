/** Tables of DynamoDB as the provisioner makes them, in emulators of it. */
import { randomBytes } from "node:crypto";
import {
  DescribeContinuousBackupsCommand,
  DescribeTableCommand,
  type DynamoDBClient,
  UntagResourceCommand,
} from "@aws-sdk/client-dynamodb";
import { describe, expect, inject, onTestFinished, test } from "vitest";
import type { AcceptorServer } from "../../shared/protocol/pool.ts";
import type { AcceptorId } from "../../shared/protocol/quorum.ts";
import { DynamodbTables, type DynamodbTablesOptions } from "../../shared/provision/tables-dynamodb.ts";
import { createDynamodbTable, dynamodbClient, dynamodbStore } from "../../shared/storage/dynamodb.ts";
import { tablesConformance, untilReady } from "../conformance/tables.ts";
import { answering, errorAnswer, FaultyDynamodb } from "../support/faulty-dynamodb.ts";
import { REGION } from "./tables.ts";

const MINISTACK = inject("ministack");
const REGIONS = ["eu-central-1", "eu-west-1", "eu-north-1"] as const;

const newName = () => `t${randomBytes(6).toString("hex")}`;

function open(options: Partial<DynamodbTablesOptions> & { readonly deployment: string }): DynamodbTables {
  const place = { endpoint: MINISTACK };
  const warn = (sentence: string) => expect.unreachable(sentence);
  const tables = new DynamodbTables({ regions: [REGION], isProtected: false, place, warn, ...options });
  onTestFinished(() => tables.close());
  return tables;
}

function clientIn(region: string, endpoint = MINISTACK): DynamoDBClient {
  const client = dynamodbClient(region, { endpoint });
  onTestFinished(() => client.destroy());
  return client;
}

const nameOf = ({ location }: Pick<AcceptorServer, "location">) => location.split("/")[1] as string;
const regionOf = ({ location }: Pick<AcceptorServer, "location">) => location.split("/")[0] as string;

for (const [name, endpoint] of [
  ["DynamoDB Local", inject("dynamodbLocal")],
  ["MiniStack", MINISTACK],
] as const)
  tablesConformance(name, async () => {
    const deployment = newName();
    return {
      open: () => open({ deployment, place: { endpoint } }),
      store: (table) => dynamodbStore(nameOf(table), table.incarnation, clientIn(REGION, endpoint), () => {}),
      // Of a deployment whose name is the beginning of this one's, or goes on where it ends.
      stranger: async () => {
        for (const other of [deployment.slice(0, -1), `${deployment}-p`, `${deployment}-x`])
          await open({ deployment: other, place: { endpoint } }).create([]);
        const id = `p-${randomBytes(16).toString("hex")}` as AcceptorId;
        // DynamoDB Local keeps no tags, so there it has to have another name.
        const table = `theseus-${deployment}-${endpoint === MINISTACK ? id : `q${id}`}`;
        await createDynamodbTable(clientIn(REGION, endpoint), { name: table, tags: {}, isProtected: false });
        return id;
      },
    };
  });

describe("a table of DynamoDB", () => {
  test("is paid for by use, tagged, and protected with its backups on, before it is ready", async () => {
    const deployment = newName();
    const tables = open({ deployment, isProtected: true });
    const table = await tables.create([]);
    expect(table).toEqual({
      id: expect.stringMatching(/^p-[0-9a-f]{32}$/),
      kind: "dynamodb",
      location: `${REGION}/theseus-${deployment}-${table.id}`,
      incarnation: expect.any(String),
    });
    await untilReady(tables, table);
    const client = clientIn(REGION);
    const TableName = nameOf(table);
    const { Table } = await client.send(new DescribeTableCommand({ TableName }));
    expect(Table).toMatchObject({
      TableId: table.incarnation,
      DeletionProtectionEnabled: true,
      BillingModeSummary: { BillingMode: "PAY_PER_REQUEST" },
    });
    const { ContinuousBackupsDescription } = await client.send(
      new DescribeContinuousBackupsCommand({ TableName }),
    );
    expect(ContinuousBackupsDescription?.PointInTimeRecoveryDescription?.PointInTimeRecoveryStatus).toBe(
      "ENABLED",
    );
    await tables.delete(table);
    expect(await tables.has(table)).toBe(false);
  });

  test("is not deleted without its tags, whatever its name", async () => {
    const tables = open({ deployment: newName() });
    const table = await tables.create([]);
    const client = clientIn(REGION);
    const { Table } = await client.send(new DescribeTableCommand({ TableName: nameOf(table) }));
    await client.send(
      new UntagResourceCommand({ ResourceArn: Table?.TableArn, TagKeys: ["theseus:deployment"] }),
    );
    await expect(tables.delete(table)).rejects.toThrow(/has not the tags of the deployment .*: it is not/);
    expect(await tables.has(table)).toBe(true);
    expect(await tables.list(new Set())).toEqual([]);
  });

  test("of a deployment that had the same name is not listed, and not deleted", async () => {
    const deployment = newName();
    const [before, now] = ["a", "b"].map((digit) => open({ deployment, birth: digit.repeat(32) })) as [
      DynamodbTables,
      DynamodbTables,
    ];
    const table = await before.create([]);
    const nameless = await open({ deployment }).create([]);
    const own = await now.create([]);
    expect((await now.list(new Set())).map(({ id }) => id)).toEqual([own.id]);
    const others = (await now.others()).map(({ id }) => id).sort();
    expect(others).toEqual([table.id, nameless.id].sort());
    await expect(now.delete(table)).rejects.toThrow("it is not deleted");
    expect(await before.has(table)).toBe(true);
  });

  test.each(["has", "delete", "isReady"] as const)(
    "at a place that is more than a Region and a name: %s refuses",
    async (what) => {
      const tables = open({ deployment: newName() });
      const table = await tables.create([]);
      const forged = { ...table, location: `${table.location}/more` };
      await expect(tables[what](forged)).rejects.toThrow("nothing is done with it");
    },
  );

  test.each(["has", "delete", "isReady"] as const)(
    "by another deployment's name: %s refuses",
    async (what) => {
      const table = await open({ deployment: newName() }).create([]);
      const tables = open({ deployment: newName() });
      await expect(tables[what](table)).rejects.toThrow("nothing is done with it");
      const [id, other] = [table.id, `p-${"0".repeat(32)}` as AcceptorId];
      await expect(tables[what]({ ...table, id: other })).rejects.toThrow("nothing is done with it");
      expect(id).not.toBe(other);
    },
  );

  test("that is deleted while it is looked at is not there", async () => {
    const proxy = await FaultyDynamodb.before(MINISTACK).listen();
    onTestFinished(() => proxy.close());
    const deployment = newName();
    const tables = open({ deployment });
    const behind = open({ deployment, place: { endpoint: proxy.url } });
    const deletedMeanwhile = async () => {
      const table = await tables.create([]);
      proxy.fault("ListTagsOfResource", async ({ execute }) => {
        await tables.delete(table);
        return execute();
      });
      return table;
    };
    await deletedMeanwhile();
    expect(await behind.list(new Set())).toEqual([]);
    await behind.delete(await deletedMeanwhile());
    expect(await tables.list(new Set())).toEqual([]);
  });

  test("whose tags cannot be read is neither listed nor deleted", async () => {
    const proxy = await FaultyDynamodb.before(MINISTACK).listen();
    onTestFinished(() => proxy.close());
    const tables = open({ deployment: newName(), place: { endpoint: proxy.url } });
    const table = await tables.create([]);
    const denied = answering(errorAnswer("AccessDeniedException"));
    proxy.fault("ListTagsOfResource", denied, denied);
    await expect(tables.list(new Set())).rejects.toThrow("the role may not do dynamodb:ListTagsOfResource");
    await expect(tables.delete(table)).rejects.toThrow("the role may not do dynamodb:ListTagsOfResource");
    expect(await tables.has(table)).toBe(true);
  });

  test("is not ready as one of another kind, which nobody could open", async () => {
    const tables = open({ deployment: newName() });
    const table = { ...(await tables.create([])), kind: "sqlite" };
    await expect(tables.isReady(table)).rejects.toThrow("not of the kind sqlite");
  });

  test("of another birth is not there", async () => {
    const tables = open({ deployment: newName() });
    const table = { ...(await tables.create([])), incarnation: "f".repeat(32) };
    expect([await tables.has(table), await tables.isReady(table)]).toEqual([false, false]);
  });
});

describe("in several Regions", () => {
  test("a table is made where there are the fewest, also when several are made at once", async () => {
    const deployment = newName();
    const tables = open({ deployment, regions: REGIONS });
    const first: AcceptorServer[] = [];
    for (let count = 0; count < 3; count++) first.push(await tables.create(first));
    expect(first.map(regionOf)).toEqual(REGIONS);
    const [lost, ...left] = first as [AcceptorServer, ...AcceptorServer[]];
    expect(regionOf(await tables.create(left))).toBe(regionOf(lost));
    const atOnce = await Promise.all(Array.from({ length: 5 }, (_, turn) => tables.create(left, turn)));
    const counted = [...left, ...atOnce].map(regionOf);
    for (const region of REGIONS) expect(counted.filter((each) => each === region).length).toBeOneOf([2, 3]);
    expect((await tables.list(new Set())).length).toBe(3 + 1 + 5);
    const elsewhere = first[2] as AcceptorServer;
    await tables.delete(elsewhere);
    expect(await tables.has(elsewhere)).toBe(false);
  });
});
