/** The DynamoDB adapter against AWS's own DynamoDB Local: what is DynamoDB's alone, and what gets lost on the way to it. */
import {
  DescribeTableCommand,
  DynamoDBClient,
  ListTagsOfResourceCommand,
  PutItemCommand,
} from "@aws-sdk/client-dynamodb";
import { describe, expect, inject, onTestFinished, test } from "vitest";
import { awsClient, type ClientSettings } from "../../shared/aws/clients.ts";
import { CELL_VALUE_BYTES_MAX } from "../../shared/limits.ts";
import { GONE, type Outcome, UNKNOWN, type Verb } from "../../shared/protocol/acceptor.ts";
import type { MachineId } from "../../shared/protocol/configuration.ts";
import { MACHINE_GEOMETRY } from "../../shared/protocol/slot.ts";
import { encodeChunk } from "../../shared/protocol/value.ts";
import { registryCommandOf } from "../../shared/runtime/registry/registry-commands.ts";
import { createDynamodbTable, dynamodbClient, dynamodbStore } from "../../shared/storage/dynamodb.ts";
import type { AcceptorStore } from "../../shared/storage/store.ts";
import {
  advance,
  applied,
  b1,
  b2,
  b3,
  bornCell,
  CELL,
  chunk,
  content,
  contentVerbs,
  createCell,
  createHead,
  headOf,
  readCell,
  readHead,
  refused,
  value,
  vote,
  voted,
} from "../conformance/items.ts";
import { type Fault, FaultyDynamodb, faults } from "../support/faulty-dynamodb.ts";
import { deleteTable, freshName, newTable, REGION, storeOn, type Table } from "./tables.ts";

const MACHINE = "conformance/dynamodb" as MachineId;
const LOCAL = inject("dynamodbLocal");

const sayOnce = async (store: AcceptorStore, verb: Verb): Promise<Outcome | undefined> =>
  (await store.execute(MACHINE, [verb]))[0];

/** The identical verb again while its outcome is unknown, as an emulator on a busy machine may leave it. */
async function say(store: AcceptorStore, verb: Verb): Promise<Outcome | undefined> {
  let outcome = await sayOnce(store, verb);
  for (let again = 0; outcome?.outcome === "unknown" && again < 10; again++)
    outcome = await sayOnce(store, verb);
  return outcome;
}

async function tableAndStore(): Promise<{ table: Table; store: AcceptorStore }> {
  const table = await newTable(LOCAL);
  const store = storeOn(table);
  onTestFinished(() => store.close());
  return { table, store };
}

/** The SDK as it is by default: it repeats a request whose reply is missing. */
class RepeatingClient extends DynamoDBClient {
  constructor(settings: ClientSettings) {
    super({ ...settings, maxAttempts: 3 });
  }
}

const { put, drop } = contentVerbs(chunk(0), value("content"));
const WRITES: readonly {
  readonly verb: Verb;
  readonly operation: string;
  readonly given: readonly Verb[];
  readonly outcome: Outcome;
  readonly stands: Outcome;
}[] = [
  { verb: createCell, operation: "PutItem", given: [], outcome: applied(), stands: applied(bornCell) },
  {
    verb: { verb: "promise", key: CELL, ballot: b2 },
    operation: "UpdateItem",
    given: [createCell],
    outcome: applied({ ...bornCell, promised: b2 } as typeof bornCell),
    stands: applied({ ...bornCell, promised: b2 } as typeof bornCell),
  },
  {
    verb: vote(b2, 1, "value"),
    operation: "UpdateItem",
    given: [createCell],
    outcome: applied(),
    stands: applied(voted(b2, 1, "value")),
  },
  {
    verb: advance(8, 0, "-"),
    operation: "UpdateItem",
    given: [createHead],
    outcome: applied(headOf(8, 0, "-")),
    stands: applied(headOf(8, 0, "-")),
  },
  { verb: put, operation: "PutItem", given: [], outcome: applied(), stands: applied(content("content")) },
  { verb: drop, operation: "DeleteItem", given: [put], outcome: applied(), stands: applied() },
];

describe("a reply that is lost after the write", () => {
  async function behindFaults() {
    const { table, store } = await tableAndStore();
    const proxy = await FaultyDynamodb.before(LOCAL).listen();
    onTestFinished(() => proxy.close());
    const faulty = storeOn({ ...table, endpoint: proxy.url });
    onTestFinished(() => faulty.close());
    // Opened and connected, so that the next thing to go wrong is what the test wants.
    await say(faulty, readHead);
    return { table, store, proxy, faulty };
  }
  const read = ({ key }: Verb): Verb => ({ verb: "read", key });

  for (const { verb, operation, given, outcome, stands } of WRITES) {
    for (const [how, fault] of Object.entries<Fault>({
      lost: faults.loseReply,
      "cut in half": faults.halfReply,
      "replaced by a proxy's": faults.foreign503AfterExecuting,
    }))
      test(`of ${verb.verb}, ${how}: unknown, and said again it is applied`, async () => {
        const { store, proxy, faulty } = await behindFaults();
        for (const each of given) await say(store, each);
        proxy.fault(operation, fault);
        expect(await sayOnce(faulty, verb)).toEqual(UNKNOWN);
        expect(await say(store, read(verb)), "it was written").toEqual(stands);
        expect(await say(faulty, verb)).toEqual(outcome);
        expect(await say(store, read(verb))).toEqual(stands);
      });

    test(`of ${verb.verb}: a client that repeats by itself is not refused by its own first attempt`, async () => {
      const { table, store, proxy } = await behindFaults();
      for (const each of given) await say(store, each);
      const client = awsClient(RepeatingClient, REGION, { endpoint: proxy.url });
      const repeating = dynamodbStore(table.name, table.incarnation, client);
      onTestFinished(() => repeating.close());
      proxy.fault(operation, faults.loseReply, faults.loseReply);
      expect(await say(repeating, verb)).toEqual(outcome);
      expect(proxy.operations.filter((each) => each === operation)).toHaveLength(3);
      expect(await say(store, read(verb))).toEqual(stands);
    });
  }

  test("what came in between refuses the repetition, and shows that the first attempt counted", async () => {
    const { store, proxy, faulty } = await behindFaults();
    await say(store, createCell);
    proxy.fault("UpdateItem", faults.loseReply);
    expect(await sayOnce(faulty, vote(b2, 1, "value"))).toEqual(UNKNOWN);
    await say(store, { verb: "promise", key: CELL, ballot: b3 });
    expect(await say(faulty, vote(b2, 1, "value"))).toEqual(
      refused({ ...voted(b2, 1, "value"), promised: b3 } as typeof bornCell),
    );
  });
});

describe("sizes", () => {
  const ITEM_BYTES_MAX = 400 * 1024;

  test("a chunk of the largest values fits", async () => {
    const { store } = await tableAndStore();
    const values = Array.from({ length: MACHINE_GEOMETRY.chunkSlots }, () =>
      "é".repeat(CELL_VALUE_BYTES_MAX / 2),
    );
    const largest = chunk(Number.MAX_SAFE_INTEGER);
    const text = encodeChunk(largest.chunk, values);
    expect(await say(store, contentVerbs(largest, value(text)).put)).toEqual(applied());
    expect(await say(store, { verb: "read", key: largest })).toEqual(applied(content(text)));
  });

  test("the limit is DynamoDB's own, to the byte", async () => {
    const { table } = await tableAndStore();
    const warned: string[] = [];
    const store = storeOn(table, warned);
    onTestFinished(() => store.close());
    const overhead = `pk${MACHINE}#A#0vldg${value("").digest}`.length;
    const [fits, tooLarge] = [0, 1].map((more) => value("x".repeat(ITEM_BYTES_MAX - overhead + more)));
    expect(await say(store, contentVerbs(chunk(0), fits!).put)).toEqual(applied());
    expect(await sayOnce(store, contentVerbs(chunk(0), tooLarge!).put)).toEqual(UNKNOWN);
    expect(warned).toEqual([expect.stringContaining("at most 409600")]);
    const client = dynamodbClient(REGION, { endpoint: LOCAL });
    onTestFinished(() => client.destroy());
    const Item = { pk: { S: `${MACHINE}#A#0` }, vl: { S: tooLarge!.text }, dg: { S: tooLarge!.digest } };
    await expect(client.send(new PutItemCommand({ TableName: table.name, Item }))).rejects.toThrow("size");
  });
});

describe("tables", () => {
  test("are born with tags, paid for by use, and protected if that is asked for", async () => {
    // DynamoDB Local keeps no tags.
    const endpoint = inject("ministack");
    const client = dynamodbClient(REGION, { endpoint });
    onTestFinished(() => client.destroy());
    const name = freshName();
    const tags = { "theseus:deployment": "d", "theseus:request": "o1" };
    const born = await createDynamodbTable(client, { name, tags, isProtected: true });
    expect(born.location).toBe(`${REGION}/${name}`);
    const { Table } = await client.send(new DescribeTableCommand({ TableName: name }));
    expect(Table).toMatchObject({
      TableId: born.incarnation,
      DeletionProtectionEnabled: true,
      BillingModeSummary: { BillingMode: "PAY_PER_REQUEST" },
    });
    const { Tags } = await client.send(new ListTagsOfResourceCommand({ ResourceArn: Table?.TableArn }));
    expect(Tags).toEqual(Object.entries(tags).map(([Key, Value]) => ({ Key, Value })));
    await expect(deleteTable({ ...born, name, endpoint })).rejects.toThrow("protected");
  });

  test("deleted under way: every verb is answered, at last with gone", async () => {
    const { table, store } = await tableAndStore();
    await say(store, createCell);
    let slot = 0;
    let isGone = false;
    const writers = Array.from({ length: 16 }, async () => {
      while (!isGone) {
        const outcome = await say(store, vote(b2, ++slot, "value"));
        if (outcome?.outcome === "refused" && outcome.gone) isGone = true;
      }
    });
    while (slot < 100) await new Promise((resolve) => setImmediate(resolve));
    await deleteTable(table);
    await Promise.all(writers);
    expect(await say(store, readCell)).toEqual(GONE);
  });

  for (const [name, endpoint] of [
    ["DynamoDB Local", LOCAL],
    ["MiniStack", inject("ministack")],
  ] as const)
    test(`recreated under the same name are known by their birth, and left as they are: ${name}`, async () => {
      const table = await newTable(endpoint);
      const before = storeOn(table);
      await before.execute(MACHINE, [createCell, createHead, vote(b2, 1, "early")]);
      await before.close();
      await deleteTable(table);
      const reborn = await newTable(endpoint, table.name);
      expect(reborn.incarnation).not.toBe(table.incarnation);
      const { location, incarnation } = reborn;
      const acceptor = { id: "a1", kind: "dynamodb", location, incarnation };
      // The registry takes it on record.
      expect(registryCommandOf({ type: "registerAcceptor", acceptor })).toMatchObject({ acceptor });
      const warned: string[] = [];
      const old = storeOn(table, warned);
      const now = storeOn(reborn);
      onTestFinished(async () => {
        await Promise.all([old.close(), now.close()]);
        await deleteTable(reborn);
      });
      const verbs = [createCell, createHead, vote(b1, 1, "late"), put, readCell];
      expect(await old.execute(MACHINE, verbs)).toEqual(verbs.map(() => GONE));
      expect(warned).toEqual([expect.stringContaining("another one took its place")]);
      expect(await say(now, readCell)).toEqual(refused());
      expect(await say(now, { verb: "read", key: chunk(0) })).toEqual(applied());
    });
});
