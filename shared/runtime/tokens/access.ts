/** A leader's door: who is let in, and how it shows its peers who it is. */
import type { MiddlewareHandler } from "hono";
import type { Logger } from "pino";
import type { LeaderServer } from "../../protocol/registry.ts";
import type { Bindings } from "../http/routes.ts";
import type { RegistryClient } from "../registry/registry-client.ts";
import { Credentials, type CredentialsOptions } from "./credentials.ts";
import { tokenGuard } from "./guard.ts";
import { Signatories } from "./signatories.ts";
import { signatoriesGiven, type TokenKeys } from "./signers.ts";

export interface AccessOptions
  extends Pick<CredentialsOptions, "deployment" | "address" | "process" | "signer"> {
  readonly keys: TokenKeys;
  readonly registry: Pick<RegistryClient, "servers">;
  readonly hinted: () => Promise<readonly LeaderServer[]>;
  readonly log: Logger;
}

export interface Access {
  readonly guard: MiddlewareHandler<Bindings>;
  readonly credentials: Credentials;
}

export function leaderAccess(options: AccessOptions): Access {
  const { keys, registry, hinted, log } = options;
  const signatories = new Signatories({
    given: signatoriesGiven(keys),
    hinted,
    recorded: async () => (await registry.servers()).leaders.filter(({ state }) => state === "live"),
  });
  const checks = {
    ...options,
    signatoryOf: (by: string) => signatories.of(by),
    now: Date.now,
    refused: ({ message }: Error, request: { readonly method: string; readonly path: string }) =>
      log.warn({ event: "forbidden", ...request, why: message }, `refused ${request.path}: ${message}`),
  };
  return { guard: tokenGuard(checks), credentials: new Credentials(checks) };
}
