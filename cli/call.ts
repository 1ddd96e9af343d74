/** One HTTP call of a one-shot command, repeated through failover where that does no harm. */

import { jsonOf } from "../shared/client/answers.ts";
import type { Outgoing } from "../shared/client/exchange.ts";
import { Transport } from "../shared/client/transport.ts";
import { Unavailable } from "../shared/errors.ts";

/** As long as a program's call may take by default. */
const DEADLINE_MS = 30_000;
/** A part that died is there again by then; a mistyped address is told of soon. */
const REACH_MS = 2_000;

/** @throws the TheseusError that the answer stands for; OutcomeUnknown where it is lost and `isRepeatable` is false. */
export async function call(
  url: string,
  machine: string,
  request: Outgoing,
  { isRepeatable = true } = {},
): Promise<unknown> {
  await assertReachable(url);
  return ask(url, machine, request, DEADLINE_MS, isRepeatable);
}

/** @throws Unavailable in a sentence, when nobody answers at the address. */
export async function assertReachable(url: string): Promise<void> {
  try {
    await ask(url, "", { method: "GET", path: "/v1/health" }, REACH_MS);
  } catch (cause) {
    const message = `no Theseus answers at ${url}: start one with \`theseus dev FILE\`, or give its address with --url`;
    throw new Unavailable("unavailable", message, { cause });
  }
}

async function ask(
  url: string,
  machine: string,
  request: Outgoing,
  deadlineMs: number,
  isRepeatable = true,
): Promise<unknown> {
  const transport = new Transport({ list: () => [url], failed: () => {} });
  try {
    return jsonOf(await transport.call({ machine, request, deadlineMs, mayRepeat: () => isRepeatable }));
  } finally {
    transport.close();
  }
}
