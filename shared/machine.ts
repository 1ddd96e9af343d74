/**
 * A machine: the deterministic function that a user writes, ⟨Command, OldState⟩ → ⟨Response, NewState⟩, with
 * the schema of its commands and the questions that its state answers.
 *
 * State is plain data (objects, arrays, Map, Set, strings, numbers, BigInt, booleans, null): it is copied by
 * value, and a copied class instance would have lost its methods.
 */
import { deserialize, serialize } from "node:v8";
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { Invalid } from "./errors.ts";
import { assertJsonData, pathOf } from "./json-data.ts";
import { MACHINE_NAME_PATTERN, QUERY_NAME_PATTERN } from "./limits.ts";
import { type Context, type MachineCode, Refusal } from "./protocol/replica.ts";

/** Registered, so that a definition is recognised even if the user's file loaded another copy of this package. */
const MACHINE: unique symbol = Symbol.for("theseus.machine");

/** Reads the state and must not change it. Written as a method: a `Query<Bank>` is a `Query<unknown>` too. */
export type Query<State = unknown> = { query(state: State, args: unknown): unknown }["query"];

/** What a user's file exports, made by `defineMachine`. Its members without type arguments fit any machine. */
export interface MachineDefinition<
  State = unknown,
  Schema extends StandardSchemaV1 = StandardSchemaV1,
  Response = unknown,
  Queries extends Readonly<Record<string, Query<State>>> = Readonly<Record<string, Query<State>>>,
> {
  readonly [MACHINE]: true;
  readonly name: string;
  readonly version: number;
  readonly command: Schema;
  /** Without a prototype: a name that is not a query's is undefined, whatever it is. */
  readonly queries: Queries;
  init(): State;
  apply(
    state: State,
    command: StandardSchemaV1.InferOutput<Schema>,
    context: Context,
  ): Response | Refusal<Response>;
}

/** What a client sends: the schema's input. */
export type CommandOf<Machine extends MachineDefinition> = StandardSchemaV1.InferInput<Machine["command"]>;
/** What a client gets: what `apply` returns, with each `Refusal<Reason>` as its reason. */
export type ResponseOf<Machine extends MachineDefinition> = ResponseIn<ReturnType<Machine["apply"]>>;
export type QueryNameOf<Machine extends MachineDefinition> = keyof Machine["queries"] & string;
/** The second parameter of a query; undefined when it takes none. */
export type QueryArgsOf<Machine extends MachineDefinition, Name extends QueryNameOf<Machine>> = Parameters<
  Machine["queries"][Name]
>[1];
export type QueryResultOf<Machine extends MachineDefinition, Name extends QueryNameOf<Machine>> = ReturnType<
  Machine["queries"][Name]
>;

type ResponseIn<Returned> = Returned extends Refusal<infer Reason> ? Reason : Returned;

/** Anything that JSON holds, which excludes a promise: `apply` is synchronous. Names the literals to keep them literal. */
// biome-ignore lint/suspicious/noConfusingVoidType: an `apply` that returns nothing has the return type void.
type Returnable = string | number | boolean | null | undefined | void | (object & { then?: never });

/**
 * Defines a machine. The state's type is that of `init`, the command's is the schema's output.
 *
 * - `name`: lower-case letters, digits and hyphens, at most 63; with an instance's id it is the address.
 * - `version`: 1, 2, 3 …; raise it when `apply` or the shape of the state changes.
 * - `command`: any Standard Schema. It runs once, at the edge; what it returns is logged and given to `apply`.
 * - `init`: the state before the first command.
 * - `apply`: changes `state` in place and returns the response, as JSON holds it. It must be deterministic:
 *   time, chance and messages to others come from `context`. If it throws, the state is as it was before.
 * - `queries`: questions by name, at most one JSON argument each.
 *
 * @throws TypeError when a part is missing or of another form.
 */
export function defineMachine<
  State,
  Schema extends StandardSchemaV1,
  Returned extends Returnable,
  Queries extends Readonly<Record<string, Query<State>>>,
>(definition: {
  readonly name: string;
  readonly version: number;
  readonly command: Schema;
  init(): State;
  apply(state: State, command: StandardSchemaV1.InferOutput<Schema>, context: Context): Returned;
  readonly queries: Queries;
}): MachineDefinition<State, Schema, ResponseIn<Returned>, Queries> {
  const { name, version, command, init, apply, queries } = definition;
  if (typeof name !== "string" || !MACHINE_NAME_PATTERN.test(name))
    throw new TypeError(
      `a machine's name must match ${MACHINE_NAME_PATTERN}, but is ${JSON.stringify(name)}`,
    );
  const check = (holds: boolean, rule: string) => {
    if (!holds) throw new TypeError(`machine ${name}: ${rule}`);
  };
  check(Number.isSafeInteger(version) && version > 0, `version must be 1, 2, 3 …, but is ${String(version)}`);
  check(
    typeof command?.["~standard"]?.validate === "function",
    "command must be a Standard Schema (zod, valibot, arktype, …)",
  );
  check(
    typeof init === "function",
    "init must be a function that returns the state before the first command",
  );
  check(typeof apply === "function", "apply must be a function (state, command, context) → response");
  check(
    typeof queries === "object" && queries !== null,
    "queries must be an object: name → (state, args) → result",
  );
  for (const [query, answer] of Object.entries(queries)) {
    check(
      QUERY_NAME_PATTERN.test(query),
      `a query's name must match ${QUERY_NAME_PATTERN}, but is "${query}"`,
    );
    check(typeof answer === "function", `query ${query} must be a function (state, args) → result`);
  }
  return Object.freeze({
    [MACHINE]: true as const,
    name,
    version,
    command,
    queries: Object.freeze(Object.assign(Object.create(null), queries)) as Queries,
    init,
    apply: apply as MachineDefinition<State, Schema, ResponseIn<Returned>>["apply"],
  });
}

/** An ordinary response that says no: `return refuse("Insufficient Funds")`. The caller gets the reason. */
export function refuse<const Reason>(reason: Reason): Refusal<Reason> {
  return new Refusal(reason);
}

export function isMachineDefinition(value: unknown): value is MachineDefinition {
  return typeof value === "object" && value !== null && MACHINE in value;
}

/** The definition as a replica executes it. */
export function machineCode(definition: MachineDefinition): MachineCode {
  return {
    // A copy: an `init` that returns a constant must not have two replicas change the same object.
    init: () => deserialize(freeze(definition, definition.init())),
    apply: (state, command, context) => refusePromise(definition, definition.apply(state, command, context)),
    freeze: (state) => freeze(definition, state),
    thaw: deserialize,
  };
}

/**
 * What the machine's schema makes of a command: JSON data, ready to be logged.
 * @throws Invalid "invalid_command" in the schema's words, or when the command is not JSON data before or
 * after validation; Invalid "too_large" above COMMAND_BYTES_MAX before or after it.
 */
export async function validateCommand(definition: MachineDefinition, input: unknown): Promise<unknown> {
  assertJsonData(input, "the command");
  const result = await validated(definition.command, input);
  if (result.issues !== undefined) throw new Invalid("invalid_command", textOf(result.issues));
  assertJsonData(result.value, `what the schema of machine ${definition.name} returned`);
  return result.value;
}

const ISSUES_SHOWN_MAX = 5;

function textOf(issues: readonly StandardSchemaV1.Issue[]): string {
  const shown = issues.slice(0, ISSUES_SHOWN_MAX).map(({ path = [], message }) => {
    const at = pathOf(path.map((step) => (typeof step === "object" ? step.key : step)));
    return at === "" ? message : `${at}: ${message}`;
  });
  const hidden = issues.length - shown.length;
  return `${shown.join("; ")}${hidden > 0 ? `; and ${hidden} more` : ""}`;
}

/** A schema's own code (a refinement, a transform) may throw: the command was not accepted, so it is refused. */
async function validated(
  schema: StandardSchemaV1,
  input: unknown,
): Promise<StandardSchemaV1.Result<unknown>> {
  try {
    return await schema["~standard"].validate(input);
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : "something that is no Error";
    throw new Invalid("invalid_command", `the schema threw: ${message}`, { cause });
  }
}

function freeze(definition: MachineDefinition, state: unknown): Uint8Array {
  try {
    return serialize(state);
  } catch (cause) {
    throw new TypeError(`machine ${definition.name}: its state must be plain data`, { cause });
  }
}

/** What an async `apply` does after its first `await` would be lost or come too late, differently everywhere. */
function refusePromise(definition: MachineDefinition, returned: unknown): unknown {
  if (!(returned instanceof Promise)) return returned;
  returned.catch(() => {});
  throw new TypeError(`machine ${definition.name}: apply must not be async`);
}
