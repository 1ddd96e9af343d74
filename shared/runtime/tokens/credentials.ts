/**
 * How leader processes show each other who they are: by tokens that each signs with the key under which it is
 * registered, for one other leader's address and so, since that names a certificate, for one process. Nobody else can
 * use what it was shown, however long it is good for; so it may outlive any difference between two clocks.
 */
import type { Forbidden } from "../../errors.ts";
import type { ProcessId } from "../../protocol/ballot.ts";
import type { Signer } from "../signing.ts";
import { bearerOf, type GuardOptions } from "./guard.ts";
import { ANY_MACHINE, mintToken } from "./token.ts";

/** Clocks are less than half of that apart. */
const VALID_MS = 4 * 3_600_000;
/** Of such a token, read by a clock that is behind by as much. */
export const PEER_LIFE_MAX_MS = 1.5 * VALID_MS;

export interface CredentialsOptions extends GuardOptions {
  readonly process: ProcessId;
  readonly signer: Signer;
}

export class Credentials {
  readonly #options: CredentialsOptions;

  constructor(options: CredentialsOptions) {
    this.#options = options;
  }

  /** For whoever answers at the address. */
  tokenFor(to: string): string {
    const { process, signer, deployment, now } = this.#options;
    const expires = now() + VALID_MS;
    return mintToken(process, signer, { deployment, machine: ANY_MACHINE, right: "peer", expires, to });
  }

  /** Whose token that is. @throws Forbidden when it is none of a leader process that is known, for this one. */
  async processOf(token: string | undefined): Promise<ProcessId> {
    const { by } = await bearerOf(token, { right: "peer", machine: ANY_MACHINE }, this.#options);
    return by as ProcessId;
  }

  /** To be said of whoever was not let in. */
  refused(error: Forbidden, path: string): void {
    this.#options.refused(error, { method: "GET", path });
  }
}
