/**
 * The thread of one table. It takes all that lies in its mailbox into one transaction, commits, and only
 * then answers: while one flush runs, the requests for the next one gather.
 */
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import type { Outcome } from "../protocol/acceptor.ts";
import { SqliteTable, type TableRequest } from "./sqlite-table.ts";

export interface SqliteWorkerData {
  readonly path: string;
  readonly incarnation: string;
}
export type SqliteMessage = ({ readonly id: number } & TableRequest) | "close";
export interface SqliteReply {
  readonly answers: readonly { readonly id: number; readonly outcomes: readonly Outcome[] }[];
  readonly lost: boolean;
}

/** Bounds how long the first request of a group waits for the last, and how far one group grows the log. */
const GROUP_REQUESTS_MAX = 1_024;

/** A table that was retired is deleted under those who have it open, and the disk has its space back when they let go. */
const LOOK_EVERY_MS = 2_000;

const { path, incarnation } = workerData as SqliteWorkerData;
const port = parentPort as MessagePort;
const table = new SqliteTable(path, incarnation, warnOnce);
let warned = "";

port.on("message", (first: SqliteMessage) => {
  const group: Exclude<SqliteMessage, "close">[] = [];
  let message: SqliteMessage | undefined = first;
  while (message !== undefined && message !== "close") {
    group.push(message);
    message = group.length < GROUP_REQUESTS_MAX ? receiveMessageOnPort(port)?.message : undefined;
  }
  if (group.length > 0) answer(group);
  if (message === "close") {
    table.close();
    port.close();
  }
});

setInterval(() => {
  if (table.hasGone()) port.postMessage({ answers: [], lost: true } satisfies SqliteReply);
}, LOOK_EVERY_MS).unref();

function answer(group: readonly Exclude<SqliteMessage, "close">[]): void {
  const outcomes = table.execute(group);
  const answers = group.map(({ id }, index) => ({ id, outcomes: outcomes[index] ?? [] }));
  port.postMessage({ answers, lost: table.isLost } satisfies SqliteReply);
}

/** A full disk fails every group: one sentence is enough until the trouble changes. */
function warnOnce(sentence: string): void {
  if (sentence === warned) return;
  warned = sentence;
  process.emitWarning(sentence, "TableWarning");
}
