/** Lets only those through whose token gives the right to what they ask for, before anything of the request is read. */
import type { MiddlewareHandler } from "hono";
import { Forbidden } from "../../errors.ts";
import type { Bindings } from "../http/routes.ts";
import { type Need, needOf } from "./routes.ts";
import { ANY_MACHINE, includes, type SignatoryOf, TOKEN_HEADER, type Token, verifyToken } from "./token.ts";

export interface GuardOptions {
  readonly deployment: string;
  /** Of the server that is guarded. */
  readonly address: string;
  readonly signatoryOf: SignatoryOf;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Told of each refusal; the token is not part of it. */
  readonly refused: (error: Forbidden, request: { readonly method: string; readonly path: string }) => void;
}

/** For `httpInterface`: its routes answer to whoever may ask. */
export function tokenGuard(options: GuardOptions): MiddlewareHandler<Bindings> {
  return async (c, next) => {
    const { method, path } = c.req;
    const need = needOf(path);
    if (need !== undefined)
      try {
        await bearerOf(c.req.header(TOKEN_HEADER), need, options);
      } catch (error) {
        if (error instanceof Forbidden) options.refused(error, { method, path });
        throw error;
      }
    return next();
  };
}

/** The token, if it is good for that. @throws Forbidden with what is wrong with it. */
export async function bearerOf(
  text: string | undefined,
  need: Need,
  {
    deployment,
    address,
    signatoryOf,
    now,
  }: Pick<GuardOptions, "deployment" | "address" | "signatoryOf" | "now">,
): Promise<Token> {
  if (text === undefined) throw new Forbidden("forbidden", `a ${TOKEN_HEADER} is needed here`);
  const token = await verifyToken(text, signatoryOf, now());
  if (token.deployment !== deployment)
    throw new Forbidden("forbidden", `the ${TOKEN_HEADER} is for another deployment`);
  if (token.to !== undefined && token.to !== address)
    throw new Forbidden("forbidden", `the ${TOKEN_HEADER} is for another leader`);
  if (token.machine !== ANY_MACHINE && token.machine !== need.machine)
    throw new Forbidden("forbidden", `the ${TOKEN_HEADER} is for ${token.machine} only`);
  if (!includes(token.right, need.right))
    throw new Forbidden(
      "forbidden",
      `this needs the right to ${need.right}, and the ${TOKEN_HEADER} is for ${token.right}`,
    );
  return token;
}
