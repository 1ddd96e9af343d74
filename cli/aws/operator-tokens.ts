/** Tokens for what only operators may do: the registry's function gives one to whoever may call it. */
import type { Fetch } from "../../shared/aws/signed-fetch.ts";
import { failureIn } from "../../shared/client/answers.ts";

/** Everything else the gateway's own right is enough for. */
const OPERATIONS = /^\/v1\/(?:leaders\b|registry\/reconfigure$|machines\/[^/]+\/[^/]+\/reconfigure$)/;
const MACHINE = /^\/v1\/machines\/([^/]+\/[^/]+)/;
/** Renewed well before it expires. */
const MARGIN_MS = 10_000;

interface Token {
  readonly token: string;
  /** Milliseconds since 1970. */
  readonly expires: number;
}

export class OperatorTokens {
  readonly #registry: string;
  readonly #fetch: Fetch;
  /** By what they are for: a machine, or "*". */
  readonly #tokens = new Map<string, Token>();

  constructor(registry: string, fetch: Fetch) {
    this.#registry = registry;
    this.#fetch = fetch;
  }

  /** Undefined: the request needs none. @throws the registry's own problem, when it gives none. */
  async for(method: string, path: string): Promise<string | undefined> {
    if (method === "GET" || !OPERATIONS.test(path)) return undefined;
    const machine = MACHINE.exec(path)?.[1] ?? "*";
    const known = this.#tokens.get(machine);
    if (known !== undefined && known.expires - MARGIN_MS > Date.now()) return known.token;
    const token = await this.#ask(machine);
    this.#tokens.set(machine, token);
    return token.token;
  }

  async #ask(machine: string): Promise<Token> {
    const answer = await this.#fetch(new URL("/v1/tokens", this.#registry), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ machine, right: "operate" }),
    });
    const body: unknown = await answer.json();
    if (!answer.ok) throw failureIn(body);
    return body as Token;
  }
}
