/**
 * Stands before DynamoDB Local and counts what every request of a deployment consumes, by asking for that with each.
 * A write that is refused consumes capacity too, of which DynamoDB says nothing: those are counted apart.
 */
import { once } from "node:events";
import {
  Agent,
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";

export interface Consumed {
  /** `theseus-…`. */
  readonly table: string;
  /** `machine#cell…`. */
  readonly key: string;
  readonly operation: string;
  readonly units: number;
  readonly isRefused: boolean;
}

const WRITES: ReadonlySet<string> = new Set(["PutItem", "UpdateItem", "DeleteItem"]);
const COUNTED: ReadonlySet<string> = new Set([...WRITES, "GetItem"]);

export class CapacityMeter {
  /** Since `reset`. */
  consumed: Consumed[] = [];
  readonly #agent = new Agent({ keepAlive: true });
  readonly #behind: number;
  readonly #server: Server;

  /** `behind`: DynamoDB Local's port. */
  constructor(behind: number) {
    this.#behind = behind;
    this.#server = createServer((asked, answer) => {
      this.#carry(asked, answer).catch(() => answer.destroy());
    });
  }

  async listen(): Promise<string> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  reset(): void {
    this.consumed = [];
  }

  get writes(): readonly Consumed[] {
    return this.consumed.filter(({ operation }) => WRITES.has(operation));
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    this.#agent.destroy();
    await once(this.#server, "close");
  }

  async #carry(asked: IncomingMessage, answer: ServerResponse): Promise<void> {
    const operation = String(asked.headers["x-amz-target"]).split(".")[1] ?? "";
    const body = await buffer(asked);
    if (!COUNTED.has(operation)) return void (await this.#pass(asked, body, answer));
    const input = JSON.parse(body.toString()) as { TableName: string } & Record<string, unknown>;
    const counted = Buffer.from(JSON.stringify({ ...input, ReturnConsumedCapacity: "TOTAL" }));
    const { status, text } = await this.#pass(asked, counted, answer);
    const { ConsumedCapacity } = JSON.parse(text) as { ConsumedCapacity?: { CapacityUnits: number } };
    const units = ConsumedCapacity?.CapacityUnits ?? 0;
    this.consumed.push({
      table: input.TableName,
      key: keyOf(input),
      operation,
      units,
      isRefused: status !== 200,
    });
  }

  async #pass(asked: IncomingMessage, body: Buffer, answer: ServerResponse) {
    const { method, url, headers } = asked;
    const passed = request({
      ...{ host: "127.0.0.1", port: this.#behind, agent: this.#agent, method, path: url },
      headers: { ...headers, "content-length": body.length },
    });
    passed.end(body);
    const [reply] = (await once(passed, "response")) as [IncomingMessage];
    const content = await buffer(reply);
    answer.writeHead(reply.statusCode ?? 0, reply.headers).end(content);
    return { status: reply.statusCode ?? 0, text: content.toString() };
  }
}

function keyOf({ Key, Item }: Readonly<Record<string, unknown>>): string {
  const { pk } = (Key ?? Item) as { pk: { S: string } };
  return pk.S;
}
