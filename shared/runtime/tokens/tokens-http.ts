/** `POST /v1/tokens` at the registry: whoever may ask the registry for one, which IAM decides, gets a token for leaders. */
import type { Hono } from "hono";
import { Invalid } from "../../errors.ts";
import { INSTANCE_ID_PATTERN, MACHINE_NAME_PATTERN } from "../../limits.ts";
import { bodyOf } from "../http/requests.ts";
import { type Bindings, post } from "../http/routes.ts";
import type { Mint } from "./signers.ts";
import { ANY_MACHINE, type Right } from "./token.ts";

export const TOKENS_PATH = "/v1/tokens";

/** `{machine, right}` → `{token, expires}`; machine: `name/id` or `*`; right: use or operate. */
export function tokenRoute(app: Hono<Bindings>, mint: Mint): void {
  post(app, TOKENS_PATH, async (c) => {
    const { machine, right } = wantedIn(await bodyOf(c));
    return c.json(mint(machine, right));
  });
}

function wantedIn(body: unknown): { readonly machine: string; readonly right: Right } {
  const { machine, right, ...more } = (typeof body === "object" && body !== null ? body : {}) as Partial<
    Record<string, unknown>
  >;
  const isOne =
    Object.keys(more).length === 0 && isMachine(machine) && (right === "use" || right === "operate");
  if (!isOne)
    throw new Invalid(
      "invalid_request",
      `the body must be {machine, right}: a machine's name/id or "${ANY_MACHINE}", and "use" or "operate"`,
    );
  return { machine: machine as string, right };
}

function isMachine(value: unknown): boolean {
  if (value === ANY_MACHINE) return true;
  const [name = "", id = "", ...rest] = typeof value === "string" ? value.split("/") : [];
  return MACHINE_NAME_PATTERN.test(name) && INSTANCE_ID_PATTERN.test(id) && rest.length === 0;
}
