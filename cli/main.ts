#!/usr/bin/env node
import { exitCodeOf, failureText } from "./failure.ts";
import { theseusProgram } from "./program.ts";

// Whoever read our output has gone (`theseus log … | head`); a deployment's parts stop when they lose us.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));

try {
  await theseusProgram().parseAsync();
  // A user's machine file may have left timers behind.
  process.exit(0);
} catch (error) {
  const text = failureText(error, process.argv.includes("--json"));
  if (text !== undefined) process.stderr.write(`${text}\n`);
  process.exit(exitCodeOf(error));
}
