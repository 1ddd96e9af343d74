import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { StandardSchemaV1 } from "@standard-schema/spec";
import fc from "fast-check";
import { defineMachine, type Refusal, refuse } from "theseus";
import { afterAll, beforeAll, describe, expect, expectTypeOf, it, test } from "vitest";
import { z } from "zod";
import { bank } from "../examples/bank.ts";
import { lock } from "../examples/lock.ts";
import { Invalid } from "../shared/errors.ts";
import {
  BATCH_ENVELOPE_BYTES_MAX,
  CELL_VALUE_BYTES_MAX,
  COMMAND_BYTES_MAX,
  COMMAND_DEPTH_MAX,
  COMMAND_ENVELOPE_BYTES_MAX,
  INSTANCE_ID_PATTERN,
  KEY_PATTERN,
} from "../shared/limits.ts";
import {
  type CommandOf,
  isMachineDefinition,
  type MachineDefinition,
  machineCode,
  type QueryArgsOf,
  type QueryNameOf,
  type QueryResultOf,
  type ResponseOf,
  validateCommand,
} from "../shared/machine.ts";
import { ballotOf, type ConfigurationNumber, type ProcessId } from "../shared/protocol/ballot.ts";
import type { Context } from "../shared/protocol/replica.ts";
import { MACHINE_GEOMETRY, NO_SLOT } from "../shared/protocol/slot.ts";
import { encodeBatch, encodeCommand, type Sequence, type SessionId } from "../shared/protocol/value.ts";
import { toJson } from "../shared/runtime/json.ts";
import { loadMachines } from "../shared/runtime/load-machines.ts";

/** A schema made of one function, as any library's is. */
function schemaOf<Output>(
  validate: (value: unknown) => StandardSchemaV1.Result<Output> | Promise<StandardSchemaV1.Result<Output>>,
): StandardSchemaV1<unknown, Output> {
  return { "~standard": { version: 1, vendor: "test", validate } };
}

const anything = schemaOf((value) => ({ value }));

function machineWith<Output>(command: StandardSchemaV1<unknown, Output>) {
  return defineMachine({
    name: "any",
    version: 1,
    command,
    init: () => ({}),
    apply: () => "OK",
    queries: {},
  });
}

const CONTEXT: Context = { slot: NO_SLOT, time: 0, random: () => 0, notify: () => {} };

describe("types", () => {
  it("infers the command from the schema, before and after validation", () => {
    const counter = defineMachine({
      name: "counter",
      version: 1,
      command: z.object({ by: z.int().default(1) }),
      init: () => ({ count: 0 }),
      apply(state, command, context) {
        expectTypeOf(state).toEqualTypeOf<{ count: number }>();
        expectTypeOf(command).toEqualTypeOf<{ by: number }>();
        expectTypeOf(context).toEqualTypeOf<Context>();
        state.count += command.by;
        return state.count;
      },
      queries: { count: (state) => state.count },
    });
    expectTypeOf<CommandOf<typeof counter>>().toEqualTypeOf<{ by?: number | undefined }>();
    expectTypeOf<ResponseOf<typeof counter>>().toEqualTypeOf<number>();
  });

  it("infers the response with each refusal as its reason, literals kept", () => {
    expectTypeOf<ResponseOf<typeof bank>>().toEqualTypeOf<
      "OK" | "Done" | "Insufficient Funds" | "Balance Too Large"
    >();
    expectTypeOf<ResponseOf<typeof lock>>().toEqualTypeOf<
      | { readonly token: number; readonly expires: number }
      | { readonly position: number }
      | "Released"
      | "Queue Full"
      | "Not The Holder"
    >();
    expectTypeOf(refuse("no")).toEqualTypeOf<Refusal<"no">>();
  });

  it("infers names, arguments and results of queries", () => {
    expectTypeOf<QueryNameOf<typeof bank>>().toEqualTypeOf<"balance" | "total">();
    expectTypeOf<QueryArgsOf<typeof bank, "balance">>().toEqualTypeOf<string>();
    expectTypeOf<QueryArgsOf<typeof bank, "total">>().toEqualTypeOf<undefined>();
    expectTypeOf<QueryResultOf<typeof bank, "balance">>().toEqualTypeOf<number>();
    expectTypeOf<QueryResultOf<typeof lock, "queue">>().toEqualTypeOf<string[]>();
  });

  it("takes the state's type from init's return type when one is written", () => {
    interface Wide {
      value: string | null;
    }
    const wide = defineMachine({
      name: "wide",
      version: 1,
      command: z.string(),
      init: (): Wide => ({ value: null }),
      apply(state, value) {
        state.value = value;
      },
      queries: { value: (state) => state.value },
    });
    expectTypeOf<QueryResultOf<typeof wide, "value">>().toEqualTypeOf<string | null>();
  });

  it("fits any machine without type arguments", () => {
    expectTypeOf(bank).toExtend<MachineDefinition>();
    expectTypeOf(lock).toExtend<MachineDefinition>();
  });

  it("does not accept an async apply", () => {
    const asynchronous = () =>
      // @ts-expect-error: a promise is not a response
      defineMachine({ ...parts, apply: async () => "late" });
    expect(asynchronous).toBeTypeOf("function");
  });
});

const parts = {
  name: "parts",
  version: 1,
  command: z.string(),
  init: () => ({}),
  apply: () => "OK",
  queries: {},
};

describe("defineMachine", () => {
  it.each(["", "Bank", "1bank", "a b", "a_b", "-", "ä", "a".repeat(64), "a\n", undefined])(
    "refuses the name %j",
    (name) => {
      expect(() => defineMachine({ ...parts, name: name as string })).toThrow(/a machine's name must match/);
    },
  );

  it.each(["a", "bank-2", "a".repeat(63)])("accepts the name %j", (name) => {
    expect(defineMachine({ ...parts, name }).name).toBe(name);
  });

  it.each([0, -1, 1.5, Number.NaN, 2 ** 53, "1"])("refuses the version %j", (version) => {
    expect(() => defineMachine({ ...parts, version: version as number })).toThrow(
      `machine parts: version must be 1, 2, 3 …, but is ${version}`,
    );
  });

  it.each([
    ["command", "must be a Standard Schema"],
    ["init", "must be a function"],
    ["apply", "must be a function"],
    ["queries", "must be an object"],
  ])("refuses a definition without %s", (part, message) => {
    expect(() => defineMachine({ ...parts, [part]: undefined })).toThrow(`machine parts: ${part} ${message}`);
  });

  it("refuses a query that is no function, or whose name no path carries", () => {
    expect(() => defineMachine({ ...parts, queries: { "a/b": () => 1 } })).toThrow(
      "a query's name must match",
    );
    expect(() => defineMachine({ ...parts, queries: { a: 1 as unknown as () => 1 } })).toThrow(
      "query a must be a function",
    );
  });

  it("makes a definition that is known as one and cannot be changed", () => {
    expect(isMachineDefinition(bank)).toBe(true);
    for (const other of [null, undefined, 1, "bank", {}, { ...parts }, () => bank])
      expect(isMachineDefinition(other)).toBe(false);
    expect(Object.isFrozen(bank) && Object.isFrozen(bank.queries)).toBe(true);
  });

  it("has no queries but its own", () => {
    const { queries } = bank as MachineDefinition;
    for (const name of ["constructor", "toString", "__proto__", "hasOwnProperty"])
      expect(queries[name]).toBeUndefined();
  });
});

describe("machineCode", () => {
  it("freezes and thaws plain data by value, sharing within it kept", () => {
    const { freeze, thaw } = machineCode(bank);
    const shared = { a: [1, "ä", null, true, 2n] };
    const state = { map: new Map([["__proto__", shared]]), set: new Set([1]), again: shared };
    const thawed = thaw(freeze(state)) as typeof state;
    expect(thawed).toEqual(state);
    expect(thawed.again).not.toBe(shared);
    expect(thawed.map.get("__proto__")).toBe(thawed.again);
  });

  it("does not share what init returns between replicas", () => {
    const constant = { count: 0 };
    const code = machineCode(defineMachine({ ...parts, init: () => constant }));
    (code.init() as typeof constant).count++;
    expect(code.init()).toEqual({ count: 0 });
  });

  it("says which machine's state is no plain data", () => {
    const code = machineCode(defineMachine({ ...parts, init: () => ({ f: () => 1 }) }));
    expect(() => code.init()).toThrow("machine parts: its state must be plain data");
  });

  it("throws when apply returns a promise, whatever the promise comes to", async () => {
    const apply = (async () => {
      throw new Error("later");
    }) as unknown as () => string;
    const code = machineCode(defineMachine({ ...parts, apply }));
    expect(() => code.apply({}, "", CONTEXT)).toThrow("machine parts: apply must not be async");
  });
});

describe("validateCommand", () => {
  const nested = (levels: number, innermost: unknown = 1) => {
    let value = innermost;
    for (let level = 0; level < levels; level++) value = level % 2 === 0 ? [value] : { value };
    return value;
  };
  const failure = (definition: MachineDefinition, input: unknown) =>
    validateCommand(definition, input).then(
      () => expect.unreachable("the command was accepted"),
      (error: unknown) => error as Invalid,
    );

  it("returns what the schema made of the command", async () => {
    await expect(validateCommand(lock, { type: "acquire", client: "a", more: 1 })).resolves.toEqual({
      type: "acquire",
      client: "a",
      leaseMs: 30_000,
    });
    const slow = machineWith(schemaOf(async (value) => ({ value: { value } })));
    await expect(validateCommand(slow, 1)).resolves.toEqual({ value: 1 });
  });

  it("refuses in the schema's words, with paths", async () => {
    const machine = machineWith(z.object({ items: z.array(z.object({ name: z.string() })) }));
    const error = await failure(machine, { items: [{ name: "a" }, { name: 2 }] });
    expect(error).toBeInstanceOf(Invalid);
    expect(error).toMatchObject({ code: "invalid_command", retryable: false });
    expect(error.message).toMatch(/^items\[1\]\.name: .*string/);
  });

  it("shows the first issues of many", async () => {
    const machine = machineWith(z.array(z.string()));
    const { message } = await failure(machine, Array(100).fill(1));
    expect(message).toMatch(/^\[0\]: .*; \[4\]: .*; and 95 more$/);
  });

  it("reads paths made of segments", async () => {
    const issues = [{ message: "no", path: [{ key: "a" }, { key: 0 }, "b"] }, { message: "bare" }];
    const { message } = await failure(machineWith(schemaOf(() => ({ issues }))), 1);
    expect(message).toBe("a[0].b: no; bare");
  });

  it("refuses when the schema's code throws", async () => {
    const thrown = new Error("broken");
    const throwing = schemaOf(() => {
      throw thrown;
    });
    const rejecting = schemaOf(() => Promise.reject(thrown));
    for (const schema of [throwing, rejecting])
      expect(await failure(machineWith(schema), 1)).toMatchObject({
        code: "invalid_command",
        message: "the schema threw: broken",
        cause: thrown,
      });
  });

  describe("before the schema", () => {
    const never = machineWith(schemaOf(() => expect.unreachable("the schema was asked")));

    it("refuses deep nesting, up to what would overflow a stack", async () => {
      await expect(validateCommand(machineWith(anything), nested(COMMAND_DEPTH_MAX))).resolves.toBeDefined();
      for (const levels of [COMMAND_DEPTH_MAX + 1, 100_000])
        expect(await failure(never, nested(levels))).toMatchObject({
          code: "invalid_command",
          message: `the command is nested deeper than ${COMMAND_DEPTH_MAX} levels`,
        });
    });

    it("refuses a cycle", async () => {
      const cycle: { self?: unknown } = {};
      cycle.self = cycle;
      expect(await failure(never, cycle)).toMatchObject({ code: "invalid_command" });
    });

    it("refuses one object shared more often than could be written", async () => {
      let shared: unknown = [];
      for (let level = 0; level < COMMAND_DEPTH_MAX - 1; level++) shared = [shared, shared];
      expect(await failure(never, shared)).toMatchObject({ code: "too_large" });
    });

    it.each(['{"__proto__": 1}', '[{"a": {"__proto__": {"isAdmin": true}}}]'])(
      "refuses a key __proto__: %s",
      async (text) => {
        expect(await failure(never, JSON.parse(text))).toMatchObject({
          code: "invalid_command",
          message: expect.stringContaining("__proto__"),
        });
      },
    );

    it("accepts names that only look like it", async () => {
      const command = { constructor: 1, prototype: 2, proto: "__proto__" };
      await expect(validateCommand(machineWith(anything), command)).resolves.toEqual(command);
    });

    it("refuses what is larger than the limit in bytes, not characters", async () => {
      const fits = "a".repeat(COMMAND_BYTES_MAX - 2);
      await expect(validateCommand(machineWith(anything), fits)).resolves.toBe(fits);
      for (const large of [
        `${fits}a`,
        "ä".repeat(COMMAND_BYTES_MAX / 2),
        "\0".repeat(COMMAND_BYTES_MAX / 6 + 1),
      ])
        expect(await failure(never, large)).toMatchObject({ code: "too_large", retryable: false });
    });
  });

  it("refuses a small command that the schema made large", async () => {
    const growing = machineWith(schemaOf(() => ({ value: "a".repeat(COMMAND_BYTES_MAX) })));
    expect(await failure(growing, 1)).toMatchObject({ code: "too_large" });
  });

  it.each([
    ["undefined", undefined, "it is undefined"],
    ["a function", { a: () => 1 }, "a is a function"],
    ["a symbol", [Symbol("s")], "[0] is a symbol"],
    ["NaN", { a: [Number.NaN] }, "a[0] is NaN"],
    ["Infinity", Number.POSITIVE_INFINITY, "it is Infinity"],
    ["a BigInt", { a: 1n }, "a is a bigint"],
    ["a Date", { at: new Date(0) }, "at is a Date"],
    ["a Map", new Map(), "it is a Map"],
    ["an array's hole", Array(1), "[0] is undefined"],
    ["a class instance", new (class Money {})(), "it is a Money"],
  ])("refuses %s from the schema: JSON would change it", async (_, value, found) => {
    expect(await failure(machineWith(schemaOf(() => ({ value }))), 1)).toMatchObject({
      code: "invalid_command",
      message: `what the schema of machine any returned must be JSON data, but ${found}`,
    });
  });

  it("takes an undefined property for an absent one, and an object without prototype for a plain one", async () => {
    const value = { a: undefined, b: Object.create(null) };
    await expect(validateCommand(machineWith(schemaOf(() => ({ value }))), 1)).resolves.toBe(value);
  });

  test("garbage is refused as Invalid or returned as JSON data", async () => {
    const garbage = fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withNullPrototype: true,
      withSparseArray: true,
      withTypedArray: true,
    });
    await fc.assert(
      fc.asyncProperty(garbage, async (input) => {
        const outcome = await validateCommand(machineWith(anything), input).catch((error) => error);
        if (!(outcome instanceof Invalid))
          expect(JSON.parse(JSON.stringify(outcome))).toEqual(withoutNegativeZero(outcome));
        expect(await failure(bank, input)).toBeInstanceOf(Invalid);
      }),
      { numRuns: 2_000 },
    );
  });

  /** JSON has one zero, and so has every replica. */
  function withoutNegativeZero(value: unknown): unknown {
    if (value === 0) return 0;
    if (Array.isArray(value)) return value.map(withoutNegativeZero);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withoutNegativeZero(inner)]));
  }
});

describe("limits", () => {
  it("leave room for what is around commands", () => {
    const { MAX_SAFE_INTEGER } = Number;
    const ballot = ballotOf(
      MAX_SAFE_INTEGER as ConfigurationNumber,
      MAX_SAFE_INTEGER,
      "f".repeat(32) as ProcessId,
    );
    expect(encodeBatch(ballot, MAX_SAFE_INTEGER, []).length).toBeLessThanOrEqual(BATCH_ENVELOPE_BYTES_MAX);
    const key = '"'.repeat(255);
    expect(key).toMatch(KEY_PATTERN);
    const session = `${MAX_SAFE_INTEGER}-${MAX_SAFE_INTEGER}` as SessionId;
    for (const command of [
      { key, command: 1 },
      { session, sequence: MAX_SAFE_INTEGER as Sequence, command: 1 },
    ])
      expect(encodeCommand(command).length).toBeLessThanOrEqual(COMMAND_ENVELOPE_BYTES_MAX);
  });

  it("keep a chunk below DynamoDB's 400 KB for an item", () => {
    expect(MACHINE_GEOMETRY.chunkSlots * CELL_VALUE_BYTES_MAX).toBeLessThan(400 * 1024);
  });

  it.each(["main", "a", "A.b_c~d-9", "0".repeat(128)])("accept the id %j", (id) => {
    expect(id).toMatch(INSTANCE_ID_PATTERN);
  });
  it.each(["", ".", "..", "-a", "a/b", "a b", "a%20b", "ä", "0".repeat(129), "a\n"])(
    "refuse the id %j",
    (id) => {
      expect(id).not.toMatch(INSTANCE_ID_PATTERN);
    },
  );
});

describe("loadMachines", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "theseus-load-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  const written = async (name: string, text: string) => {
    const file = join(folder, name);
    await writeFile(file, text);
    return file;
  };
  const machine = new URL("../shared/machine.ts", import.meta.url).href;
  const define = (name: string) =>
    `defineMachine({name: "${name}", version: 1, init: () => ({}), apply: () => 1, queries: {},
      command: {"~standard": {version: 1, vendor: "test", validate: (value) => ({value})}}})`;

  it("finds a file's machines by name", async () => {
    const machines = await loadMachines("examples/bank.ts");
    expect([...machines]).toEqual([["bank", bank]]);
  });

  it("finds several, once each, among other exports", async () => {
    const file = await written(
      "several.mjs",
      `import { defineMachine } from ${JSON.stringify(machine)};
       export const one = ${define("one")}, two = ${define("two")}, other = { name: "three" }, none = null;
       export default one;`,
    );
    expect([...(await loadMachines(file)).keys()].sort()).toEqual(["one", "two"]);
  });

  it.each([
    ["broken.mjs", "export const = ", /broken\.mjs cannot be imported: /],
    ["throws.mjs", 'throw new Error("no luck");', /throws\.mjs cannot be imported: no luck/],
    ["needs.mjs", 'import "./absent.mjs";', /needs\.mjs cannot be imported: .*absent\.mjs/],
    ["none.mjs", "export const bank = 1;", /none\.mjs exports no machine: write/],
    [
      "twice.mjs",
      `import { defineMachine } from ${JSON.stringify(machine)};
       export const a = ${define("same")}, b = ${define("same")};`,
      /twice\.mjs exports two machines of the name same/,
    ],
  ])("says what is wrong with %s", async (name, text, message) => {
    const file = await written(name, text);
    await expect(loadMachines(file)).rejects.toThrow(message);
    await expect(loadMachines(file)).rejects.toBeInstanceOf(Invalid);
  });

  it("says that a file is missing, or a folder", async () => {
    await expect(loadMachines(join(folder, "absent.ts"))).rejects.toThrow(/there is no file .*absent\.ts/);
    await expect(loadMachines(folder)).rejects.toThrow("there is no file");
  });
});

describe("toJson", () => {
  it.each<[string, unknown, unknown]>([
    ["a Map with texts for keys", new Map([["a", new Map([["b", 1]])]]), { a: { b: 1 } }],
    [
      "a Map with other keys",
      new Map<unknown, unknown>([
        ["a", 1],
        [2, new Set([3])],
      ]),
      [
        ["a", 1],
        [2, [3]],
      ],
    ],
    ["a Set and a Date", new Set([new Date(0)]), ["1970-01-01T00:00:00.000Z"]],
    ["an invalid Date", new Date(Number.NaN), null],
    ["a BigInt", { a: [2n ** 64n, null, "x"] }, { a: ["18446744073709551616", null, "x"] }],
    ["a number", 7, 7],
  ])("writes %s", (_, state, json) => {
    expect(toJson(state)).toEqual(json);
  });

  it("keeps a key __proto__ as a key", () => {
    const state = { map: new Map([["__proto__", 1]]), object: JSON.parse('{"__proto__": {"a": 2}}') };
    expect(JSON.stringify(toJson(state))).toBe('{"map":{"__proto__":1},"object":{"__proto__":{"a":2}}}');
  });
});
