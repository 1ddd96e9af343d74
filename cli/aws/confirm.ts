/** Before anything is changed on real AWS: is it the right account? An emulator is nobody's. */
import { createInterface } from "node:readline/promises";
import type { AwsPlace } from "../../shared/aws/clients.ts";
import { Invalid } from "../../shared/errors.ts";
import type { Stack } from "./stack.ts";

/** @throws Invalid, unless a person, or --yes, says so. */
export async function confirm(
  what: string,
  { name, account, region }: Pick<Stack, "name" | "account" | "region">,
  { place, yes }: { readonly place: AwsPlace; readonly yes: boolean },
): Promise<void> {
  if (yes || !("aws" in place)) return;
  const question = `${what}: stack ${name}, account ${account}, Region ${region}`;
  if (!process.stdin.isTTY) throw new Invalid("invalid_request", `${question}. Say --yes if that is meant`);
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await terminal.question(`${question}. Is that meant? (yes/no) `);
    if (answer.trim().toLowerCase() !== "yes") throw new Invalid("invalid_request", "nothing was done");
  } finally {
    terminal.close();
  }
}
