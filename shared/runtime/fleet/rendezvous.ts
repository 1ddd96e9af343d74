/**
 * Rendezvous hashing: every process ranks the live leaders for a machine alike, without talking. When one
 * joins or leaves, only the machines that it ranks first for move. It decides who should try to lead;
 * ballots decide who does.
 */
import { createHash } from "node:crypto";

/** The ids in the order in which they should lead `machine`, first choice first. */
export function rank(machine: string, ids: Iterable<string>): readonly string[] {
  return [...ids]
    .map((id) => ({ id, weight: createHash("sha256").update(`${machine}\n${id}`).digest("hex") }))
    .sort((one, other) => (one.weight > other.weight ? -1 : 1))
    .map(({ id }) => id);
}
