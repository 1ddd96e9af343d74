/** Tokens for what only operators may do: the registry's function gives one to whoever may call it. */
import type { Fetch } from "../../shared/aws/signed-fetch.ts";
import { failureIn } from "../../shared/client/answers.ts";
import { needOf } from "../../shared/runtime/tokens/routes.ts";
import type { Minted } from "../../shared/runtime/tokens/signers.ts";
import { TOKENS_PATH } from "../../shared/runtime/tokens/tokens-http.ts";

/** Renewed well before it expires. */
const MARGIN_MS = 60_000;

export class OperatorTokens {
  readonly #registry: string;
  readonly #fetch: Fetch;
  /** By what they are for: a machine, or all. */
  readonly #tokens = new Map<string, Minted>();

  constructor(registry: string, fetch: Fetch) {
    this.#registry = registry;
    this.#fetch = fetch;
  }

  /** Undefined: the gateway's own right is enough. @throws the registry's own problem, when it gives none. */
  async for(path: string): Promise<string | undefined> {
    const need = needOf(path);
    if (need?.right !== "operate") return undefined;
    const known = this.#tokens.get(need.machine);
    if (known !== undefined && known.expires - MARGIN_MS > Date.now()) return known.token;
    const minted = await this.#ask(need.machine);
    this.#tokens.set(need.machine, minted);
    return minted.token;
  }

  async #ask(machine: string): Promise<Minted> {
    const answer = await this.#fetch(new URL(TOKENS_PATH, this.#registry), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ machine, right: "operate" }),
    });
    const body: unknown = await answer.json();
    if (!answer.ok) throw failureIn(body);
    return body as Minted;
  }
}
