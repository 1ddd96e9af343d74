/**
 * What goes over HTTP (DESIGN §1): the JSON shapes of each call, and errors as problem documents
 * (RFC 9457). Clients in other languages are written against this file.
 */
import {
  type ErrorCode,
  type ErrorOptions,
  Forbidden,
  Invalid,
  OutcomeUnknown,
  Refused,
  type TheseusError,
  Unavailable,
  VersionSkew,
} from "./errors.ts";
import type { QuorumSpec } from "./protocol/quorum.ts";
import type { Slot } from "./protocol/slot.ts";
import type { Command } from "./protocol/value.ts";

/** Commands, or sessions to be opened, in one request's array. */
export const ELEMENTS_MAX = 1_024;

/** The same nonce gives the same session, so that opening one may be repeated. */
export interface SessionRequest {
  readonly nonce: string;
}
export interface SessionAnswer {
  readonly session: string;
  readonly slot: number;
}

/** Session and sequence come together: exactly once, however often the request is repeated. */
export interface CommandRequest {
  readonly command: unknown;
  readonly session?: string;
  readonly sequence?: number;
}
/** `refused`: the machine said no (`refuse`), and `response` is the reason. */
export interface CommandAnswer {
  readonly slot: number;
  readonly response: unknown;
  readonly refused?: true;
}

/**
 * One acceptor in another's place (default: one that the machine does not use yet), a named mode of these, or any two
 * families that meet: weights, grids, whatever a list of sets can say.
 */
export type NewQuorums =
  | { readonly replace: string; readonly by?: string }
  | { readonly mode: string; readonly acceptors: readonly string[] }
  | { readonly quorums: QuorumSpec };

export type ReconfigureRequest = NewQuorums & {
  /** Who asks for it, as is recorded. */
  readonly operator?: string;
  /** Why it is to be activated though too few leader processes endorse it; recorded for good. */
  readonly override?: string;
};
/** The configuration that is active now; of the registry, the one that is installed. */
export interface ReconfigureAnswer {
  readonly number: number;
  readonly previous: number;
  readonly mode: string;
  readonly acceptors: readonly string[];
}

/** The same nonce starts the same leader, so that it may be repeated. */
export interface StartLeaderRequest {
  readonly nonce: string;
}
/** Ordered; `status` shows the leader once it runs. */
export interface StartLeaderAnswer {
  readonly request: string;
  readonly leader: string;
}
/** Its stop is ordered, and its id is never used again. */
export interface RetireLeaderAnswer {
  readonly retired: string;
}

/** `drained`: it leads nothing and takes nothing, and may be stopped. `machines`: how many it still leads. */
export interface DrainAnswer {
  readonly leader: string;
  readonly state: "draining" | "drained";
  readonly machines: number;
}

export interface QueryRequest {
  readonly args?: unknown;
}
export interface QueryAnswer {
  readonly asOf: number;
  readonly result: unknown;
}
export interface StateAnswer {
  readonly asOf: number;
  readonly state: unknown;
}

/** One page of machine ids (`name/id`) in order; the last one is the next page's `after`. */
export interface MachinesAnswer {
  readonly machines: readonly string[];
}

export interface MachineStatus {
  readonly machine: string;
  readonly id: string;
  readonly version: number;
  readonly configuration: {
    readonly number: number;
    readonly mode: string;
    readonly acceptors: readonly string[];
  };
  /** Id and address of the process that leads it, as far as this process knows. */
  readonly leader: { readonly id: string; readonly address: string } | null;
  readonly ballot: string | null;
  readonly chosen: number;
  readonly applied: number;
  /** The slot of the newest snapshot that a table has, 0 without one: the log through it may be trimmed. */
  readonly snapshot: number;
  /** While it is reconfigured. */
  readonly reconfiguring?: ReconfigurationStatus;
}

/** `copying`: the old configuration serves; `transferring`: callers wait. What was heard of each new table last. */
export interface ReconfigurationStatus {
  readonly phase: "copying" | "transferring";
  readonly tables: readonly {
    readonly acceptor: string;
    /** The log through this slot is there, of so much. */
    readonly covered: number;
    readonly of: number;
    /** While a snapshot is copied to it. */
    readonly parts?: { readonly copied: number; readonly of: number };
  }[];
}

export interface DeploymentStatus {
  readonly leaders: readonly {
    readonly id: string;
    readonly address: string;
    readonly pid?: number;
    readonly state: string;
  }[];
  readonly acceptors: readonly {
    readonly id: string;
    readonly kind: string;
    readonly location: string;
    /** What the registry has it for: active, spare, suspected (machines move off it) or retired (it is being deleted). */
    readonly role: string;
    /** What it says to this process: live, suspected (nothing) or lost. */
    readonly state: string;
    /** What takes the place of a suspected one. */
    readonly replacement?: string;
  }[];
  readonly registry: {
    readonly configuration: number;
    readonly mode: string;
    readonly acceptors: readonly string[];
    /** Its own tables, those too that it is about to take or to leave; no machine uses them. */
    readonly tables: readonly {
      readonly id: string;
      readonly kind: string;
      readonly location: string;
      /** What it says to this process: live, suspected (nothing) or lost. */
      readonly state: string;
    }[];
    readonly applied: number;
    readonly address: string;
    /** How many of its requests are not carried out yet. */
    readonly outbox: number;
  };
  readonly machines: readonly MachineStatus[];
}

/** One chosen slot, as `GET …/log` tells it. */
export interface LogLine {
  readonly slot: Slot;
  readonly ballot: string;
  readonly configuration: number;
  readonly commands: readonly Command[];
}

/** In an array of answers each element is its own answer or its own problem. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: ErrorCode;
  readonly retryable: boolean;
  readonly leader?: string;
  readonly slot?: number;
  readonly trimmedThrough?: number;
}

interface Kind {
  readonly status: number;
  readonly title: string;
  readonly error: new (code: ErrorCode, message: string, options?: ErrorOptions) => TheseusError;
}

const KINDS: Readonly<Record<ErrorCode, Kind>> = {
  invalid_request: { status: 400, title: "The request is malformed", error: Invalid },
  invalid_command: { status: 422, title: "The machine has no such command", error: Invalid },
  too_large: { status: 413, title: "The request is too large", error: Invalid },
  unknown_machine: { status: 404, title: "There is no such machine", error: Invalid },
  unknown_query: { status: 404, title: "The machine has no such query", error: Invalid },
  not_found: { status: 404, title: "There is nothing here", error: Invalid },
  trimmed: { status: 410, title: "A snapshot took its place", error: Invalid },
  forbidden: { status: 403, title: "The caller may not do this", error: Forbidden },
  stale_sequence: { status: 409, title: "A later sequence was executed already", error: Refused },
  apply_failed: { status: 422, title: "The machine failed on this command", error: Refused },
  not_endorsed: { status: 409, title: "Too few leader processes agree", error: Refused },
  query_failed: { status: 422, title: "The machine failed on this query", error: Refused },
  not_leader: { status: 421, title: "Another process leads this machine", error: Unavailable },
  unavailable: { status: 503, title: "Not executed; try again", error: Unavailable },
  outcome_unknown: { status: 504, title: "It may have been executed", error: OutcomeUnknown },
  unknown_session: { status: 409, title: "The session is forgotten", error: OutcomeUnknown },
  version_skew: { status: 426, title: "The other side speaks another version", error: VersionSkew },
};

export function problemOf(error: TheseusError): Problem {
  const { status, title } = KINDS[error.code];
  return {
    type: `urn:theseus:error:${error.code}`,
    title,
    status,
    detail: error.message,
    code: error.code,
    retryable: error.retryable,
    ...(error.leader === undefined ? {} : { leader: error.leader }),
    ...(error.slot === undefined ? {} : { slot: error.slot }),
    ...(error.trimmedThrough === undefined ? {} : { trimmedThrough: error.trimmedThrough }),
  };
}

/** A programmer's error while serving: the caller learns that it happened and nothing about the inside. */
export function internalProblem(): Problem {
  const detail = "an internal error, which the server has reported; what was asked for may have happened";
  return {
    ...problemOf(new OutcomeUnknown("outcome_unknown", detail)),
    status: 500,
    title: "Internal error",
  };
}

export function errorOf(problem: Problem): TheseusError {
  const { code, detail, leader, slot, trimmedThrough } = problem;
  return new KINDS[code].error(code, detail, { leader, slot, trimmedThrough });
}

/** False also for a code that only a newer server knows: its meaning must not be guessed. */
export function isProblem(value: unknown): value is Problem {
  if (typeof value !== "object" || value === null) return false;
  const { code, detail } = value as Partial<Record<keyof Problem, unknown>>;
  return typeof code === "string" && Object.hasOwn(KINDS, code) && typeof detail === "string";
}
