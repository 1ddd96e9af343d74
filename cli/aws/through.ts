/** A command's way to its deployment: straight to an address, or to a stack on AWS by way of a proxy of its own. */
import { signedFetch } from "../../shared/aws/signed-fetch.ts";
import { Forbidden, TheseusError, Unavailable } from "../../shared/errors.ts";
import { stopSignal } from "../dev/signals.ts";
import { confirm } from "./confirm.ts";
import { startProxy } from "./proxy.ts";
import { findStack, type Stack } from "./stack.ts";
import { awsTrouble } from "./trouble.ts";
import { type Where, whereIs } from "./where.ts";

export interface StackOptions {
  readonly stack: string;
  readonly region?: string | undefined;
  readonly yes?: true | undefined;
}

/** `changes`: what would be done, in a few words; undefined: nothing that needs to be asked first. */
export async function throughStack(
  { stack: name, region, yes }: StackOptions,
  changes: string | undefined,
  run: (url: string) => Promise<void>,
): Promise<void> {
  const where = whereIs(region);
  const stack = await findStack(name, where);
  if (changes !== undefined) await confirm(changes, stack, { place: where.place, yes: yes === true });
  const proxy = await openProxy(stack, where, 0);
  try {
    await run(proxy.url);
  } finally {
    await proxy.close();
  }
}

/** Until Ctrl-C or SIGTERM. */
export async function proxyUntilStopped(
  { stack: name, region }: StackOptions,
  port: number,
  ready: (url: string) => void,
): Promise<void> {
  const where = whereIs(region);
  const proxy = await openProxy(await findStack(name, where), where, port);
  try {
    const told = stopSignal(() => process.exit(1));
    ready(proxy.url);
    await told;
  } finally {
    await proxy.close();
  }
}

/** @throws a TheseusError in a sentence, when the gateway's function cannot be called. */
async function openProxy({ gateway, registry }: Stack, { place }: Where, port: number) {
  const fetch = signedFetch();
  const report = (error: unknown) => process.stderr.write(`theseus: ${(error as Error).message}\n`);
  await assertCallable(fetch, gateway, place);
  return startProxy({ gateway, registry, port, fetch, report });
}

async function assertCallable(
  fetch: ReturnType<typeof signedFetch>,
  gateway: string,
  place: Where["place"],
): Promise<void> {
  const answer = await fetch(new URL("/v1/health", gateway)).catch((error: unknown) => {
    if (error instanceof Forbidden)
      throw new Forbidden(
        "forbidden",
        `these credentials may not call ${gateway}: they need lambda:InvokeFunctionUrl and lambda:InvokeFunction on the gateway's function`,
        { cause: error },
      );
    if (error instanceof TheseusError) throw error;
    throw awsTrouble(error, "lambda:InvokeFunctionUrl", place);
  });
  if (!answer.ok)
    throw new Unavailable(
      "unavailable",
      `the gateway's function answers with HTTP status ${answer.status}: its log says why (/aws/lambda/…-gateway)`,
    );
}
