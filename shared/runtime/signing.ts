/** Ed25519 signatures. A key lives as long as its process and is written nowhere: a restarted process makes another. */
import { createPublicKey, generateKeyPairSync, sign, verify as verifySignature } from "node:crypto";
import type { Verify } from "../protocol/endorsement.ts";

export interface Signer {
  /** The 32 bytes of the key in base64url (a JWK's `x`). */
  readonly publicKey: string;
  sign(text: string): string;
}

export function newSigner(): Signer {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  return {
    publicKey: publicKey.export({ format: "jwk" }).x as string,
    sign: (text) => sign(null, Buffer.from(text), privateKey).toString("base64url"),
  };
}

/** False also for what is no key or no signature: both come from others. */
export const verify: Verify = (publicKey, text, signature) => {
  try {
    const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x: publicKey }, format: "jwk" });
    return verifySignature(null, Buffer.from(text), key, Buffer.from(signature, "base64url"));
  } catch {
    return false;
  }
};
