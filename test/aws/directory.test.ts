/** The directory on DynamoDB Local and MiniStack: a table in each of two Regions. */
import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, describe, expect, inject, onTestFinished, test, vi } from "vitest";
import { Directory } from "../../shared/runtime/directory.ts";
import {
  deleteDocumentsTable,
  dynamodbDocuments,
  makeDocumentsTable,
} from "../../shared/storage/documents-dynamodb.ts";
import { answering, errorAnswer, FaultyDynamodb, faults } from "../support/faulty-dynamodb.ts";
import { placeOf, pointerOf } from "../support/registry-places.ts";

const REGIONS = ["us-east-1", "eu-central-1"];
const tags = { "theseus:deployment": "test" };

describe.each([
  // It knows no backups.
  ["DynamoDB Local", inject("dynamodbLocal"), false],
  ["MiniStack", inject("ministack"), true],
])("a directory on %s", (_, endpoint, isProtected) => {
  const options = { tags, isProtected };
  let locations: readonly string[];

  beforeEach(async () => {
    vi.stubEnv("AWS_ENDPOINT_URL_DYNAMODB", endpoint);
    const table = `theseus-${randomBytes(8).toString("hex")}-directory`;
    locations = REGIONS.map((region) => `${region}/${table}`);
    await Promise.all(locations.map((location) => makeDocumentsTable(location, options)));
  });
  afterEach(async () => {
    await Promise.all(locations.map(deleteDocumentsTable));
    vi.unstubAllEnvs();
  });

  /** Of a process of its own. */
  function directory(of = locations): Directory {
    const opened = new Directory(of.map((location) => dynamodbDocuments(location)));
    onTestFinished(() => opened.close());
    return opened;
  }

  test("is made once by any number of processes, and its tables too", async () => {
    await Promise.all(locations.map((location) => makeDocumentsTable(location, options)));
    const names = ["a", "b", "c", "d"];
    const made = await Promise.all(names.map((name) => directory().make(placeOf(name))));
    const [{ deployment } = placeOf("none")] = made;
    expect(made.map((each) => each.deployment)).toEqual(names.map(() => deployment));
    for (const location of locations)
      expect(await directory([location]).registry()).toEqual(placeOf(deployment));
  });

  test("moves only forward, whoever moves it", async () => {
    await directory().make(placeOf("a"));
    const numbers = [6, 2, 4, 3, 5];
    await Promise.all(numbers.map((number) => directory().move(pointerOf(number, "r1", "r2", `n${number}`))));
    for (const location of locations)
      expect((await directory([location]).registry()).configuration.number).toBe(6);
  });

  test("is read without the Region that is lost, and made whole again there", async () => {
    const [lost, left] = locations as [string, string];
    await directory().make(placeOf("a"));
    await deleteDocumentsTable(lost);
    expect((await directory().registry()).deployment).toBe("a");
    await expect(directory().move(pointerOf(2, "r1", "r2", "r4"))).rejects.toThrow("deploy again");
    expect((await directory([left]).registry()).configuration.number).toBe(1);
    await makeDocumentsTable(lost, options);
    expect((await directory().make(placeOf("b"))).deployment).toBe("a");
    expect((await directory([lost]).registry()).deployment).toBe("a");
  });

  test("forgives a reply that is lost on the way", async () => {
    const before = await FaultyDynamodb.before(endpoint).listen();
    onTestFinished(() => before.close());
    vi.stubEnv("AWS_ENDPOINT_URL_DYNAMODB", before.url);
    before.fault("PutItem", faults.loseReply);
    before.fault("GetItem", faults.resetBeforeExecuting);
    expect((await directory().make(placeOf("a"))).deployment).toBe("a");
    before.fault("PutItem", faults.loseReply, faults.resetBeforeExecuting);
    await directory().move(pointerOf(2, "r1", "r2", "r4"));
    expect((await directory().registry()).configuration.number).toBe(2);
  });
});

test("a directory that is to be protected waits until its backups can be switched on", async () => {
  const before = await FaultyDynamodb.before(inject("ministack")).listen();
  onTestFinished(() => before.close());
  vi.stubEnv("AWS_ENDPOINT_URL_DYNAMODB", before.url);
  onTestFinished(() => void vi.unstubAllEnvs());
  const location = `us-east-1/theseus-${randomBytes(8).toString("hex")}-directory`;
  onTestFinished(() => deleteDocumentsTable(location));
  // As AWS answers for seconds after a table's birth.
  const tooEarly = answering(errorAnswer("ContinuousBackupsUnavailableException"));
  before.fault("CreateTable", faults.loseReply);
  before.fault("UpdateContinuousBackups", tooEarly, answering(errorAnswer("ThrottlingException")), tooEarly);
  await makeDocumentsTable(location, { tags, isProtected: true });
  expect(before.operations.filter((operation) => operation === "UpdateContinuousBackups")).toHaveLength(4);
});
