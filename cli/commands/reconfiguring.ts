/** Waiting for a reconfiguration that takes long: how far it is, and what came of it when its answer was lost. */
import { setTimeout as sleep } from "node:timers/promises";
import { OutcomeUnknown } from "../../shared/errors.ts";
import type { MachineStatus, ReconfigurationStatus, ReconfigureAnswer } from "../../shared/wire.ts";
import { printNote } from "../output.ts";

const POLL_MS = 1_000;

export interface Watching {
  readonly status: () => Promise<MachineStatus>;
  readonly json: boolean | undefined;
}

/**
 * The answer, with a line on standard error each second until it is there. One that takes longer than a caller is let
 * wait goes on all the same: then the machine is asked until it is over.
 * @throws what was asked throws.
 */
export async function watchingProgress(
  watching: Watching,
  ask: () => Promise<unknown>,
): Promise<ReconfigureAnswer> {
  const { status } = watching;
  const before = await status();
  const over = new AbortController();
  const telling = tell(watching, over.signal);
  try {
    return (await ask()) as ReconfigureAnswer;
  } catch (error) {
    const now = error instanceof OutcomeUnknown ? await whenOver(status) : before;
    const { number, mode, acceptors } = now.configuration;
    if (number <= before.configuration.number) throw error;
    return { number, previous: before.configuration.number, mode, acceptors };
  } finally {
    over.abort();
    await telling;
  }
}

async function tell({ status, json }: Watching, signal: AbortSignal): Promise<void> {
  while (await pause(signal)) {
    const { reconfiguring } = await status().catch(() => ({ reconfiguring: undefined }));
    if (reconfiguring !== undefined && !signal.aborted)
      printNote(json ? JSON.stringify({ reconfiguring }) : textOf(reconfiguring));
  }
}

async function whenOver(status: Watching["status"]): Promise<MachineStatus> {
  for (;;) {
    const now = await status();
    if (now.reconfiguring === undefined) return now;
    await sleep(POLL_MS);
  }
}

/** False: it is over. */
function pause(signal: AbortSignal): Promise<boolean> {
  return sleep(POLL_MS, true, { signal }).catch(() => false);
}

export function textOf({ phase, tables }: ReconfigurationStatus): string {
  const texts = tables.map(({ acceptor, covered, of, parts }) => {
    if (parts !== undefined) return `${acceptor} has ${parts.copied} of ${parts.of} parts of a snapshot`;
    return `${acceptor} has slots 1 to ${covered} of ${of}`;
  });
  return [`${phase} …`, ...texts].join(" ");
}
