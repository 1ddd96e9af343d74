/**
 * What a drill's clients saw, held against what was executed: every acknowledged command is there exactly once, one of
 * unknown outcome at most once, nothing else is there, and the history is linearizable.
 */
import { readFileSync } from "node:fs";
import { bank } from "../../examples/bank.ts";
import { machineCode } from "../../shared/machine.ts";
import { type Context, Refusal } from "../../shared/protocol/replica.ts";
import type { Slot } from "../../shared/protocol/slot.ts";
import type { Command } from "../../shared/protocol/value.ts";
import type { LogLine, QueryAnswer } from "../../shared/wire.ts";
import { faultOfHistory, type Operation, type Sequential } from "./linearizable.ts";

type BankState = ReturnType<typeof bank.init>;
interface Place {
  readonly slot: number;
  readonly index: number;
}

/** A file that is still being written may end in half a line: that operation is not read yet. */
export function readOperations(file: string): readonly Operation[] {
  return readFileSync(file, "utf8")
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Operation);
}

/** A bank with a journal of its own, since the log is trimmed. */
export const JOURNALED_BANK = "test/e2e/machines/journal.ts";

/** What was executed in `bank/main`, slot by slot, as its state has it. */
export async function readJournal(url: string): Promise<readonly LogLine[]> {
  const response = await fetch(`${url}/v1/machines/bank/main/queries/journal`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: "{}",
  });
  if (!response.ok) throw new Error(`the journal cannot be read: ${await response.text()}`);
  const { asOf, result } = (await response.json()) as QueryAnswer & { result: readonly number[] };
  const slots = Array.from({ length: asOf }, () => [] as Command[]);
  for (let at = 0; at < result.length; at += 2)
    slots[(result[at] as number) - 1]?.push({ command: { amount: result[at + 1] } });
  return slots.map((commands, index) => ({
    slot: (index + 1) as Slot,
    ballot: "",
    configuration: 1,
    commands,
  }));
}

/** What is wrong; an empty array: nothing. */
export function faultsOf(operations: readonly Operation[], log: readonly LogLine[]): readonly string[] {
  const faults: string[] = [];
  log.forEach(({ slot }, index) => {
    if (slot !== index + 1) faults.push(`slot ${index + 1} of the log is slot ${slot}`);
  });
  const places = placesIn(log);
  const commands = operations.filter(({ asOf }) => asOf === undefined);
  for (const operation of commands) {
    const executed = places.get(amountOf(operation.input))?.length ?? 0;
    if (executed > 1) faults.push(`${JSON.stringify(operation)} was executed ${executed} times`);
    if (operation.ok && executed === 0)
      faults.push(`${JSON.stringify(operation)} was acknowledged and is lost`);
    if (!operation.ok && operation.output !== "outcome_unknown" && operation.output !== "unknown_session")
      faults.push(`${JSON.stringify(operation)} failed`);
  }
  const sent = new Set(commands.map(({ input }) => amountOf(input)));
  for (const amount of places.keys())
    if (!sent.has(amount)) faults.push(`nobody sent the command of ${amount}`);
  const fault = faultOfHistory(
    operations.map((operation) => ({ ...operation, ...placeOf(operation, places) })),
    sequentialBank(),
  );
  return fault === undefined ? faults : [...faults, fault];
}

function placeOf(operation: Operation, places: ReadonlyMap<number, readonly Place[]>): Partial<Place> {
  return operation.asOf === undefined ? (places.get(amountOf(operation.input))?.[0] ?? {}) : {};
}

/** A repeated command stands in the log more than once, and executes the first time only. */
function placesIn(log: readonly LogLine[]): ReadonlyMap<number, readonly Place[]> {
  const places = new Map<number, Place[]>();
  const seen = new Set<string>();
  for (const { slot, commands } of log)
    commands.forEach((command, index) => {
      if (!("command" in command)) return;
      const once = "session" in command ? `${command.session} ${command.sequence}` : `${slot} ${index}`;
      if (seen.has(once)) return;
      seen.add(once);
      const amount = amountOf(command.command);
      places.set(amount, [...(places.get(amount) ?? []), { slot, index }]);
    });
  return places;
}

function amountOf(command: unknown): number {
  return (command as { amount: number }).amount;
}

function sequentialBank(): Sequential {
  const { init, apply } = machineCode(bank);
  const state = init() as BankState;
  const context: Context = { slot: 0 as Context["slot"], time: 0, random: () => 0, notify: () => {} };
  return {
    execute(input) {
      const response = apply(state, input, context);
      return response instanceof Refusal ? response.reason : response;
    },
    read: () => bank.queries.total(state),
  };
}
