/** A machine whose state grows as large as one likes, by small commands. */
import { defineMachine } from "theseus";
import { z } from "zod";

const BLOCK_CHARACTERS = 1024 * 1024;

export const hoard = defineMachine({
  name: "hoard",
  version: 1,
  command: z.object({ blocks: z.int().nonnegative() }),
  init: () => ({ blocks: [] as string[], commands: 0 }),
  apply(state, { blocks }) {
    for (let block = 0; block < blocks; block++) {
      const line = `block ${state.blocks.length}, `;
      state.blocks.push(line.repeat(Math.ceil(BLOCK_CHARACTERS / line.length)));
    }
    return ++state.commands;
  },
  queries: { commands: ({ commands }) => commands, blocks: ({ blocks }) => blocks.length },
});
