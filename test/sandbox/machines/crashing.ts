/**
 * The journaled bank, with a way to have the process crash that leads it: ECS offers none, since a task that it stops
 * hands over first. One process is meant and no other, as a question that is not answered is asked again elsewhere.
 */
import { networkInterfaces } from "node:os";
import { defineMachine } from "theseus";
import { bank as plain } from "../../../examples/bank.ts";

export interface Process {
  /** Its address; a loopback one is any process's of that machine. */
  readonly host: string;
  readonly pid: number;
}

export const bank = defineMachine({
  name: plain.name,
  version: 1,
  command: plain.command,
  init: () => ({ ...plain.init(), journal: [] as number[] }),
  apply(state, command, context) {
    state.journal.push(context.slot, command.amount);
    return plain.apply(state, command, context);
  },
  queries: {
    ...plain.queries,
    journal: ({ journal }) => journal,
    crash: (_, meant: Process) => {
      if (isMeant(meant)) process.exit(1);
      return "another one is meant";
    },
  },
});

function isMeant({ host, pid }: Process): boolean {
  const here = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const isHere = host.startsWith("127.") || here.some(({ address }) => address === host);
  return isHere && process.pid === pid;
}
