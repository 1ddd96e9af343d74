/**
 * Carries out what the registry has decided. A request may come twice, late, and to two provisioners at once; a
 * provisioner may die anywhere: what it has done by then is done again, or is found by the sweeper.
 */
import type { OutboxRequest } from "../../protocol/outbox.ts";
import type { Launcher } from "../../provision/launcher.ts";
import type { Tables } from "../../provision/tables.ts";
import type { RegistryClient } from "../registry/registry-client.ts";
import { requestOf } from "./outbox-relay.ts";

export interface ProvisionerOptions {
  readonly registry: RegistryClient;
  readonly tables: Tables;
  readonly launcher: Launcher;
  /** Whoever runs it wants to see this. */
  readonly carriedOut: (request: OutboxRequest) => void;
}

export class Provisioner {
  readonly #options: ProvisionerOptions;

  constructor(options: ProvisionerOptions) {
    this.#options = options;
  }

  /** @throws when it could not be done: the message is to be received again. */
  async handle(body: string): Promise<void> {
    const id = requestOf(body);
    const { outbox } = await this.#options.registry.provisioning();
    const request = outbox.find((each) => each.request === id);
    // It was done before this copy of the message came.
    if (request === undefined) return;
    await this.#carryOut(request);
    this.#options.carriedOut(request);
  }

  async #carryOut(request: OutboxRequest): Promise<void> {
    const { tables, launcher } = this.#options;
    switch (request.type) {
      case "createAcceptor":
        return this.#createTable(request.request);
      case "deleteAcceptor":
        await tables.delete(request.acceptor);
        return this.#done(request);
      case "startLeader":
        // It is done when the leader registers itself.
        return launcher.start(request.leader);
      case "stopLeader":
        await launcher.stop(request.leader);
        return this.#done(request);
    }
  }

  /** Each attempt makes a table of its own; the registry records one of them. */
  async #createTable(request: string): Promise<void> {
    const { registry, tables } = this.#options;
    const acceptor = await tables.create();
    const answer = await registry.command({ type: "provisioned", request, acceptor });
    if (!(answer as { recorded: boolean }).recorded) await tables.delete(acceptor);
  }

  async #done({ request }: OutboxRequest): Promise<void> {
    await this.#options.registry.command({ type: "done", request });
  }
}
