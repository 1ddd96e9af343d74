/**
 * Carries out what the registry has decided. A request may come twice, late, and to two provisioners at once; a
 * provisioner may die anywhere: what it has done by then is done again, or is found by the sweeper.
 *
 * It waits for nothing, since a function is paid for while it waits: a table that is not ready yet is looked at again
 * with a message of its own.
 */
import type { OutboxRequest } from "../../protocol/outbox.ts";
import type { AcceptorServer } from "../../protocol/pool.ts";
import type { Launcher } from "../../provision/launcher.ts";
import type { Queue } from "../../provision/queue.ts";
import type { Tables } from "../../provision/tables.ts";
import type { Provisioning, RegistryClient } from "../registry/registry-client.ts";
import { type AwaitedTable, messageOf, messageText } from "./message.ts";

/** Tables of DynamoDB are there within seconds. */
const LOOK_AGAIN_MS = 2_000;
/** Five minutes: AWS promises nothing, and another attempt may do better. */
const LOOKS_MAX = 150;

export interface ProvisionerOptions {
  readonly registry: RegistryClient;
  readonly tables: Tables;
  readonly launcher: Launcher;
  readonly queue: Pick<Queue, "send">;
  /** Whoever runs it wants to see this. */
  readonly carriedOut: (request: Pick<OutboxRequest, "request" | "type">) => void;
}

export class Provisioner {
  readonly #options: ProvisionerOptions;

  constructor(options: ProvisionerOptions) {
    this.#options = options;
  }

  /** @throws when it could not be done: the message is to be received again. */
  async handle(body: string): Promise<void> {
    const { request, table } = messageOf(body);
    const known = await this.#options.registry.provisioning();
    if (table !== undefined) return this.#lookAgain(request, table, known);
    const ordered = known.outbox.find((each) => each.request === request);
    // Otherwise it was done before this copy of the message came.
    if (ordered !== undefined) await this.#carryOut(ordered, known);
  }

  async #carryOut(ordered: OutboxRequest, known: Provisioning): Promise<void> {
    const { tables, launcher, carriedOut } = this.#options;
    switch (ordered.type) {
      case "createAcceptor": {
        const acceptor = await tables.create(inUse(known), turnOf(ordered, known));
        return this.#bringIn(ordered.request, { acceptor, looks: 0 });
      }
      case "deleteAcceptor":
        await tables.delete(ordered.acceptor);
        return this.#done(ordered);
      case "startLeader":
        // It is done when the leader registers itself.
        await launcher.start(ordered.leader, leadersWanted(known));
        return carriedOut(ordered);
      case "stopLeader":
        await launcher.stop(known.leaders.find(({ id }) => id === ordered.leader) ?? { id: ordered.leader });
        return this.#done(ordered);
    }
  }

  async #lookAgain(request: string, table: AwaitedTable, { former }: Provisioning): Promise<void> {
    // Whoever disowned it deletes it.
    if (former.includes(table.acceptor.id)) return;
    if (table.looks >= LOOKS_MAX) return this.#giveUp(table.acceptor);
    return this.#bringIn(request, table);
  }

  /** Each attempt has a table of its own; the registry records one of them. */
  async #bringIn(request: string, { acceptor, looks }: AwaitedTable): Promise<void> {
    const { registry, tables, queue, carriedOut } = this.#options;
    if (!(await tables.isReady(acceptor))) {
      const table = { acceptor, looks: looks + 1 };
      return queue.send(messageText({ request, table }), LOOK_AGAIN_MS);
    }
    const answer = await registry.command({ type: "provisioned", request, acceptor });
    if ((answer as { recorded: boolean }).recorded) carriedOut({ request, type: "createAcceptor" });
    else await this.#giveUp(acceptor);
  }

  /** Only the registry's word lets a table go: what a message says of it may be wrong, or forged. */
  async #giveUp(acceptor: AcceptorServer): Promise<void> {
    const { registry, tables } = this.#options;
    const answer = await registry.command({ type: "disown", acceptor: acceptor.id });
    if ((answer as { disowned: boolean }).disowned) await tables.delete(acceptor);
  }

  async #done(ordered: OutboxRequest): Promise<void> {
    const { registry, carriedOut } = this.#options;
    await registry.command({ type: "done", request: ordered.request });
    carriedOut(ordered);
  }
}

/** A new one need not be far from those that are on their way out. */
function inUse({ acceptors }: Provisioning): readonly AcceptorServer[] {
  return acceptors.filter(({ state, suspected }) => ["active", "spare", "own"].includes(state) && !suspected);
}

/** How many tables that were ordered before it are not there yet. */
function turnOf({ request }: OutboxRequest, { outbox }: Provisioning): number {
  return outbox.filter(({ type }) => type === "createAcceptor").findIndex((each) => each.request === request);
}

/** Those that live, and those that are on their way. */
function leadersWanted({ leaders, outbox, claims }: Provisioning): number {
  const live = leaders.filter(({ state }) => state === "live").map(({ id }) => id);
  const recorded = new Set(leaders.map(({ id }) => id));
  const ordered = outbox.flatMap((each) => (each.type === "startLeader" ? each.leader : []));
  const awaited = [...ordered, ...claims.map(({ leader }) => leader)].filter((id) => !recorded.has(id));
  return new Set([...live, ...awaited]).size;
}
