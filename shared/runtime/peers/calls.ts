/** What one leader process asks another over HTTP, at the address by which that one made itself known. */
import { Exchange } from "../../client/exchange.ts";
import { Unavailable } from "../../errors.ts";
import { errorOf, isProblem } from "../../wire.ts";
import { DEPLOYMENT_HEADER } from "../http/deployment-guard.ts";
import type { Identity } from "./message.ts";

export interface PeerRequest {
  readonly path: string;
  /** With it the request is a POST. */
  readonly body?: unknown;
  /** The answer is there by then, or there is none. */
  readonly withinMs: number;
}

export class PeerCalls {
  readonly #exchange = new Exchange();
  readonly #closed = new AbortController();

  /** The answer's JSON. @throws the error that the peer answers with; Unavailable when it does not answer. */
  async ask(
    { id, address, deployment }: Pick<Identity, "id" | "address" | "deployment">,
    { path, body, withinMs }: PeerRequest,
  ): Promise<unknown> {
    const request = {
      method: body === undefined ? "GET" : "POST",
      path,
      headers: { "content-type": "application/json", [DEPLOYMENT_HEADER]: deployment },
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
