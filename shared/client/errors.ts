/** The errors of a client: those of the wire, and a command's unknown outcome with what asks for it again. */
import { type ErrorCode, type ErrorOptions, OutcomeUnknown } from "../errors.ts";

export {
  type ErrorCode,
  Forbidden,
  Invalid,
  OutcomeUnknown,
  Refused,
  TheseusError,
  Unavailable,
  VersionSkew,
} from "../errors.ts";

/** A command of a session. */
export interface Attempt {
  readonly session: string;
  readonly sequence: number;
}

/** Sending the same command with this session and sequence gives the one response of the one execution. */
export class CommandOutcomeUnknown extends OutcomeUnknown implements Attempt {
  readonly session: string;
  readonly sequence: number;

  constructor(code: ErrorCode, message: string, { session, sequence }: Attempt, options?: ErrorOptions) {
    super(code, message, options);
    this.session = session;
    this.sequence = sequence;
  }
}
