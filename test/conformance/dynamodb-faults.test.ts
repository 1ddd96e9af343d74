/**
 * What the DynamoDB adapter makes of errors, silence and strange tables: applied, refused or unknown, and a word to a
 * person when it will not pass. The server is a real one that speaks DynamoDB's protocol; what DynamoDB itself does is
 * tested in test/aws.
 */
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { GONE, HEAD, type Outcome, UNKNOWN, type Verb } from "../../shared/protocol/acceptor.ts";
import type { MachineId } from "../../shared/protocol/configuration.ts";
import { MACHINE_GEOMETRY } from "../../shared/protocol/slot.ts";
import { createDynamodbTable, dynamodbClient, dynamodbStore } from "../../shared/storage/dynamodb.ts";
import type { AcceptorStore } from "../../shared/storage/store.ts";
import {
  type Answer,
  answering,
  errorAnswer,
  type Fault,
  FaultyDynamodb,
  faults,
} from "../support/faulty-dynamodb.ts";
import {
  advance,
  applied,
  b2,
  CELL,
  chunk,
  contentVerbs,
  createCell,
  createHead,
  part,
  readCell,
  refused,
  value,
  vote,
} from "./items.ts";

const MACHINE = "conformance/faults" as MachineId;
const VOTE = vote(b2, 1, "value");
const BIRTH = "11111111-2222-3333-4444-555555555555";

let server: FaultyDynamodb;
let store: AcceptorStore;
let warned: string[];
/** What DescribeTable says. */
let table: Record<string, unknown>;

beforeEach(async () => {
  warned = [];
  table = { TableName: "t", TableStatus: "ACTIVE", TableId: BIRTH };
  server = await new FaultyDynamodb(async ({ operation }): Promise<Answer> => {
    if (operation === "DescribeTable") return ok({ Table: table });
    if (operation === "CreateTable") return ok({ TableDescription: table });
    return ok({});
  }).listen();
  const client = dynamodbClient("eu-central-1", { endpoint: server.url });
  store = dynamodbStore("t", BIRTH, client, (sentence) => warned.push(sentence));
});
afterEach(async () => {
  await store.close();
  server.close();
});

function ok(body: unknown): Answer {
  return { status: 200, body: JSON.stringify(body) };
}

async function say(verb: Verb): Promise<Outcome | undefined> {
  return (await store.execute(MACHINE, [verb]))[0];
}

const beaten = (item?: unknown): Answer => {
  const { status, body } = errorAnswer("ConditionalCheckFailedException");
  return {
    status,
    body: JSON.stringify({ ...JSON.parse(body), ...(item === undefined ? {} : { Item: item }) }),
  };
};

const PASSING: Readonly<Record<string, Fault>> = {
  "a throttled partition": answering(errorAnswer("ProvisionedThroughputExceededException")),
  "a throttled account": answering(errorAnswer("RequestLimitExceeded")),
  "a throttled table": answering(errorAnswer("ThrottlingException")),
  "another writer's transaction": answering(errorAnswer("TransactionConflictException")),
  "another Region's write": answering(errorAnswer("ReplicatedWriteConflictException")),
  "DynamoDB's own trouble": answering(errorAnswer("InternalServerError", 500)),
  "a service that is not there": answering(errorAnswer("ServiceUnavailable", 503)),
  "a proxy's page": faults.foreign503AfterExecuting,
  "a reset connection": faults.resetBeforeExecuting,
  "a lost reply": faults.loseReply,
  "half a reply": faults.halfReply,
  "a server that hangs": faults.hang,
  "a server that hangs in its reply": faults.hangInReply,
};

describe("requests", () => {
  const { put, drop } = contentVerbs(chunk(0), value("content"));
  const promise: Verb = { verb: "promise", key: CELL, ballot: b2 };
  const ONE_REQUEST: readonly (readonly [Verb, string])[] = [
    [createCell, "PutItem"],
    [createHead, "PutItem"],
    [promise, "UpdateItem"],
    [VOTE, "UpdateItem"],
    [advance(8, 0, "-"), "UpdateItem"],
    [put, "PutItem"],
    [drop, "DeleteItem"],
    [readCell, "GetItem"],
  ];
  const said = () => server.requests.filter(({ operation }) => operation !== "DescribeTable");

  test.each(ONE_REQUEST)("each verb is one request for one item: $verb", async (verb, operation) => {
    await say(verb);
    expect(said().map((request) => request.operation)).toEqual([operation]);
  });

  test("reads are consistent, whatever is read", async () => {
    for (const key of [CELL, HEAD, chunk(0), part("8-aa", 0)]) await say({ verb: "read", key });
    expect(said()).toHaveLength(4);
    for (const { input } of said()) expect(input).toMatchObject({ ConsistentRead: true });
  });

  test("every write but a drop is conditional, asks for what beats it, and denies nothing", async () => {
    for (const [verb] of ONE_REQUEST) if (verb.verb !== "drop" && verb.verb !== "read") await say(verb);
    expect(said()).toHaveLength(6);
    for (const { operation, input } of said()) {
      expect(input.ConditionExpression).toMatch(/^attribute_(not_)?exists\(pk\)/);
      expect(input.ConditionExpression).not.toMatch(/\bNOT\b|<>/);
      const isCreate = operation === "PutItem" && !("ExpressionAttributeValues" in input);
      if (!isCreate) expect(input).toMatchObject({ ReturnValuesOnConditionCheckFailure: "ALL_OLD" });
    }
  });
});

describe("bounds", () => {
  test("a long list goes out over few connections, all the lanes of a leader change at once", async () => {
    const votes = Array.from({ length: 300 }, () => VOTE);
    expect(await store.execute(MACHINE, votes)).toEqual(votes.map(() => applied()));
    expect(server.connections).toBeGreaterThanOrEqual(MACHINE_GEOMETRY.lanes + 1);
    expect(server.connections).toBeLessThan(100);
  });

  test("what waits for a table that does not answer has an end: one more is answered at once", async () => {
    const released = Promise.withResolvers<void>();
    server.fault("DescribeTable", async ({ execute }) => {
      await released.promise;
      return execute();
    });
    const waiting = store.execute(
      MACHINE,
      Array.from({ length: 2_000 }, () => VOTE),
    );
    expect(await say(VOTE)).toEqual(UNKNOWN);
    released.resolve();
    await waiting;
    await say(VOTE);
    const looks = server.operations.filter((operation) => operation === "DescribeTable");
    expect(looks, "the first one had not been given up").toHaveLength(1);
  });
});

describe("trouble that may pass", () => {
  test.each(Object.entries(PASSING))("%s leaves the outcome unknown", async (_, fault) => {
    server.fault("UpdateItem", fault);
    expect(await say(VOTE)).toEqual(UNKNOWN);
    expect(server.operations, "nothing is repeated below the core").toEqual(["DescribeTable", "UpdateItem"]);
    expect(await say(VOTE), "the same verb again").toEqual(applied());
    expect(warned).toEqual([]);
  });

  test("opening a table that answers nothing now leaves the outcome unknown", async () => {
    server.fault("DescribeTable", answering(errorAnswer("ThrottlingException")), faults.resetBeforeExecuting);
    expect(await say(VOTE)).toEqual(UNKNOWN);
    expect(await say(VOTE)).toEqual(UNKNOWN);
    expect(server.operations, "no verb was said").toEqual(["DescribeTable", "DescribeTable"]);
    expect(await say(VOTE)).toEqual(applied());
  });

  test("of a list, each verb has its own outcome", async () => {
    server.fault("UpdateItem", answering(errorAnswer("ThrottlingException")));
    server.fault("PutItem", answering(beaten({ vl: { S: "other" }, dg: { S: "d" } })));
    const { put } = contentVerbs(chunk(0), value("new"));
    const other = { kind: "content", content: { text: "other", digest: "d" } } as const;
    const [one, two, three] = await store.execute(MACHINE, [VOTE, put, VOTE]);
    expect(two).toEqual(refused(other));
    expect(new Set([one, three]), "either vote met the throttle").toEqual(new Set([UNKNOWN, applied()]));
  });

  test("a closed store knows nothing", async () => {
    expect(await say(VOTE)).toEqual(applied());
    await store.close();
    expect(await say(VOTE)).toEqual(UNKNOWN);
  });

  test("closing waits for what is under way", async () => {
    server.fault("UpdateItem", async ({ execute }) => {
      void store.close();
      await new Promise((resolve) => setTimeout(resolve, 50));
      return execute();
    });
    expect(await say(VOTE)).toEqual(applied());
    expect(await say(VOTE)).toEqual(UNKNOWN);
  });
});

describe("trouble that will not pass by itself", () => {
  const LASTING: Readonly<Record<string, Fault>> = {
    AccessDeniedException: answering(errorAnswer("AccessDeniedException")),
    ValidationException: answering(errorAnswer("ValidationException")),
    UnrecognizedClientException: answering(errorAnswer("UnrecognizedClientException")),
    ExpiredTokenException: answering(errorAnswer("ExpiredTokenException")),
    "KMS key is disabled": answering(errorAnswer("AccessDeniedException", 400, "KMS key is disabled")),
    SyntaxError: faults.nonsense,
  };
  test.each(Object.entries(LASTING))("%s: unknown, and said once", async (what, fault) => {
    server.fault("UpdateItem", fault, fault, fault);
    for (let time = 0; time < 3; time++) expect(await say(VOTE)).toEqual(UNKNOWN);
    expect(warned).toEqual([expect.stringMatching(`The table t cannot be used now: .*${what}`)]);
    expect(await say(VOTE)).toEqual(applied());
  });

  test("the same trouble is said once, whatever time its message has in it", async () => {
    const expired = (time: number) => errorAnswer("InvalidSignatureException", 400, `expired at ${time}`);
    server.fault("UpdateItem", answering(expired(1)), answering(expired(2)));
    server.fault("PutItem", answering(errorAnswer("AccessDeniedException")));
    for (const verb of [VOTE, VOTE, createCell]) expect(await say(verb)).toEqual(UNKNOWN);
    expect(warned).toEqual([
      expect.stringContaining("expired at 1"),
      expect.stringContaining("AccessDeniedException"),
    ]);
  });

  test("a wrong endpoint is said once as well", async () => {
    server.close();
    expect(await say(VOTE)).toEqual(UNKNOWN);
    expect(await say(VOTE)).toEqual(UNKNOWN);
    expect(warned).toEqual([expect.stringContaining("ECONNREFUSED")]);
  });

  test("an item that is none of ours proves nothing", async () => {
    server.fault("UpdateItem", answering(beaten({ pk: { S: "strange" }, color: { S: "blue" } })));
    expect(await say(VOTE)).toEqual(UNKNOWN);
    expect(warned).toEqual([expect.stringContaining("strange has no text pb: it is none of ours")]);
  });

  test("what does not fit an item is not sent, and that is said", async () => {
    const { put } = contentVerbs(chunk(0), value("é".repeat(205_000)));
    expect(await say(put)).toEqual(UNKNOWN);
    expect(server.operations).toEqual([]);
    expect(warned).toEqual([expect.stringContaining("an item of DynamoDB has at most 409600")]);
  });
});

describe("loss", () => {
  test("a table that is not there is gone, for good", async () => {
    expect(await say(VOTE)).toEqual(applied());
    server.fault("UpdateItem", answering(errorAnswer("ResourceNotFoundException")));
    expect(await say(VOTE)).toEqual(GONE);
    const said = server.operations.length;
    expect(await store.execute(MACHINE, [VOTE, createCell, readCell])).toEqual([GONE, GONE, GONE]);
    expect(server.operations, "nobody is asked any more").toHaveLength(said);
    await store.close();
    expect(await say(readCell), "closing does not make it less lost").toEqual(GONE);
    expect(warned).toEqual(["The table t is not there."]);
  });

  test("another table of the same name is gone before a verb is said to it", async () => {
    table = { ...table, TableId: "another" };
    expect(await store.execute(MACHINE, [createCell, VOTE])).toEqual([GONE, GONE]);
    expect(server.operations).toEqual(["DescribeTable"]);
    expect(warned).toEqual([`The table t was born as another, not as ${BIRTH}: another one took its place.`]);
  });

  test("a missing cell makes it look again: another table has forgotten", async () => {
    expect(await say(VOTE)).toEqual(applied());
    server.fault("UpdateItem", answering(beaten()));
    table = { ...table, TableId: "another" };
    expect(await say(VOTE)).toEqual(GONE);
    expect(await say(createCell)).toEqual(GONE);
  });

  test("a missing cell of the table itself is a refusal", async () => {
    server.fault("UpdateItem", answering(beaten()));
    expect(await say(VOTE)).toEqual(refused());
  });

  test("a missing cell is unknown while nobody can say whose it is", async () => {
    await say(VOTE);
    server.fault("UpdateItem", answering(beaten()));
    server.fault("DescribeTable", answering(errorAnswer("ThrottlingException")));
    expect(await say(VOTE)).toEqual(UNKNOWN);
  });

  test("all missing lanes together make it look once", async () => {
    await say(VOTE);
    const lanes = Array.from({ length: 33 }, () => VOTE);
    server.fault("UpdateItem", ...lanes.map(() => answering(beaten())));
    server.fault("DescribeTable", async ({ execute }) => {
      while (server.operations.filter((operation) => operation === "UpdateItem").length < 34)
        await new Promise((resolve) => setImmediate(resolve));
      return execute();
    });
    expect(await store.execute(MACHINE, lanes)).toEqual(lanes.map(() => refused()));
    const looks = server.operations.filter((operation) => operation === "DescribeTable").length;
    expect(looks).toBeLessThan(lanes.length / 2);
  });

  describe("that a restored table would hide: its cells are there, and older", () => {
    const promise: Verb = { verb: "promise", key: CELL, ballot: b2 };
    const promised = ok({ Attributes: { pb: { S: b2 }, sl: { N: "0" } } });
    const laterOn = (ms: number) => {
      const now = performance.now();
      vi.spyOn(performance, "now").mockImplementation(() => now + ms);
    };
    const looks = () => server.operations.filter((operation) => operation === "DescribeTable").length;
    beforeEach(async () => {
      await say(VOTE);
      server.fault("UpdateItem", answering(promised), answering(promised));
    });
    afterEach(() => vi.restoreAllMocks());

    test("shows when somebody starts to lead, a while after it was looked at", async () => {
      laterOn(11_000);
      table = { ...table, TableId: "restored" };
      expect(await store.execute(MACHINE, [promise, promise])).toEqual([GONE, GONE]);
      expect(looks(), "at its opening, and once for all lanes").toBe(2);
    });

    test("is not looked for at every turn", async () => {
      laterOn(9_000);
      expect(await say(promise)).toMatchObject({ outcome: "applied" });
      expect(looks()).toBe(1);
    });

    test.each([
      ["fail", answering(errorAnswer("InternalServerError", 500))],
      ["do not end", faults.hang],
    ])("does not stop a leader change while descriptions %s", async (_, fault) => {
      laterOn(11_000);
      server.fault("DescribeTable", fault);
      expect(await say(promise)).toMatchObject({ outcome: "applied" });
      expect(looks()).toBe(2);
    });
  });

  test("DescribeTable may be behind: a table that answers reads is not lost", async () => {
    server.fault("DescribeTable", answering(errorAnswer("ResourceNotFoundException")));
    expect(await say(VOTE)).toEqual(UNKNOWN);
    expect(await say(VOTE)).toEqual(applied());
  });

  test("a table that neither can be described nor read is gone", async () => {
    server.fault("DescribeTable", answering(errorAnswer("ResourceNotFoundException")));
    server.fault("GetItem", answering(errorAnswer("ResourceNotFoundException")));
    expect(await say(VOTE)).toEqual(GONE);
  });
});

describe("birth", () => {
  const birth = { name: "t", tags: { "theseus:deployment": "d" }, isProtected: true };
  const create = async () => {
    const client = dynamodbClient("eu-central-1", { endpoint: server.url });
    onTestFinished(() => client.destroy());
    return createDynamodbTable(client, birth);
  };

  test("it is waited for until it can be used", async () => {
    const creating = answering(ok({ Table: { ...table, TableStatus: "CREATING" } }));
    server.fault("DescribeTable", creating);
    expect(await create()).toEqual({ location: "eu-central-1/t", incarnation: BIRTH });
    expect(server.operations).toEqual(["CreateTable", "DescribeTable", "DescribeTable"]);
  });

  test.each(["ResourceInUseException", "LimitExceededException"])(
    "%s is the caller's business",
    async (name) => {
      server.fault("CreateTable", answering(errorAnswer(name)));
      await expect(create()).rejects.toThrow(name);
    },
  );

  test("a birth whose reply is lost is nobody's table", async () => {
    server.fault("CreateTable", faults.loseReply);
    await expect(create()).rejects.toThrow();
  });
});
