/**
 * A DynamoDB in front of which things go wrong: an HTTP server that speaks its protocol, with faults put in the way of
 * the next requests, in order. What it answers without a fault comes from `answer`, or from another server.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

export interface Exchange {
  /** `UpdateItem`, say. */
  readonly operation: string;
  readonly request: IncomingMessage;
  readonly body: string;
  readonly response: ServerResponse;
  /** As without a fault: whatever is asked for happens. */
  execute(): Promise<Answer>;
}
export interface Answer {
  readonly status: number;
  readonly body: string;
}
export type Fault = (exchange: Exchange) => Promise<Answer | undefined>;

const NEVER = new Promise<never>(() => {});

/** An error as DynamoDB words it. */
export function errorAnswer(name: string, status = 400, message = `${name} on purpose`): Answer {
  const body = JSON.stringify({ __type: `com.amazonaws.dynamodb.v20120810#${name}`, message });
  return { status, body };
}

export const faults = {
  none: ({ execute }) => execute(),
  resetBeforeExecuting: async ({ request }) => {
    request.socket.destroy();
    return undefined;
  },
  loseReply: async ({ execute, request }) => {
    await execute();
    request.socket.destroy();
    return undefined;
  },
  halfReply: async ({ execute, request, response }) => {
    const { status, body } = await execute();
    response.writeHead(status, { "content-length": Buffer.byteLength(body) + 10 }).write(body);
    setImmediate(() => request.socket.destroySoon());
    return undefined;
  },
  /** The connection stands, and nobody is at home. */
  hang: () => NEVER,
  hangAfterExecuting: async ({ execute }) => {
    await execute();
    return NEVER;
  },
  hangInReply: async ({ execute, response }) => {
    const { status, body } = await execute();
    response.writeHead(status, { "content-length": Buffer.byteLength(body) + 10 }).write(body);
    return NEVER;
  },
  /** A proxy's page, after the write. */
  foreign503AfterExecuting: async ({ execute }) => {
    await execute();
    return { status: 503, body: "<html>Service Unavailable</html>" };
  },
  nonsense: async () => ({ status: 200, body: "<html>Sign in to the network</html>" }),
} satisfies Record<string, Fault>;

export const answering = (answer: Answer): Fault => {
  return async () => answer;
};

export class FaultyDynamodb {
  /** Each request that came. */
  readonly requests: { readonly operation: string; readonly input: Readonly<Record<string, unknown>> }[] = [];
  /** Opened so far. */
  connections = 0;
  readonly #faults: { readonly operation: string; readonly fault: Fault }[] = [];
  readonly #answer: (exchange: Omit<Exchange, "execute">) => Promise<Answer>;
  readonly #server: Server;

  constructor(answer: (exchange: Omit<Exchange, "execute">) => Promise<Answer>) {
    this.#answer = answer;
    this.#server = createServer((request, response) => void this.#serve(request, response));
    this.#server.on("connection", () => {
      this.connections += 1;
    });
  }

  /** In front of another server. */
  static before(url: string): FaultyDynamodb {
    return new FaultyDynamodb(async ({ request, body }) => {
      const { host: _, connection: __, "content-length": ___, ...headers } = request.headers;
      const answer = await fetch(url, { method: "POST", body, headers: headers as Record<string, string> });
      return { status: answer.status, body: await answer.text() };
    });
  }

  get operations(): readonly string[] {
    return this.requests.map(({ operation }) => operation);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The next requests of the operation meet these. */
  fault(operation: string, ...faulty: readonly Fault[]): void {
    this.#faults.push(...faulty.map((fault) => ({ operation, fault })));
  }

  async listen(): Promise<this> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return this;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await text(request);
    const operation = String(request.headers["x-amz-target"]).split(".")[1] ?? "";
    this.requests.push({ operation, input: JSON.parse(body) });
    const index = this.#faults.findIndex((faulty) => faulty.operation === operation);
    const [faulty] = index < 0 ? [] : this.#faults.splice(index, 1);
    const exchange = { operation, request, body, response };
    const execute = () => this.#answer(exchange);
    const answer = await (faulty?.fault ?? faults.none)({ ...exchange, execute });
    if (answer === undefined) return;
    response.writeHead(answer.status, { "content-type": "application/x-amz-json-1.0" }).end(answer.body);
  }
}
