/** Whose tokens count at a leader, as the directory and the registry come and go. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { ProcessId } from "../../shared/protocol/ballot.ts";
import type { LeaderServer } from "../../shared/protocol/registry.ts";
import { Signatories } from "../../shared/runtime/tokens/signatories.ts";

function leader(letter: string): LeaderServer {
  const process = letter.repeat(32) as ProcessId;
  return { id: `leader-${letter}`, process, address: "https://127.0.0.1:1", publicKey: letter.repeat(43) };
}
const [A, B] = [leader("a"), leader("b")];
const DOWN = new Error("down");

let hinted: readonly LeaderServer[] | Error;
let recorded: readonly LeaderServer[] | Error;
let asked: string[];
let signatories: Signatories;

beforeEach(() => {
  [hinted, recorded, asked] = [[], [], []];
  const answer = (who: string, what: () => readonly LeaderServer[] | Error) => async () => {
    asked.push(who);
    const leaders = what();
    if (leaders instanceof Error) throw leaders;
    return leaders;
  };
  signatories = new Signatories({
    given: new Map([["registry", { publicKey: "r", right: "operate", lifeMaxMs: 1 }]]),
    hinted: answer("directory", () => hinted),
    recorded: answer("registry", () => recorded),
  });
});

afterEach(() => vi.restoreAllMocks());

/** So that what nobody knew is asked for again. */
async function later(ms: number): Promise<void> {
  vi.spyOn(performance, "now").mockReturnValue(performance.now() + ms);
  await sleep(0);
}

describe("whose tokens count", () => {
  it("is known of those who were given, without asking", async () => {
    expect(await signatories.of("registry")).toMatchObject({ publicKey: "r", right: "operate" });
    expect(asked).toEqual([]);
  });

  it("is learnt from the directory, and remembered with everything down", async () => {
    hinted = [A];
    expect(await signatories.of(A.process)).toMatchObject({ publicKey: A.publicKey, right: "peer" });
    [hinted, recorded] = [DOWN, DOWN];
    await later(120_000);
    for (let n = 0; n < 3; n++) expect(await signatories.of(A.process)).toBeDefined();
    await later(240_000);
    expect(await signatories.of(A.process)).toBeDefined();
  });

  it("is learnt from the registry where the directory does not know, and forgets nobody for that", async () => {
    [hinted, recorded] = [[A], DOWN];
    expect(await signatories.of(A.process)).toBeDefined();
    await later(2_000);
    hinted = [];
    expect(await signatories.of(B.process)).toBeUndefined();
    expect(await signatories.of(A.process)).toBeDefined();
    await later(4_000);
    recorded = [A, B];
    expect(await signatories.of(B.process)).toMatchObject({ publicKey: B.publicKey });
  });

  it("ends with whoever is on record no more", async () => {
    hinted = [A];
    expect(await signatories.of(A.process)).toBeDefined();
    [hinted, recorded] = [[B], [B]];
    await later(61_000);
    expect(await signatories.of(A.process)).toBeDefined();
    await sleep(10);
    expect(await signatories.of(A.process)).toBeUndefined();
  });

  it("costs one question in a while, however many strangers come", async () => {
    const strangers = Array.from({ length: 50 }, (_, n) => signatories.of(String(n)));
    expect(await Promise.all(strangers)).toEqual(strangers.map(() => undefined));
    for (let n = 0; n < 50; n++) await signatories.of(String(n));
    expect(asked).toEqual(["directory", "registry"]);
  });
});
