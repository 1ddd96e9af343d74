/** One file that exports several machines, one of which throws half-way through a change. */
import { defineMachine } from "theseus";
import { z } from "zod";

export { bank } from "../../../examples/bank.ts";
export { lock } from "../../../examples/lock.ts";

export const fragile = defineMachine({
  name: "fragile",
  version: 1,
  command: z.object({ add: z.int(), break: z.boolean().default(false) }),
  init: () => ({ sum: 0, added: [] as number[] }),
  apply(state, command) {
    state.sum += command.add;
    state.added.push(command.add);
    if (command.break) throw new Error("broke half-way");
    return state.sum;
  },
  queries: { all: (state) => state },
});
