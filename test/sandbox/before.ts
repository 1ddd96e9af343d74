/** Before any test: is it the account that was meant? What is refused here has changed nothing. */
import { describeStack } from "../../cli/aws/stack.ts";
import { askedBy, assertAccount } from "./asked.ts";

export async function setup(): Promise<void> {
  const asked = askedBy(process.env);
  if (asked.kind === "emulator") return;
  const toolkit = await describeStack("CDKToolkit", asked.where);
  assertAccount(asked.account, asked.where, toolkit?.StackId);
}
