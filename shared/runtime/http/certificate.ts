/**
 * A server's own certificate, made when its process starts and written nowhere: what makes it count is its
 * fingerprint in the address (client/pinned.ts), so that it needs no authority and no renewal.
 */
import { generate } from "selfsigned";
import type { Certificate } from "./serve.ts";

/** For tools that look at it: nobody who pins a certificate reads its dates. */
const YEARS = 10;

export async function newCertificate(): Promise<Certificate> {
  const notAfterDate = new Date();
  notAfterDate.setUTCFullYear(notAfterDate.getUTCFullYear() + YEARS);
  const made = await generate([{ name: "commonName", value: "theseus" }], {
    keyType: "ec",
    curve: "P-256",
    algorithm: "sha256",
    notAfterDate,
  });
  return { key: made.private, cert: made.cert };
}
