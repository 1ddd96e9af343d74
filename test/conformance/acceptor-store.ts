import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type ChunkKey,
  decide,
  GONE,
  HEAD,
  type Head,
  type Item,
  type Key,
  keyText,
  type Outcome,
  type PartKey,
  type Verb,
} from "../../shared/protocol/acceptor.ts";
import { type Ballot, ballotOf, birthBallot } from "../../shared/protocol/ballot.ts";
import type { MachineId } from "../../shared/protocol/configuration.ts";
import type { Slot } from "../../shared/protocol/slot.ts";
import type { AcceptorStore } from "../../shared/storage/store.ts";
import { CONDITIONS } from "./conditions.ts";
import {
  advance,
  applied,
  b2,
  b3,
  bornCell,
  C1,
  CELL,
  cell,
  chunk,
  content,
  contentVerbs,
  createCell,
  createHead,
  headOf,
  part,
  processOf,
  randomText,
  readCell,
  readHead,
  refused,
  value,
  vote,
  voted,
} from "./items.ts";
import { anyVerb, RANDOM_KEYS } from "./random-verbs.ts";

/** One table of the adapter, born anew for the test. */
export interface TableUnderTest {
  readonly store: AcceptorStore;
  /** Another handle on the same table, as another process has it. Absent: only one handle is possible. */
  readonly second?: AcceptorStore;
  /** The table is deleted, while the handles stay open. */
  destroy(): Promise<void>;
  /** It is deleted and born again, empty, under the same name. Returns a handle on the new one. */
  rebirth(): Promise<AcceptorStore>;
  /** Closes the handles and removes everything. */
  cleanup(): Promise<void>;
}

/** Tests that an adapter cannot pass: name → reason, in a sentence. */
export type Skip = Readonly<Record<string, string>>;

export function acceptorStoreConformance(
  name: string,
  open: () => Promise<TableUnderTest>,
  skip: Skip = {},
): void {
  const unusedSkips = new Set(Object.keys(skip));
  function check(title: string, run: () => Promise<void>): void {
    const reason = skip[title];
    if (reason === undefined) return void test(title, run);
    unusedSkips.delete(title);
    expect(reason, `why ${name} skips "${title}"`).toMatch(/\w+ \w+/);
    test.skip(`${title} (${reason})`, run);
  }

  describe(`acceptor store: ${name}`, () => {
    let table: TableUnderTest;
    const handles = () => (table.second === undefined ? [table.store] : [table.store, table.second]);
    beforeAll(async () => {
      table = await open();
    });
    afterAll(() => table.cleanup());

    describe("conditions", () => {
      for (const example of CONDITIONS) {
        check(example.name, async () => {
          const machine = newMachine();
          for (const verb of example.given) await say(table.store, machine, verb);
          expect(await say(table.store, machine, example.when)).toEqual(example.outcome);
          const stands = await say(table.store, machine, { verb: "read", key: example.when.key });
          expect(stands).toEqual(example.stands);
        });
        if (example.outcome.outcome !== "applied" || example.when.verb === "read") continue;
        check(`${example.name}; resent, it is applied again`, async () => {
          const machine = newMachine();
          for (const verb of example.given) await say(table.store, machine, verb);
          await say(table.store, machine, example.when);
          expect(await say(table.store, machine, example.when)).toEqual(example.outcome);
          const stands = await say(table.store, machine, { verb: "read", key: example.when.key });
          expect(stands).toEqual(example.stands);
        });
      }
    });

    describe("items", () => {
      check("two machines in one table do not see each other", async () => {
        const [one, other] = [newMachine(), newMachine()];
        const { put } = contentVerbs(chunk(0), value("of one"));
        for (const verb of [createCell, createHead, vote(b2, 1, "of one"), advance(8, 0, "-"), put])
          await say(table.store, one, verb);
        for (const key of [CELL, HEAD])
          expect(await say(table.store, other, { verb: "read", key })).toEqual(refused());
        expect(await say(table.store, other, { verb: "read", key: chunk(0) })).toEqual(applied());
        await say(table.store, other, contentVerbs(chunk(0), value("")).drop);
        expect(await say(table.store, one, { verb: "read", key: chunk(0) })).toEqual(
          applied(content("of one")),
        );
      });

      check("lanes, configurations, chunks and parts are separate items", async () => {
        const machine = newMachine();
        const keys: readonly Key[] = [
          ...[1, 11].flatMap((c) => [0, 1, 11].map((lane) => cell(c, lane))),
          ...[chunk(1), chunk(11), part("8-ab", 1), part("8-ab", 11), part("8-a", 1)],
        ];
        const writes = keys.map((key): Verb => {
          if (key.kind === "cell") return { verb: "create", key };
          return contentVerbs(key as ChunkKey | PartKey, value(keyText(key))).put;
        });
        await table.store.execute(machine, writes);
        await say(table.store, machine, { verb: "promise", key: cell(1, 1), ballot: b3 });
        await say(table.store, machine, contentVerbs(chunk(1), value("")).drop);
        for (const key of keys) {
          const outcome = await say(table.store, machine, { verb: "read", key });
          if (key.kind === "cell") {
            const fenced = key.configuration === 1 && key.lane === 1;
            const promised = fenced ? b3 : birthBallot(key.configuration);
            expect(outcome).toEqual(applied({ kind: "cell", promised, slot: 0 as Slot }));
          } else {
            expect(outcome).toEqual(keyText(key) === "A#1" ? applied() : applied(content(keyText(key))));
          }
        }
      });

      check("a list of verbs is answered in order", async () => {
        const machine = newMachine();
        const numbers = Array.from({ length: 40 }, (_, index) => index);
        const puts = numbers.map((n) => contentVerbs(chunk(n), value(`content ${n}`)).put);
        expect(await table.store.execute(machine, puts)).toEqual(numbers.map(() => applied()));
        const reads = numbers.map((n): Verb => ({ verb: "read", key: chunk(n) }));
        expect(await table.store.execute(machine, reads)).toEqual(
          numbers.map((n) => applied(content(`content ${n}`))),
        );
      });

      check("a refused verb undoes no other of its list", async () => {
        const machine = newMachine();
        await say(table.store, machine, createCell);
        const outcomes = await table.store.execute(machine, [
          contentVerbs(chunk(0), value("before")).put,
          { verb: "promise", key: cell(1, 9), ballot: b2 },
          contentVerbs(chunk(1), value("after")).put,
        ]);
        expect(outcomes).toEqual([applied(), refused(), applied()]);
        for (const [number, text] of ["before", "after"].entries())
          expect(await say(table.store, machine, { verb: "read", key: chunk(number) })).toEqual(
            applied(content(text)),
          );
      });

      check("an empty list has an empty answer", async () => {
        expect(await table.store.execute(newMachine(), [])).toEqual([]);
      });

      const TEXTS: Readonly<Record<string, string>> = {
        "an empty text": "",
        "a chunk of 300 KB": randomText(300_000),
        "unicode text": 'é 漢字 🚢👩‍👩‍👧 \u202e "quoted" \\ \n\t % _ \u0001 \ufeff',
      };
      for (const [what, text] of Object.entries(TEXTS)) {
        check(`${what} comes back as it was`, async () => {
          const machine = newMachine();
          await say(table.store, machine, contentVerbs(chunk(0), value(text)).put);
          expect(await say(table.store, machine, { verb: "read", key: chunk(0) })).toEqual(
            applied(content(text)),
          );
        });
      }

      check("a vote of 48 KB comes back as it was, after a small one and before a small one", async () => {
        const machine = newMachine();
        await say(table.store, machine, createCell);
        for (const [index, text] of ["small", randomText(48_000), "tiny"].entries()) {
          const slot = index + 1;
          expect(await say(table.store, machine, vote(b2, slot, text))).toEqual(applied());
          expect(await say(table.store, machine, readCell)).toEqual(applied(voted(b2, slot, text)));
        }
      });

      check("machines and snapshots may have unusual names", async () => {
        const machines = ["counter/漢字 🚢", "counter/a#b", "counter/a", "counter/"].map(
          (name) => `${newMachine()}/${name}` as MachineId,
        );
        for (const machine of machines)
          await say(table.store, machine, contentVerbs(part("8-#é", 0), value(machine)).put);
        for (const machine of machines)
          expect(await say(table.store, machine, { verb: "read", key: part("8-#é", 0) })).toEqual(
            applied(content(machine)),
          );
      });

      check("names do not run together: where one machine ends and its item begins", async () => {
        const machine = newMachine();
        const items = [
          [machine, part("x#A", 1)],
          [`${machine}#S#x` as MachineId, chunk(1)],
          [`${machine}%23S%23x` as MachineId, chunk(1)],
        ] as const;
        for (const [of, key] of items)
          expect(await say(table.store, of, contentVerbs(key, value(of)).put)).toEqual(applied());
        for (const [of, key] of items)
          expect(await say(table.store, of, { verb: "read", key })).toEqual(applied(content(of)));
      });
    });

    describe("several writers", () => {
      check("what one handle wrote, another one reads", async () => {
        const machine = newMachine();
        const [first, last] = [handles().at(0), handles().at(-1)] as [AcceptorStore, AcceptorStore];
        await say(first, machine, createCell);
        for (let slot = 1; slot <= 20; slot++) {
          expect(await say(first, machine, vote(b2, slot, `value ${slot}`))).toEqual(applied());
          expect(await say(last, machine, readCell)).toEqual(applied(voted(b2, slot, `value ${slot}`)));
        }
      });

      check("of the values voted for a slot at one ballot, exactly one wins", async () => {
        const machine = newMachine();
        await say(table.store, machine, createCell);
        const wins = new Map<number, string[]>();
        await race(handles(), async (store, writer) => {
          let seen = 0;
          while (seen < RACE_STEPS) {
            const text = `${writer} in ${seen + 1}`;
            const outcome = await say(store, machine, vote(b2, seen + 1, text));
            if (outcome.outcome === "applied") {
              seen += 1;
              wins.set(seen, [...(wins.get(seen) ?? []), text]);
            } else {
              const by = (outcome as { by: Extract<Item, { kind: "cell" }> }).by;
              expect(by.slot, "the slot that beat a vote").toBeGreaterThan(seen);
              seen = by.slot;
            }
          }
        });
        expect([...wins.keys()].sort((one, other) => one - other)).toEqual(
          Array.from({ length: RACE_STEPS }, (_, index) => index + 1),
        );
        for (const [slot, texts] of wins) expect(texts, `winners of slot ${slot}`).toHaveLength(1);
        expect(await say(table.store, machine, readCell)).toEqual(
          applied(voted(b2, RACE_STEPS, wins.get(RACE_STEPS)?.[0] as string)),
        );
      });

      check("promises only rise, and the highest one stands", async () => {
        const machine = newMachine();
        await say(table.store, machine, createCell);
        const granted: Ballot[] = [];
        await race(handles(), async (store, writer) => {
          let seen = birthBallot(C1);
          for (let step = 0; step < RACE_STEPS; step++) {
            const ballot = ballotOf(C1, step + 1, processOf(writer));
            const outcome = await say(store, machine, { verb: "promise", key: CELL, ballot });
            const applies = outcome.outcome === "applied";
            const item = applies ? outcome.item : (outcome as { by?: Item }).by;
            const { promised } = item as Extract<Item, { kind: "cell" }>;
            if (applies) {
              expect(promised, "what a promise answers").toBe(ballot);
              granted.push(ballot);
            } else expect(promised > ballot, "what beat a promise is higher").toBe(true);
            expect(promised >= seen, "a promise never falls").toBe(true);
            seen = promised;
          }
        });
        const highest = granted.toSorted().at(-1) as Ballot;
        expect(await say(table.store, machine, readCell)).toEqual(
          applied({ kind: "cell", promised: highest, slot: 0 as Slot }),
        );
      });

      check("after a promise no lower ballot votes", async () => {
        const machine = newMachine();
        await say(table.store, machine, createCell);
        let highestPromised = birthBallot(C1);
        await race(handles(), async (store, writer, index) => {
          for (let step = 1; step <= RACE_STEPS; step++) {
            const ballot = ballotOf(C1, step, processOf(writer));
            if (index % 2 === 0) {
              const outcome = await say(store, machine, { verb: "promise", key: CELL, ballot });
              if (outcome.outcome === "applied" && ballot > highestPromised) highestPromised = ballot;
            } else {
              const promisedBefore = highestPromised;
              const outcome = await say(store, machine, vote(ballot, step, writer));
              if (outcome.outcome === "applied") expect(ballot >= promisedBefore).toBe(true);
            }
          }
        });
        const stands = await say(table.store, machine, readCell);
        const { promised } = (stands as { item: Extract<Item, { kind: "cell" }> }).item;
        expect(promised >= highestPromised, "no vote lowered the promise").toBe(true);
      });

      check("a Head that many writers advance never falls", async () => {
        const machine = newMachine();
        await say(table.store, machine, createHead);
        await race(handles(), async (store) => {
          let seen = 0;
          for (let step = 1; step <= RACE_STEPS; step++) {
            const outcome = await say(store, machine, advance(step * 8, 0, "-"));
            const applies = outcome.outcome === "applied";
            const head = (applies ? outcome.item : (outcome as { by?: Item }).by) as Head;
            expect(head.covered, "an advance answers at least its own slot").toBeGreaterThanOrEqual(step * 8);
            expect(head.covered).toBeGreaterThanOrEqual(seen);
            seen = head.covered;
          }
        });
        expect(await say(table.store, machine, readHead)).toEqual(applied(headOf(RACE_STEPS * 8, 0, "-")));
      });
    });

    describe("loss", () => {
      const everyVerb: readonly Verb[] = [
        createCell,
        createHead,
        { verb: "promise", key: CELL, ballot: b3 },
        vote(b3, 9, "late"),
        advance(16, 0, "-"),
        contentVerbs(chunk(1), value("late")).put,
        contentVerbs(chunk(1), value("late")).drop,
        ...[CELL, HEAD, chunk(0)].map((key): Verb => ({ verb: "read", key })),
      ];
      const allGone = everyVerb.map(() => GONE);

      async function onOwnTable(run: (table: TableUnderTest) => Promise<void>): Promise<void> {
        const own = await open();
        try {
          await run(own);
        } finally {
          await own.cleanup();
        }
      }

      check("a deleted table refuses everything, and says that it is gone", () =>
        onOwnTable(async (own) => {
          const machine = newMachine();
          for (const store of [own.store, own.second ?? own.store])
            await store.execute(machine, [createCell, createHead, vote(b2, 1, "early")]);
          await own.destroy();
          for (const store of [own.store, own.second ?? own.store]) {
            expect(await store.execute(machine, everyVerb)).toEqual(allGone);
            expect(await store.execute(newMachine(), everyVerb)).toEqual(allGone);
          }
        }),
      );

      check("a table deleted before it was first used is gone as well", () =>
        onOwnTable(async (own) => {
          await own.destroy();
          expect(await own.store.execute(newMachine(), everyVerb)).toEqual(allGone);
        }),
      );

      check("a table born anew answers its old handles that theirs is gone", () =>
        onOwnTable(async (own) => {
          const machine = newMachine();
          await own.store.execute(machine, [createCell, createHead, vote(b2, 1, "early")]);
          const reborn = await own.rebirth();
          try {
            for (const store of [own.store, own.second ?? own.store]) {
              // A table may know only when it is asked for a promise that it has forgotten; from then on it knows.
              expect(await say(store, machine, readCell)).toEqual(GONE);
              expect(await store.execute(machine, everyVerb)).toEqual(allGone);
            }
            expect(await say(reborn, machine, readCell)).toEqual(refused());
            expect(await say(reborn, machine, createCell)).toEqual(applied());
            expect(await say(reborn, machine, readCell)).toEqual(applied(bornCell));
          } finally {
            await reborn.close();
          }
        }),
      );
    });

    check("random verbs have the outcomes and items of `decide` on a map", async () => {
      const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31);
      console.log(`acceptor store ${name}: SEED=${seed}`);
      const property = fc.asyncProperty(fc.array(anyVerb, { maxLength: 40 }), async (verbs) => {
        const machine = newMachine();
        const model = new Map<string, Item>();
        for (const verb of verbs) {
          const key = keyText(verb.key);
          const { outcome, next } = decide(verb, model.get(key));
          if (next === null) model.delete(key);
          else if (next !== undefined) model.set(key, next);
          expect(await say(table.store, machine, verb)).toEqual(outcome);
        }
        for (const key of RANDOM_KEYS) {
          const { outcome } = decide({ verb: "read", key }, model.get(keyText(key)));
          expect(await say(table.store, machine, { verb: "read", key })).toEqual(outcome);
        }
      });
      await fc.assert(property, { seed, numRuns: 200 });
    });
  });

  if (unusedSkips.size > 0) throw new Error(`no such test to skip: ${[...unusedSkips].join(", ")}`);
}

/**
 * Enough for every interleaving of a few writers to occur, and little enough for a table over a network. Each writer
 * is a hexadecimal digit, of which its process id is made.
 */
const RACE_WRITERS = 16;
const RACE_STEPS = 50;

let machines = 0;
function newMachine(): MachineId {
  machines += 1;
  return `conformance/${machines}` as MachineId;
}

/** One verb, said as PROTOCOL §1 asks: the identical one again while the outcome is unknown. */
async function say(store: AcceptorStore, machine: MachineId, verb: Verb): Promise<Outcome> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const [outcome] = await store.execute(machine, [verb]);
    if (outcome === undefined) throw new Error("a verb without an outcome");
    if (outcome.outcome !== "unknown") return outcome;
  }
  throw new Error(`still unknown after a hundred attempts: ${JSON.stringify(verb).slice(0, 200)}`);
}

async function race(
  handles: readonly AcceptorStore[],
  run: (store: AcceptorStore, writer: string, index: number) => Promise<void>,
): Promise<void> {
  const writers = Array.from({ length: RACE_WRITERS }, (_, index) =>
    run(handles[index % handles.length] as AcceptorStore, index.toString(16), index),
  );
  await Promise.all(writers);
}
