/** Quorums as a caller writes them: two families over named acceptors. Whether they meet is the registry's to say. */
import { Invalid } from "../../errors.ts";
import { type AcceptorId, type Family, MODES, type Mode, type QuorumSpec } from "../../protocol/quorum.ts";

/** @throws Invalid, naming those that there are. */
export function modeNamed(mode: string): (typeof MODES)[Mode] {
  if (Object.hasOwn(MODES, mode)) return MODES[mode as Mode];
  throw invalid(`there is no mode "${mode}"; there are: ${Object.keys(MODES).join(", ")}`);
}

/** @throws Invalid, saying what is expected instead. */
export function quorumsOf(body: unknown): QuorumSpec {
  const { acceptors, witnesses, read, write } = record(body, "quorums");
  return {
    acceptors: ids(acceptors, "acceptors"),
    witnesses: witnesses === undefined ? [] : ids(witnesses, "witnesses"),
    read: family(read, "read"),
    write: family(write, "write"),
  };
}

function family(value: unknown, name: string): Family {
  const { sets, atLeast, weights } = record(value, name);
  if (Array.isArray(sets) && atLeast === undefined)
    return { sets: sets.map((set, index) => ids(set, `${name}.sets[${index}]`)) };
  if (typeof atLeast !== "number" || !(atLeast > 0) || sets !== undefined)
    throw invalid(`${name} must be {sets: [[acceptor, …], …]} or {atLeast: number above 0, weights?}`);
  if (weights === undefined) return { atLeast };
  const each = Object.entries(record(weights, `${name}.weights`));
  if (!each.every(([, weight]) => typeof weight === "number"))
    throw invalid(`${name}.weights must be {acceptor: number, …}`);
  return { atLeast, weights: Object.fromEntries(each) as Record<string, number> };
}

function ids(value: unknown, name: string): readonly AcceptorId[] {
  if (Array.isArray(value) && value.every((id) => typeof id === "string")) return value as AcceptorId[];
  throw invalid(`${name} must be an array of ids of acceptors`);
}

function record(value: unknown, name: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw invalid(`${name} must be an object`);
}

function invalid(message: string): Invalid {
  return new Invalid("invalid_request", message);
}
