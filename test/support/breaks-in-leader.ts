/** A machine file that `theseus dev` can import and a leader process cannot. */
export { tally } from "./tally.ts";

if (process.argv[1]?.endsWith("leader.ts")) throw new Error("broken in a leader");
