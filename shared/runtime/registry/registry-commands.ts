/**
 * What a registry command may look like, checked where it comes in: what the registry executes is in its log for good,
 * and every process that ever leads it executes it again.
 */
import { Forbidden, Invalid } from "../../errors.ts";
import { assertJsonData } from "../../json-data.ts";
import { INSTANCE_ID_PATTERN, KEY_PATTERN, MACHINE_NAME_PATTERN } from "../../limits.ts";
import { MODES } from "../../protocol/quorum.ts";
import { type RegistryCommand, registrationText } from "../../protocol/registry.ts";
import { verify } from "../signing.ts";

/** What is wrong with a value, to be read after its name; undefined: nothing. */
type Form = (value: unknown) => string | undefined;

const ID_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
const PROCESS_PATTERN = /^[0-9a-f]{32}$/;
/** 32 bytes in base64url. */
const PUBLIC_KEY_PATTERN = /^[\w-]{43}$/;
/** An ARN, or whatever else a launcher calls what it runs. */
const TASK_PATTERN = /^[A-Za-z0-9][\w:/.-]{0,511}$/;
const TEXT_CHARACTERS_MAX = 2_000;
/** More help nobody, and each costs a table, a process or a proof. */
const COUNT_MAX = 1_000;

const id = matching(ID_PATTERN);
const key = matching(KEY_PATTERN);
const count = wholeNumber(0, COUNT_MAX);

const acceptor = object({ id, kind: id, location: text, incarnation: id });
const task = matching(TASK_PATTERN);
const leader = object(
  { id, process: matching(PROCESS_PATTERN), address: text, publicKey: matching(PUBLIC_KEY_PATTERN) },
  { task },
);
const reason: Form = (value) =>
  object(asksFor("suspects", value) ? { suspects: listOf(id) } : { operator: text })(value);
const configuration = wholeNumber(1, Number.MAX_SAFE_INTEGER);
/** Whether it counts is for the registry to say; one that does not must not keep the others from counting. */
const endorsement = object({
  leader: id,
  machine,
  previous: number,
  configuration: number,
  expires: number,
  signature: text,
});
const family: Form = (value) => (asksFor("sets", value) ? sets : weighted)(value);
const sets = object({ sets: listOf(listOf(id)) });
const weighted = object({ atLeast: number }, { weights: entriesOf(number) });
const quorums = object({ acceptors: listOf(id), witnesses: listOf(id), read: family, write: family });

/** Which configuration of the registry is installed only its own leader knows; said wrongly it would delete the registry. */
type FromOutside = Exclude<RegistryCommand["type"], "installed">;

const firstQuorums: Form = (value) => {
  const isNamed = fieldsOf(value)?.mode !== "quorums";
  const named = object({ mode: oneOf(...Object.keys(MODES), "quorums"), acceptors: count });
  return (isNamed ? named : object({ mode: text, acceptors: count, read: count, write: count }))(value);
};

/** A record, so that a command that is added cannot be forgotten here. */
const COMMANDS: Readonly<Record<FromOutside, Form>> = {
  registerMachine: command({ machine }, { acceptors: number }),
  registerAcceptor: command({ acceptor }),
  adoptAcceptor: command({ acceptor, configuration }),
  registerLeader: command({ leader, proof: text }),
  propose: command({ machine, quorums, nonce: key, reason }),
  complete: command(
    { machine, configuration },
    { endorsements: listOf(endorsement), override: object({ operator: text, reason: text }) },
  ),
  suspectAcceptor: command({ acceptor: id, by: text, why: oneOf("gone", "silent", "slow") }),
  clearAcceptor: command({ acceptor: id, by: text }),
  suspectLeader: command({ leader: id, process: matching(PROCESS_PATTERN), by: text }),
  configure: command(
    {},
    {
      ...{ acceptors: count, spares: count, replacements: count, leaders: count, endorsements: threshold },
      machines: firstQuorums,
    },
  ),
  startLeader: command({ nonce: key }),
  claimLeader: command({ task }),
  retireLeader: command({ leader: id }),
  revokeLeader: command({ leader: id }),
  provisioned: command({ request: id, acceptor }),
  done: command({ request: id }),
  disown: command({ acceptor: id }),
};

/** The body of a request as a command. @throws Invalid, saying what is wrong with it; Forbidden for another's key. */
export function registryCommandOf(body: unknown): RegistryCommand {
  const { type } = fieldsOf(body) ?? {};
  if (typeof type !== "string" || !Object.hasOwn(COMMANDS, type))
    throw new Invalid("invalid_request", `the body must be one of ${Object.keys(COMMANDS).join(", ")}`);
  assertJsonData(body, "the command");
  const fault = COMMANDS[type as FromOutside](body);
  if (fault !== undefined) throw new Invalid("invalid_request", `the command ${type} ${fault}`);
  const command = body as RegistryCommand;
  if (command.type === "registerLeader") assertOwnKey(command);
  return command;
}

/** @throws Forbidden unless whoever has the key says so. */
function assertOwnKey({ leader, proof = "" }: Extract<RegistryCommand, { type: "registerLeader" }>): void {
  if (!verify(leader.publicKey, registrationText(leader), proof))
    throw new Forbidden("forbidden", `${leader.id} is not registered: its key did not sign for that`);
}

function command(
  required: Readonly<Record<string, Form>>,
  optional: Readonly<Record<string, Form>> = {},
): Form {
  return object({ type: text, ...required }, optional);
}

function object(
  required: Readonly<Record<string, Form>>,
  optional: Readonly<Record<string, Form>> = {},
): Form {
  return (value) => {
    const fields = fieldsOf(value);
    if (fields === undefined) return "must be an object";
    for (const name of Object.keys(required)) if (!Object.hasOwn(fields, name)) return `has no ${name}`;
    for (const [name, each] of Object.entries(fields)) {
      const form = [required, optional].find((forms) => Object.hasOwn(forms, name))?.[name];
      if (form === undefined) return `has a field ${JSON.stringify(name.slice(0, 60))}, which is not known`;
      const fault = form(each);
      if (fault !== undefined) return `has ${name}, which ${fault}`;
    }
    return undefined;
  };
}

function listOf(element: Form): Form {
  return (value) => (Array.isArray(value) ? firstFault(value, element) : "must be an array");
}

function entriesOf(element: Form): Form {
  return (value) => {
    const fields = fieldsOf(value);
    return fields === undefined ? "must be an object" : firstFault(Object.values(fields), element);
  };
}

function firstFault(values: readonly unknown[], form: Form): string | undefined {
  for (const value of values) {
    const fault = form(value);
    if (fault !== undefined) return `has an element that ${fault}`;
  }
  return undefined;
}

function machine(value: unknown): string | undefined {
  const [name = "", instance = "", ...rest] = typeof value === "string" ? value.split("/") : [];
  const isOne = MACHINE_NAME_PATTERN.test(name) && INSTANCE_ID_PATTERN.test(instance) && rest.length === 0;
  return isOne ? undefined : "must be a machine's name/id";
}

function text(value: unknown): string | undefined {
  const isOne = typeof value === "string" && value !== "" && value.length <= TEXT_CHARACTERS_MAX;
  return isOne ? undefined : `must be a text of 1 to ${TEXT_CHARACTERS_MAX} characters`;
}

function number(value: unknown): string | undefined {
  return typeof value === "number" ? undefined : "must be a number";
}

function wholeNumber(min: number, max: number): Form {
  return (value) =>
    Number.isInteger(value) && (value as number) >= min && (value as number) <= max
      ? undefined
      : `must be a whole number from ${min} to ${max}`;
}

function threshold(value: unknown): string | undefined {
  return value === "auto" ? undefined : wholeNumber(1, COUNT_MAX)(value);
}

function matching(pattern: RegExp): Form {
  return (value) =>
    typeof value === "string" && pattern.test(value) ? undefined : `must match ${pattern.source}`;
}

function oneOf(...words: readonly string[]): Form {
  return (value) => (words.includes(value as string) ? undefined : `must be one of ${words.join(", ")}`);
}

function asksFor(name: string, value: unknown): boolean {
  return Object.hasOwn(fieldsOf(value) ?? {}, name);
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> | undefined {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  return isObject ? (value as Record<string, unknown>) : undefined;
}
