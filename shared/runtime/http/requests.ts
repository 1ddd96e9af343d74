/**
 * What a request says, checked by form before a slot is taken; whether a machine takes the command is the
 * backend's question. Everything here throws Invalid, in words that tell the caller what to change.
 */
import type { Context } from "hono";
import { Invalid } from "../../errors.ts";
import { INSTANCE_ID_PATTERN, KEY_PATTERN, MACHINE_NAME_PATTERN, QUERY_NAME_PATTERN } from "../../limits.ts";
import type { ConfigurationNumber } from "../../protocol/ballot.ts";
import type { MachineId } from "../../protocol/configuration.ts";
import { type Slot, slot } from "../../protocol/slot.ts";
import type { Command, Sequence, SessionId } from "../../protocol/value.ts";
import { ELEMENTS_MAX, type ReconfigureRequest } from "../../wire.ts";
import type { Consistency } from "./backend.ts";
import { quorumsOf } from "./quorums-of.ts";

const SESSION_PATTERN = /^\d{1,16}-\d{1,16}$/;
/** A client's name in `notify` is any short text that a path can carry: no slash, nothing unprintable. */
const CLIENT_PATTERN = /^[^\p{C}\p{Zl}\p{Zp}/]{1,128}$/u;

/** What a person says to be recorded: who, or why. */
const WORDS_PATTERN = /^(?=.*\S)[^\p{Cc}]{1,1000}$/u;

/** A command as it was asked for: the machine's schema has still to see `command`. */
export type Asked = Extract<Command, { readonly command: unknown }>;

export function machineOf(c: Context): MachineId {
  return machineNamed(c.req.param("machine"), c.req.param("id"));
}

export function leaderOf(c: Context): string {
  return matching(c.req.param("leader"), INSTANCE_ID_PATTERN, "a leader's id");
}

export function queryOf(c: Context): { readonly query: string; readonly consistency: Consistency } {
  const consistency = c.req.query("consistency") ?? "linearizable";
  if (consistency !== "linearizable" && consistency !== "stale")
    throw invalid(`consistency must be linearizable or stale, but is ${shown(consistency)}`);
  return { query: matching(c.req.param("query"), QUERY_NAME_PATTERN, "a query's name"), consistency };
}

export function clientOf(c: Context): string {
  return matching(c.req.param("client"), CLIENT_PATTERN, "a client's name");
}

/** A slot or a cursor in the query string. */
export function numberOf(c: Context, name: string, min = 0): Slot | undefined {
  const text = c.req.query(name);
  return text === undefined ? undefined : wholeNumber(text, name, min);
}

/** Where an inbox is resumed; a browser that reconnects sends the header and repeats the old `after`. */
export function cursorOf(c: Context): number {
  const seen = c.req.header("last-event-id");
  return seen === undefined ? (numberOf(c, "after") ?? 0) : wholeNumber(seen, "Last-Event-ID", 0);
}

/** Where a page of machine ids begins; empty: at the first. */
export function afterOf(c: Context): string {
  const after = c.req.query("after") ?? "";
  const [name = "", id = "", ...rest] = after.split("/");
  const isId = MACHINE_NAME_PATTERN.test(name) && INSTANCE_ID_PATTERN.test(id) && rest.length === 0;
  if (after !== "" && !isId) throw invalid(`after must be a machine's name/id, but is ${shown(after)}`);
  return after;
}

/** `{replace, by?}`, `{mode, acceptors}` or `{quorums}`. */
export function reconfigurationOf(body: unknown): ReconfigureRequest {
  const { replace, by, mode, acceptors, quorums, ...more } = (body ?? {}) as Record<string, unknown>;
  const who = whoOf(more);
  if (quorums !== undefined) return { quorums: quorumsOf(quorums), ...who };
  if (typeof replace === "string" && (by === undefined || typeof by === "string"))
    return by === undefined ? { replace, ...who } : { replace, by, ...who };
  const areIds = Array.isArray(acceptors) && acceptors.every((id) => typeof id === "string");
  if (typeof mode === "string" && areIds) return { mode, acceptors, ...who };
  throw invalid("the body must be {replace, by?}, {mode, acceptors} or {quorums}, with ids of acceptors");
}

/** The operator, who must be named for an override. */
function whoOf({ operator, override }: Record<string, unknown>): { operator?: string; override?: string } {
  if (operator === undefined && override === undefined) return {};
  const named = matching(operator, WORDS_PATTERN, "operator");
  return override === undefined
    ? { operator: named }
    : { operator: named, override: matching(override, WORDS_PATTERN, "override") };
}

/** A proposed configuration, by its machine and its number. */
export function endorsementOf(body: unknown): { machine: MachineId; configuration: ConfigurationNumber } {
  const { machine, configuration } = fieldsOf(body, ["machine", "configuration"]);
  if (!Number.isSafeInteger(configuration))
    throw invalid(`configuration must be a number, but is ${shown(configuration)}`);
  const [name, id, ...rest] = typeof machine === "string" ? machine.split("/") : [];
  if (rest.length > 0) throw invalid(`machine must be a machine's name/id, but is ${shown(machine)}`);
  return { machine: machineNamed(name, id), configuration: configuration as ConfigurationNumber };
}

function machineNamed(name: unknown, id: unknown): MachineId {
  const machine = matching(name, MACHINE_NAME_PATTERN, "a machine's name");
  return `${machine}/${matching(id, INSTANCE_ID_PATTERN, "an instance's id")}` as MachineId;
}

export async function bytesOf(c: Context): Promise<ArrayBuffer> {
  try {
    return await c.req.arrayBuffer();
  } catch (cause) {
    throw new Invalid("invalid_request", "the body broke off", { cause });
  }
}

export async function bodyOf(c: Context): Promise<unknown> {
  const bytes = await bytesOf(c);
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    const what = cause instanceof SyntaxError ? "JSON" : "UTF-8";
    throw new Invalid("invalid_request", `the body is not valid ${what}`, { cause });
  }
}

export function assertCount(elements: readonly unknown[]): void {
  if (elements.length === 0 || elements.length > ELEMENTS_MAX)
    throw invalid(`an array must have 1 to ${ELEMENTS_MAX} elements, but has ${elements.length}`);
}

export function argsOf(body: unknown): unknown {
  return fieldsOf(body, ["args"]).args;
}

export function openingOf(element: unknown): Command {
  return { open: nonceOf(element) };
}

export function nonceOf(body: unknown): string {
  return matching(fieldsOf(body, ["nonce"]).nonce, KEY_PATTERN, "nonce");
}

/** An Idempotency-Key names one command; in an array element i has the key `KEY i`, which no header can name. */
function elementKey(key: string, index: number | undefined): string {
  const checked = matching(key, KEY_PATTERN, "Idempotency-Key");
  return index === undefined ? checked : `${checked} ${index}`;
}

/** `key` is the header's, `index` the place in an array. */
export function commandOf(element: unknown, key: string | undefined, index: number | undefined): Asked {
  const fields = fieldsOf(element, ["command", "session", "sequence"]);
  const { command, session, sequence } = fields;
  if (!("command" in fields)) throw invalid("command is missing");
  if ((session === undefined) !== (sequence === undefined))
    throw invalid("session and sequence come together: one of them is missing");
  if (session === undefined)
    return key === undefined ? { command } : { key: elementKey(key, index), command };
  if (key !== undefined) throw invalid("a command has a session or an Idempotency-Key, not both");
  if (!Number.isSafeInteger(sequence) || (sequence as number) < 1)
    throw invalid(`sequence must be 1, 2, 3 …, but is ${shown(sequence)}`);
  return {
    session: matching(session, SESSION_PATTERN, "session") as SessionId,
    sequence: sequence as Sequence,
    command,
  };
}

/** A misspelt `session` that was ignored would cost the caller exactly-once, so an unknown field is refused. */
function fieldsOf(value: unknown, known: readonly string[]): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw invalid(`expected an object with ${known.join(", ")}, but got ${shown(value)}`);
  const unknown = Object.keys(value).find((key) => !known.includes(key));
  if (unknown !== undefined) throw invalid(`unknown field ${shown(unknown)}; known are ${known.join(", ")}`);
  return value as Record<string, unknown>;
}

function wholeNumber(text: string, name: string, min: number): Slot {
  if (!/^\d{1,15}$/.test(text) || Number(text) < min)
    throw invalid(`${name} must be a whole number from ${min} on, but is ${shown(text)}`);
  return slot(Number(text));
}

function matching(value: unknown, pattern: RegExp, what: string): string {
  if (typeof value !== "string" || !pattern.test(value))
    throw invalid(`${what} must match ${pattern.source}, but is ${shown(value)}`);
  return value;
}

const SHOWN_CHARACTERS_MAX = 60;

/** What was got, short; an object is not unfolded, since it may be nested deeper than the stack. */
function shown(value: unknown): string {
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "an array" : "an object";
  return String(JSON.stringify(value)).slice(0, SHOWN_CHARACTERS_MAX);
}

function invalid(message: string): Invalid {
  return new Invalid("invalid_request", message);
}
