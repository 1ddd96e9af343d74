/**
 * Endorsing without cryptography, for tests of what comes after it. Honest about forgery: nothing but `signAs` makes a
 * signature that `verify` takes, for that key and that text only.
 */
import { hash } from "node:crypto";
import type { Configuration, MachineId } from "../../shared/protocol/configuration.ts";
import {
  type Endorsement,
  endorsementText,
  type RegistryContext,
} from "../../shared/protocol/endorsement.ts";

export function signAs(publicKey: string, text: string): string {
  return hash("sha256", `${publicKey} signs ${text}`);
}

export const verify: RegistryContext["verify"] = (publicKey, text, signature) =>
  signature === signAs(publicKey, text);

/** For tests in which no time passes. */
export const CONTEXT: RegistryContext = { time: 0, verify };

export const keyOf = (leader: string): string => `key of ${leader}`;

interface EndorseOptions {
  readonly publicKey?: string;
  readonly expires?: number;
}

export function endorse(
  leader: string,
  machine: MachineId,
  configuration: Configuration,
  { publicKey = keyOf(leader), expires = Number.MAX_SAFE_INTEGER }: EndorseOptions = {},
): Endorsement {
  const { previous, number } = configuration;
  const signature = signAs(publicKey, endorsementText(machine, configuration, expires));
  return { leader, machine, previous, configuration: number, expires, signature };
}
