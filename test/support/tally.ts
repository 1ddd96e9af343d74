/** A tiny machine with every kind of answer: a number, a refusal, a message to somebody else, a failure. */
import { z } from "zod";
import { defineMachine, refuse } from "../../shared/machine.ts";

export const tally = defineMachine({
  name: "tally",
  version: 1,
  command: z.discriminatedUnion("type", [
    z.object({ type: z.literal("add"), amount: z.int() }),
    z.object({ type: z.literal("tell"), client: z.string(), text: z.string() }),
    z.object({ type: z.literal("relay"), client: z.string(), message: z.unknown() }),
    z.object({ type: z.literal("break") }),
  ]),
  init: () => ({ total: 0, added: 0 }),
  apply(state, command, context) {
    if (command.type === "break") throw new Error("broken on purpose");
    if (command.type === "tell") {
      context.notify(command.client, { text: command.text });
      return "told";
    }
    if (command.type === "relay") {
      context.notify(command.client, command.message);
      return "told";
    }
    if (command.amount === 0) return refuse("nothing to add");
    state.added += 1;
    state.total += command.amount;
    return state.total;
  },
  queries: {
    total: (state) => state.total,
    over: (state, limit: number) => state.total > limit,
  },
});
