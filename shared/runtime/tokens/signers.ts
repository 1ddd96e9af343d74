/** Who signs tokens for callers, and for what at most: a gateway that was taken over can change no deployment. */
import { signerOf } from "../signing.ts";
import { includes, mintToken, type Right, type Signatory } from "./token.ts";

export type SignerName = "registry" | "gateway";

/** What the directory tells leaders: public keys, Ed25519 in base64url. */
export type TokenKeys = Readonly<Record<SignerName, string>>;

const RIGHT_MAX: Readonly<Record<SignerName, Right>> = { registry: "operate", gateway: "use" };

/** Long enough for a person with a terminal; whoever has it that long has no use for it the next day. */
export const TOKEN_MS = 15 * 60_000;
/** A leader's clock may be so much behind a signer's: AWS keeps both within milliseconds. No safety depends on it. */
const DRIFT_MS = 60_000;

export function signatoriesGiven(keys: TokenKeys): ReadonlyMap<string, Signatory> {
  const names = Object.keys(RIGHT_MAX) as SignerName[];
  return new Map(
    names.map((name) => [
      name,
      { publicKey: keys[name], right: RIGHT_MAX[name], lifeMaxMs: TOKEN_MS + DRIFT_MS },
    ]),
  );
}

export interface Minted {
  /** For the header `theseus-token` of requests. */
  readonly token: string;
  /** Milliseconds since 1970. */
  readonly expires: number;
}

export interface MinterOptions {
  readonly by: SignerName;
  /** PKCS #8 in base64. */
  readonly privateKey: string;
  /** The deployment's random id. */
  readonly deployment: string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** `machine`: `name/id` or ANY_MACHINE. @throws RangeError for a right that this signer may not give. */
export type Mint = (machine: string, right: Right) => Minted;

/** @throws Error when that is no private key. */
export function minter({ by, privateKey, deployment, now }: MinterOptions): Mint {
  const signer = signerOf(privateKey);
  return (machine, right) => {
    if (!includes(RIGHT_MAX[by], right)) throw new RangeError(`${by} gives no right to ${right}`);
    const expires = now() + TOKEN_MS;
    return { token: mintToken(by, signer, { deployment, machine, right, expires }), expires };
  };
}
