/** What one leader process asks another over HTTP, at the address by which that one made itself known. */
import { Exchange } from "../../client/exchange.ts";
import { Unavailable } from "../../errors.ts";
import { errorOf, isProblem } from "../../wire.ts";
import { DEPLOYMENT_HEADER } from "../http/deployment-guard.ts";
import type { Credentials } from "../tokens/credentials.ts";
import { TOKEN_HEADER } from "../tokens/token.ts";
import type { Identity } from "./message.ts";

export interface PeerRequest {
  readonly path: string;
  /** With it the request is a POST. */
  readonly body?: unknown;
  /** The answer is there by then, or there is none. */
  readonly withinMs: number;
}

/** What shows the leader at that address who asks. */
export function peerHeaders(credentials: Credentials | undefined, address: string): Record<string, string> {
  return credentials === undefined ? {} : { [TOKEN_HEADER]: credentials.tokenFor(address) };
}

export class PeerCalls {
  readonly #credentials: Credentials | undefined;
  readonly #exchange = new Exchange();
  readonly #closed = new AbortController();

  /** Without credentials nobody is asked for any: on one machine, whoever reaches a leader may ask. */
  constructor(credentials?: Credentials) {
    this.#credentials = credentials;
  }

  /** The answer's JSON. @throws the error that the peer answers with; Unavailable when it does not answer. */
  async ask(
    { id, address, deployment }: Pick<Identity, "id" | "address" | "deployment">,
    { path, body, withinMs }: PeerRequest,
  ): Promise<unknown> {
    const request = {
      method: body === undefined ? "GET" : "POST",
      path,
      headers: {
        "content-type": "application/json",
        [DEPLOYMENT_HEADER]: deployment,
        ...peerHeaders(this.#credentials, address),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    };
    const patience = { deadlineMs: withinMs, patienceMs: withinMs, giveUp: () => true };
    let answer: unknown;
    try {
      const { body: text } = await this.#exchange.run(address, request, patience, this.#closed.signal, "own");
      answer = JSON.parse(String(text));
    } catch (cause) {
      throw new Unavailable("unavailable", `${id} does not answer`, { cause });
    }
    if (isProblem(answer)) throw errorOf(answer);
    return answer;
  }

  close(): void {
    this.#closed.abort();
    this.#exchange.close();
  }
}
