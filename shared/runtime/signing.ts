/** Ed25519 signatures. */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify as verifySignature,
} from "node:crypto";
import type { Verify } from "../protocol/endorsement.ts";

export interface Signer {
  /** The 32 bytes of the key in base64url (a JWK's `x`). */
  readonly publicKey: string;
  sign(text: string): string;
}

/** With a key that lives as long as its process and is written nowhere: a restarted process makes another. */
export function newSigner(): Signer {
  return signerWith(generateKeyPairSync("ed25519").privateKey);
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

/** A key that outlives processes: PKCS #8 in base64, to be kept where only one role can read it. */
export function newPrivateKey(): string {
  const { privateKey } = generateKeyPairSync("ed25519");
  return privateKey.export({ format: "der", type: "pkcs8" }).toString("base64");
}

/** @throws Error when it is no Ed25519 key; its message says nothing of the text. */
export function signerOf(privateKey: string): Signer {
  return signerWith(importKey(privateKey));
}

function importKey(privateKey: string): KeyObject {
  let key: KeyObject | undefined;
  try {
    key = createPrivateKey({ key: Buffer.from(privateKey, "base64"), format: "der", type: "pkcs8" });
  } catch {
    // What the parser says of a secret is nobody's to read.
  }
  if (key?.asymmetricKeyType !== "ed25519") throw new Error("not an Ed25519 key (PKCS #8, base64)");
  return key;
}

function signerWith(privateKey: KeyObject): Signer {
  return {
    publicKey: createPublicKey(privateKey).export({ format: "jwk" }).x as string,
    sign: (text) => sign(null, Buffer.from(text), privateKey).toString("base64url"),
  };
}
