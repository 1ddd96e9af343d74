/**
 * A token: who signed it says that its bearer may do so much, on one machine or all, until then. A leader checks it
 * without asking anybody, since nothing on a command's path may depend on the registry. It is no session and carries
 * no secret but itself: it goes over TLS to an address whose certificate is known, and lives for minutes.
 */
import { Forbidden } from "../../errors.ts";
import { type Signer, verify } from "../signing.ts";

export const TOKEN_HEADER = "theseus-token";

/** Each includes those before it. */
export const RIGHTS = [
  /** Commands and questions. */
  "use",
  /** What changes the deployment. */
  "operate",
  /** What only leader processes ask of each other. */
  "peer",
] as const;
export type Right = (typeof RIGHTS)[number];

export const ANY_MACHINE = "*";

export interface Claims {
  /** The deployment's random id: a token is good in one. */
  readonly deployment: string;
  /** `name/id`, or ANY_MACHINE, which what is about no single machine needs. */
  readonly machine: string;
  readonly right: Right;
  /** Milliseconds since 1970. */
  readonly expires: number;
  /** The one address that it is for; absent: any leader's. */
  readonly to?: string;
}

export interface Token extends Claims {
  /** The name of whoever signed it. */
  readonly by: string;
}

/** Whose word counts, and for how much at most. */
export interface Signatory {
  /** Ed25519, in base64url. */
  readonly publicKey: string;
  readonly right: Right;
  /** How far away the end of a token may be at most, in ms: whoever could sign for a moment has nothing to keep. */
  readonly lifeMaxMs: number;
}
/** Undefined: nobody of that name is known. */
export type SignatoryOf = (by: string) => Promise<Signatory | undefined>;

const FORMAT = 1;
/** A key that signs tokens signs other things, too: neither may pass for the other. */
const DOMAIN = "theseus token";
const FORM = /^([\w-]{1,2000})\.([\w-]{86})$/;

export function mintToken(by: string, signer: Pick<Signer, "sign">, claims: Claims): string {
  const { deployment, machine, right, expires, to } = claims;
  const said = {
    format: FORMAT,
    by,
    deployment,
    machine,
    right,
    expires,
    ...(to === undefined ? {} : { to }),
  };
  const text = Buffer.from(JSON.stringify(said)).toString("base64url");
  return `${text}.${signer.sign(signedText(text))}`;
}

/** @throws Forbidden, saying what is wrong with it, and nothing of what is in it that was not signed. */
export async function verifyToken(token: string, signatoryOf: SignatoryOf, now: number): Promise<Token> {
  const [, text = "", signature = ""] = FORM.exec(token) ?? [];
  const said = tokenIn(text);
  if (said === undefined) throw new Forbidden("forbidden", `the ${TOKEN_HEADER} is none`);
  const signatory = await signatoryOf(said.by);
  if (signatory === undefined || !verify(signatory.publicKey, signedText(text), signature))
    throw new Forbidden("forbidden", `the ${TOKEN_HEADER} is not signed by anybody who is known here`);
  if (!includes(signatory.right, said.right))
    throw new Forbidden("forbidden", `${said.by} may not give the right to ${said.right}`);
  // What a leader process signs, for whatever right, is for one other alone.
  if (signatory.right === "peer" && said.to === undefined)
    throw new Forbidden("forbidden", `the ${TOKEN_HEADER} does not say which leader it is for`);
  if (said.expires > now + signatory.lifeMaxMs)
    throw new Forbidden("forbidden", `the ${TOKEN_HEADER} is good for longer than ${said.by} may give it`);
  if (said.expires <= now) throw new Forbidden("forbidden", `the ${TOKEN_HEADER} has expired: get another`);
  return said;
}

/** Whether whoever has the one right has the other. */
export function includes(has: Right, wanted: Right): boolean {
  return RIGHTS.indexOf(has) >= RIGHTS.indexOf(wanted);
}

function signedText(text: string): string {
  return `${DOMAIN}\n${text}`;
}

/** Undefined: it is of no form that this version knows. */
function tokenIn(text: string): Token | undefined {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(text, "base64url").toString());
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { format, by, deployment, machine, right, expires, to } = value as Record<string, unknown>;
  const isOne =
    format === FORMAT &&
    [by, deployment, machine].every((each) => typeof each === "string") &&
    RIGHTS.includes(right as Right) &&
    Number.isSafeInteger(expires) &&
    (to === undefined || typeof to === "string");
  return isOne ? (value as Token) : undefined;
}
