/**
 * A client process under load, for drills: deposits and transfers whose amounts are all different, so that each is
 * recognised in the log, and linearizable reads of the total. Every operation becomes one JSON line.
 *
 *   node load-client.ts URL NAME FIRST CALLERS FILE      until SIGTERM; what is under way then is finished
 */
import { appendFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { bank } from "../../examples/bank.ts";
import { connect } from "../../shared/client/index.ts";
import { TheseusError } from "../../shared/errors.ts";
import type { QueryAnswer } from "../../shared/wire.ts";
import type { Operation } from "./linearizable.ts";

const [url = "", name = "", first = "", callers = "", file = ""] = process.argv.slice(2);
const PAUSE_MS = 4;
/** One operation in so many is a read. */
const READS_EVERY = 5;
/** One in so many moves money instead of making it. */
const TRANSFERS_EVERY = 3;

const theseus = connect(url, { deadlineMs: 60_000 });
const accounts = theseus.machine(bank, "main");
let isStopping = false;
let unique = Number(first);
process.on("SIGTERM", () => {
  isStopping = true;
});

await Promise.all(Array.from({ length: Number(callers) }, (_, caller) => run(`${name}-${caller}`)));
theseus.close();
process.exit(0);

async function run(client: string): Promise<void> {
  for (let turn = 0; !isStopping; turn++) {
    if (turn % READS_EVERY === READS_EVERY - 1) await read(client);
    else await command(client, turn);
    await sleep(PAUSE_MS);
  }
}

async function command(client: string, turn: number): Promise<void> {
  const amount = ++unique;
  const input =
    turn % TRANSFERS_EVERY === TRANSFERS_EVERY - 1
      ? ({ type: "transfer", from: "treasury", to: client, amount } as const)
      : ({ type: "deposit", account: "treasury", amount } as const);
  const call = now();
  try {
    const output = await accounts.send(input);
    record({ client, call, return: now(), input, output, ok: true });
  } catch (error) {
    // Only an unknown outcome is in the history of what may have happened; anything else is a failure to report.
    const code = error instanceof TheseusError ? error.code : String(error);
    record({ client, call, return: now(), input, output: code, ok: false });
  }
}

async function read(client: string): Promise<void> {
  const call = now();
  const response = await fetch(`${url}/v1/machines/bank/main/queries/total`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: "{}",
  }).catch(() => undefined);
  const answer = response?.ok === true ? ((await response.json()) as QueryAnswer) : undefined;
  if (answer === undefined) return;
  record({ client, call, return: now(), asOf: answer.asOf, input: "total", output: answer.result, ok: true });
}

/** CLOCK_MONOTONIC in microseconds: one clock for all processes of a machine. */
function now(): number {
  return Number(process.hrtime.bigint() / 1_000n);
}

function record(operation: Operation): void {
  appendFileSync(file, `${JSON.stringify(operation)}\n`);
}
