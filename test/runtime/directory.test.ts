/** The directory over several Regions, each a place in memory. */
import { beforeEach, describe, expect, test } from "vitest";
import { Directory } from "../../shared/runtime/directory.ts";
import { signerOf } from "../../shared/runtime/signing.ts";
import { MemoryDocuments } from "../support/memory-documents.ts";
import { leaderServer, placeOf, pointerOf } from "../support/registry-places.ts";

let here: MemoryDocuments;
let there: MemoryDocuments;
let directory: Directory;

beforeEach(() => {
  here = new MemoryDocuments("us-east-1/here");
  there = new MemoryDocuments("eu-west-1/there");
  directory = new Directory([here, there]);
});

const only = (documents: MemoryDocuments) => new Directory([documents]);

describe("where the registry is", () => {
  test("is not known before a deployment was made", async () => {
    expect(await directory.find()).toBeUndefined();
    await expect(directory.registry()).rejects.toThrow("deploy first");
  });

  test("is made once, whoever comes second", async () => {
    const made = await Promise.all([directory.make(placeOf("a")), directory.make(placeOf("b"))]);
    const [{ deployment }] = made;
    expect(made.map((each) => each.deployment)).toEqual([deployment, deployment]);
    for (const documents of [here, there])
      expect((await only(documents).registry()).deployment).toBe(deployment);
    expect((await directory.make(placeOf("c"))).deployment).toBe(deployment);
  });

  test("is not what a place in reach waits for others with, when the deployment's id is all that is asked", async () => {
    await directory.make(placeOf("a"));
    there.read = () => new Promise(() => {});
    expect(await directory.deployment()).toBe("a");
    await expect(only(new MemoryDocuments("nowhere")).deployment()).rejects.toThrow("deploy first");
  });

  test("is copied to a place that came later, and to one that was made anew", async () => {
    await only(there).make(placeOf("a"));
    expect((await directory.make(placeOf("b"))).deployment).toBe("a");
    expect((await only(here).registry()).deployment).toBe("a");
    there.documents.clear();
    await directory.move(pointerOf(1, "r1", "r2", "r3"));
    expect((await only(there).registry()).deployment).toBe("a");
  });

  test("is not told, changed or made where the places name different registries", async () => {
    await only(here).make(placeOf("a"));
    await only(there).make(placeOf("b"));
    await only(there).move(pointerOf(2, "r1", "r2", "r4"));
    const acts = [
      () => directory.find(),
      () => directory.registry(),
      () => directory.make(placeOf("c")),
      () => directory.move(pointerOf(3, "r1", "r2", "r5")),
      () => directory.makeDeployment(),
    ];
    for (const act of acts) await expect(act()).rejects.toThrow("different registries (a, b)");
    expect((await only(here).registry()).deployment).toBe("a");
  });

  test("is preceded by the deployment's random bits, drawn once, whoever comes second", async () => {
    const made = await Promise.all([directory.makeDeployment(), directory.makeDeployment()]);
    expect(made).toEqual([expect.stringMatching(/^[0-9a-f]{32}$/), made[0]]);
    here.documents.clear();
    expect(await directory.makeDeployment(), "as another place has them").toBe(made[0]);
    await directory.make(placeOf("a"));
    expect(await directory.makeDeployment(), "as the registry has them").toBe("a");
  });

  test("moves only forward, everywhere", async () => {
    await directory.make(placeOf("a"));
    await directory.move(pointerOf(3, "r1", "r2", "r4"));
    await directory.move(pointerOf(2, "r1", "r2", "r5"));
    for (const documents of [here, there]) {
      const { configuration, acceptors, first, deployment } = await only(documents).registry();
      expect([configuration.number, first.number, deployment]).toEqual([3, 1, "a"]);
      expect(acceptors.map(({ id }) => id)).toEqual(["r1", "r2", "r4"]);
    }
  });

  test("of those who move it at once the newest wins", async () => {
    await directory.make(placeOf("a"));
    const numbers = [4, 2, 5, 3];
    await Promise.all(numbers.map((number) => directory.move(pointerOf(number, "r1", "r2", `n${number}`))));
    expect((await directory.registry()).configuration.number).toBe(5);
    expect((await only(there).registry()).configuration.number).toBe(5);
  });

  test("does not move while a place is away, and is read from the others", async () => {
    await directory.make(placeOf("a"));
    await only(there).move(pointerOf(2, "r1", "r2", "r4"));
    expect((await directory.registry()).configuration.number, "the newest counts").toBe(2);
    there.isAway = true;
    await expect(directory.move(pointerOf(3, "r1", "r2", "r5"))).rejects.toThrow("away");
    expect((await directory.registry()).deployment).toBe("a");
    here.isAway = true;
    await expect(directory.registry()).rejects.toThrow("away");
  });

  test("its address may change without the configuration", async () => {
    await directory.make(placeOf("a"));
    await directory.readdress("https://new.lambda-url.us-east-1.on.aws/");
    await directory.move(pointerOf(2, "r1", "r2", "r4"));
    expect(await directory.registry()).toMatchObject({
      address: "https://new.lambda-url.us-east-1.on.aws/",
      configuration: { number: 2 },
    });
  });

  test.each([
    ["{", "not JSON"],
    [JSON.stringify({ format: 2 }), "format 2"],
    [JSON.stringify({ format: 1 }), "no deployment"],
    [JSON.stringify({ format: 1, ...placeOf("a"), acceptors: [] }), "has no table"],
    [JSON.stringify({ format: 1, ...placeOf("a"), configuration: {} }), "no number"],
    [JSON.stringify({ format: 1, ...placeOf("a"), acceptors: [{ id: "r1" }] }), "not DynamoDB tables"],
  ])("is not half believed: %s", async (text, fault) => {
    here.documents.set("registry", { version: 1, text });
    await expect(only(here).registry()).rejects.toThrow(fault);
  });
});

describe("the leaders", () => {
  const ids = async (of: Directory) => (await of.leaders()).map(({ id }) => id);

  test("are what the registry said last, by its log and not by when it came", async () => {
    expect(await ids(directory)).toEqual([]);
    await directory.tellLeaders([leaderServer("leader-1"), leaderServer("leader-2")], 7);
    await directory.tellLeaders([leaderServer("leader-1")], 5);
    for (const documents of [here, there])
      expect(await ids(only(documents))).toEqual(["leader-1", "leader-2"]);
  });

  test("are asked of another place where the nearest was made anew", async () => {
    await directory.tellLeaders([leaderServer("leader-1")], 1);
    here.documents.clear();
    expect(await ids(directory)).toEqual(["leader-1"]);
    there.isAway = true;
    expect(await ids(directory)).toEqual([]);
  });

  test("are told to the places that there are, and asked of them", async () => {
    here.isAway = true;
    await directory.tellLeaders([leaderServer("leader-1")], 1);
    expect(await ids(directory)).toEqual(["leader-1"]);
    there.isAway = true;
    await expect(directory.leaders()).rejects.toThrow("away");
    await expect(directory.tellLeaders([], 2)).rejects.toThrow("away");
  });
});

describe("the keys that tokens are signed with", () => {
  test("are made once and the same everywhere, whoever comes second or a place that was made anew", async () => {
    const made = await Promise.all([directory.makeKeys(), directory.makeKeys()]);
    expect(made[1]).toEqual(made[0]);
    here.documents.clear();
    await expect(only(here).keys()).rejects.toThrow("deploy first");
    expect(await directory.makeKeys()).toEqual(made[0]);
    for (const documents of [here, there]) {
      expect(await only(documents).keys()).toEqual(made[0]);
      for (const of of ["registry", "gateway"] as const)
        expect(signerOf(await only(documents).privateKey(of)).publicKey).toBe(made[0][of]);
    }
  });

  test("are each in an item of its own, and the public ones tell nothing of the private ones", async () => {
    const { registry, gateway } = await directory.makeKeys();
    expect(registry).not.toBe(gateway);
    expect([...here.documents.keys()].sort()).toEqual(["key/gateway", "key/registry", "tokens"]);
    expect(JSON.parse(here.documents.get("tokens")?.text ?? "")).toEqual({
      format: 1,
      keys: { registry, gateway },
    });
  });

  test("are read where the nearest place does not answer", async () => {
    const keys = await directory.makeKeys();
    here.isAway = true;
    expect(await directory.keys()).toEqual(keys);
    await expect(directory.makeKeys()).rejects.toThrow("away");
  });
});
