/**
 * A message of the provisioner's queue. It names a request and nothing else: what that asks for is read from the registry
 * when it is carried out. While a table is being made, the message that waits for it names the table, too.
 */
import { Invalid } from "../../errors.ts";
import type { AcceptorServer } from "../../protocol/pool.ts";

const FORMAT = 1;

export interface ProvisioningMessage {
  readonly request: string;
  /** Made for it, and not ready when it was last looked at. */
  readonly table?: AwaitedTable;
}

export interface AwaitedTable {
  readonly acceptor: AcceptorServer;
  /** How often it was looked at. */
  readonly looks: number;
}

export function messageText(message: ProvisioningMessage): string {
  return JSON.stringify({ format: FORMAT, ...message });
}

/** @throws Invalid when it is no such message. */
export function messageOf(body: string): ProvisioningMessage {
  let message: unknown;
  try {
    message = JSON.parse(body);
  } catch (cause) {
    throw new Invalid("invalid_request", "a message of the queue is not JSON", { cause });
  }
  const { format, request, table } = fieldsOf(message);
  if (format !== FORMAT || typeof request !== "string" || !(table === undefined || isAwaited(table)))
    throw new Invalid("invalid_request", `a message of the queue has an unknown form: ${body.slice(0, 100)}`);
  return table === undefined ? { request } : { request, table };
}

function isAwaited(table: unknown): table is AwaitedTable {
  const { acceptor, looks } = fieldsOf(table);
  const { id, kind, location, incarnation } = fieldsOf(acceptor);
  const isServer = [id, kind, location, incarnation].every((each) => typeof each === "string");
  return isServer && Number.isSafeInteger(looks);
}

function fieldsOf(value: unknown): Partial<Record<string, unknown>> {
  return (value ?? {}) as Partial<Record<string, unknown>>;
}
