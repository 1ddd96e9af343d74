/**
 * The bank, with a journal of what was executed as part of its state: ⟨slot, amount⟩ of each command. A test that gives
 * every command an amount of its own sees in it what the log would show, however much of the log was trimmed.
 */
import { defineMachine } from "theseus";
import { bank as plain } from "../../../examples/bank.ts";

export const bank = defineMachine({
  name: plain.name,
  version: 1,
  command: plain.command,
  init: () => ({ ...plain.init(), journal: [] as number[] }),
  apply(state, command, context) {
    state.journal.push(context.slot, command.amount);
    return plain.apply(state, command, context);
  },
  queries: { ...plain.queries, journal: ({ journal }) => journal },
});
