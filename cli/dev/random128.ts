/** What names are made of that are used once (PROTOCOL §11). */
import { randomBytes } from "node:crypto";

/** 128 random bits, in hex. */
export function random128(): string {
  return randomBytes(16).toString("hex");
}
