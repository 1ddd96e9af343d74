/** The public face of Theseus: what a user's machine and program import from "theseus". */
export {
  type Attempt,
  CommandOutcomeUnknown,
  type ConnectOptions,
  connect,
  type InboxMessage,
  type InboxOptions,
  type MachineClient,
  type QueryOptions,
  type SendOptions,
  type Theseus,
} from "./client/index.ts";
export {
  type ErrorCode,
  Forbidden,
  Invalid,
  OutcomeUnknown,
  Refused,
  TheseusError,
  Unavailable,
  VersionSkew,
} from "./errors.ts";
export {
  type CommandOf,
  defineMachine,
  type MachineDefinition,
  type Query,
  type QueryArgsOf,
  type QueryNameOf,
  type QueryResultOf,
  type ResponseOf,
  refuse,
} from "./machine.ts";
export type { Context, Refusal } from "./protocol/replica.ts";
