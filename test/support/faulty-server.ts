/** The HTTP interface over a backend in memory, with faults put in its way: one for each request, in order. */

import { OutcomeUnknown } from "../../shared/errors.ts";
import type { Backend } from "../../shared/runtime/http/backend.ts";
import { httpInterface } from "../../shared/runtime/http/http.ts";
import { type Served, type ServerBindings, serve } from "../../shared/runtime/http/serve.ts";
import { problemOf } from "../../shared/wire.ts";

type Next = () => Promise<Response>;
export type Fault = (next: Next, bindings: ServerBindings) => Promise<Response>;

const NEVER = new Promise<never>(() => {});

function cutOff({ incoming }: ServerBindings): Promise<Response> {
  incoming.socket.destroy();
  return NEVER;
}

export const faults = {
  none: (next) => next(),
  dropBeforeExecuting: (_, bindings) => cutOff(bindings),
  dropAfterExecuting: async (next, bindings) => {
    await next();
    return cutOff(bindings);
  },
  hangAfterExecuting: async (next) => {
    await next();
    return NEVER;
  },
  /** As a process that is stopped: the connection stands, and nobody is at home. */
  hang: () => NEVER,
  /** No problem document: whoever sent it knows nothing of what the server did. */
  foreign503AfterExecuting: async (next) => {
    await next();
    return new Response("upstream trouble", { status: 503 });
  },
  /** Leadership ended between the elements of an array: the last one was executed, and nobody here knows. */
  lastElementUnknown: async (next) => {
    const answers = (await (await next()).json()) as unknown[];
    const unknown = problemOf(new OutcomeUnknown("outcome_unknown", "the leader was deposed"));
    return Response.json([...answers.slice(0, -1), unknown]);
  },
  /** The first piece of the answer, and then nothing more. */
  breakOff: async (next, bindings) => {
    const reader = (await next()).body?.getReader();
    const pull = async (controller: ReadableStreamDefaultController) => {
      controller.enqueue((await reader?.read())?.value);
      bindings.outgoing.once("drain", () => bindings.incoming.socket.destroySoon());
      setImmediate(() => bindings.incoming.socket.destroySoon());
      await NEVER;
    };
    return new Response(new ReadableStream({ pull }), {
      headers: { "content-type": "application/x-ndjson" },
    });
  },
} satisfies Record<string, Fault>;

export class FaultyServer {
  /** `POST /v1/…` of each request that came, faulty ones too. */
  readonly requests: string[] = [];
  readonly #faults: { readonly path: string; readonly fault: Fault }[] = [];
  #served: Served | undefined;

  get url(): string {
    return (this.#served as Served).url;
  }

  /** The next requests whose path ends so meet these faults. */
  fault(path: string, ...faulty: readonly Fault[]): void {
    this.#faults.push(...faulty.map((fault) => ({ path, fault })));
  }

  count(path: string): number {
    return this.requests.filter((request) => request.endsWith(path)).length;
  }

  async listen(backend: Backend, headers: Readonly<Record<string, string>> = {}): Promise<this> {
    const app = httpInterface(backend, () => {});
    this.#served = await serve(
      {
        fetch: async (request, bindings) => {
          const { pathname } = new URL(request.url);
          this.requests.push(`${request.method} ${pathname}`);
          const index = this.#faults.findIndex(({ path }) => pathname.endsWith(path));
          const [faulty] = index < 0 ? [] : this.#faults.splice(index, 1);
          const answer = await (faulty?.fault ?? faults.none)(
            async () => app.fetch(request, bindings),
            bindings,
          );
          for (const [name, value] of Object.entries(headers)) answer.headers.set(name, value);
          return answer;
        },
      },
      { port: 0, report: () => {} },
    );
    return this;
  }

  /** As a process that is killed: connections break. */
  async kill(): Promise<void> {
    const closed = this.#served?.close();
    this.#served?.server.closeAllConnections();
    await closed;
  }
}
