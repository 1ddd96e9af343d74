/**
 * Ballots: ⟨configuration, round, process⟩, compared lexicographically (PROTOCOL §1).
 *
 * A ballot is one fixed-width string whose order as a string is the ballots' order, so a table can
 * compare it without knowing what it means, and it never passes through a double above 2^53.
 * It has one configuration and one owner: `process` is 128 random bits drawn at process start.
 * ⟨c, 0, 0⟩ is what `create` writes, and belongs only to the process that was granted c.
 */
export type Ballot = string & { readonly brand: "Ballot" };
/** 1, 2, 3 …: the number of a configuration, issued by the registry. */
export type ConfigurationNumber = number & { readonly brand: "ConfigurationNumber" };
/** 128 random bits as 32 hexadecimal digits; a restarted process draws a new one. */
export type ProcessId = string & { readonly brand: "ProcessId" };

/** 14 hexadecimal digits hold 56 bits: more than any safe integer needs. */
const NUMBER_DIGITS = 14;
const FORM = /^([0-9a-f]{14})\.([0-9a-f]{14})\.([0-9a-f]{32})$/;

/** The process part of ⟨c, 0, 0⟩: nobody in particular. */
export const NO_PROCESS = "0".repeat(32) as ProcessId;

export interface BallotParts {
  readonly configuration: ConfigurationNumber;
  readonly round: number;
  readonly process: ProcessId;
}

/** @throws RangeError when a part does not fit: a ballot that wraps would not be unique. */
export function ballotOf(configuration: ConfigurationNumber, round: number, process: ProcessId): Ballot {
  const text = `${digits(configuration)}.${digits(round)}.${process}`;
  if (!FORM.test(text)) throw new RangeError(`not a process id of 32 hexadecimal digits: ${process}`);
  return text as Ballot;
}

/** The ballot that every cell of configuration c is born with: ⟨c, 0, 0⟩. */
export function birthBallot(configuration: ConfigurationNumber): Ballot {
  return ballotOf(configuration, 0, NO_PROCESS);
}

/** @throws RangeError when the text is not a ballot. */
export function parseBallot(text: string): BallotParts {
  const match = FORM.exec(text);
  if (match === null) throw new RangeError(`not a ballot: ${text}`);
  return {
    configuration: number(match[1] as string) as ConfigurationNumber,
    round: number(match[2] as string),
    process: match[3] as ProcessId,
  };
}

function digits(value: number): string {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`not a ballot's number: ${value}`);
  return value.toString(16).padStart(NUMBER_DIGITS, "0");
}

function number(text: string): number {
  const value = Number.parseInt(text, 16);
  if (!Number.isSafeInteger(value)) throw new RangeError(`a ballot's number is above 2^53: ${text}`);
  return value;
}
