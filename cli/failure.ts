/** How the command ends when it does not succeed: its exit code, and one sentence or one problem document. */
import { CommanderError } from "commander";
import { Invalid, OutcomeUnknown, TheseusError } from "../shared/errors.ts";
import { internalProblem, problemOf } from "../shared/wire.ts";

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
const EXIT_UNKNOWN = 3;

export function exitCodeOf(error: unknown): number {
  // Help and version are asked for: commander ends by an error of code 0.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
  return error instanceof OutcomeUnknown ? EXIT_UNKNOWN : EXIT_FAILED;
}

/** What goes to standard error, without the line's end; undefined: all is said. */
export function failureText(error: unknown, asJson: boolean): string | undefined {
  // Without any arguments commander has printed the help already.
  if (error instanceof CommanderError && (error.exitCode === 0 || error.code === "commander.help"))
    return undefined;
  if (asJson) return JSON.stringify(problemFor(error));
  if (error instanceof CommanderError) return `theseus: ${usageSentence(error)} (see theseus --help)`;
  if (error instanceof TheseusError) return `theseus: ${error.message}`;
  // A mistake in this program: the stack is what its authors need.
  return `theseus: internal error: ${error instanceof Error ? error.stack : String(error)}`;
}

function problemFor(error: unknown): object {
  if (error instanceof TheseusError) return problemOf(error);
  if (error instanceof CommanderError) return problemOf(new Invalid("invalid_request", usageSentence(error)));
  return internalProblem();
}

function usageSentence({ message }: CommanderError): string {
  return message.replace(/^error: /, "").replaceAll("\n", " ");
}
