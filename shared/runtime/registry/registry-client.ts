/**
 * The registry as other processes see it. Every command is idempotent, so one whose answer got lost is
 * said again. Nothing on the commit path, and nothing in a failover, waits for this.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { backoffMs } from "../../backoff.ts";
import { Refused, TheseusError, Unavailable } from "../../errors.ts";
import type { MachineId } from "../../protocol/configuration.ts";
import type { AuditEntry } from "../../protocol/endorsement.ts";
import type { Claim, LeaderRecord } from "../../protocol/leader-pool.ts";
import type { OutboxRequest } from "../../protocol/outbox.ts";
import type { AcceptorRecord } from "../../protocol/pool.ts";
import type { AcceptorId } from "../../protocol/quorum.ts";
import type { Location, Proposal, RegistryCommand, Settings } from "../../protocol/registry.ts";
import { errorOf, isProblem, type NewQuorums, type ReconfigureAnswer } from "../../wire.ts";

/** One request; the registry itself answers or gives up within ten seconds. */
const REQUEST_MS_MAX = 12_000;
/** Tables are probed, replaced, and trimmed: the function's own limit is reached before. */
const MAINTENANCE_MS_MAX = 60_000;
/** How long a command or question is repeated before the caller is told. */
const PATIENCE_MS = 5_000;

/** With the time on the registry's clock, which decides what has expired. */
export interface TimedProposal extends Proposal {
  readonly time: number;
}

/** What there is to be done, and what that is judged by. */
export interface Provisioning {
  readonly outbox: readonly OutboxRequest[];
  readonly acceptors: readonly AcceptorRecord[];
  readonly leaders: readonly LeaderRecord[];
  readonly claims: readonly Claim[];
  readonly former: readonly string[];
  readonly settings: Settings;
}

export interface RegistryClient {
  readonly url: string;
  /** @throws Refused with the registry's reason; Unavailable when it does not answer. */
  command(command: RegistryCommand): Promise<unknown>;
  /** @throws Invalid (unknown_machine) */
  lookup(machine: MachineId): Promise<Location>;
  /** @throws Invalid (not_found) when it was never proposed, or is superseded. */
  proposal(machine: MachineId, configuration: number): Promise<TimedProposal>;
  audit(): Promise<readonly AuditEntry[]>;
  /** All acceptors on record, and the leaders that are not retired. */
  servers(): Promise<{ leaders: readonly LeaderRecord[]; acceptors: readonly AcceptorRecord[] }>;
  provisioning(): Promise<Provisioning>;
  machines(after: string): Promise<readonly MachineId[]>;
  /** All that have this acceptor in their configuration. */
  machinesOn(acceptor: AcceptorId): Promise<readonly MachineId[]>;
  /** Replaces its own tables; saying it again is harmless. @throws Invalid with what is wrong with the request. */
  reconfigure(request: NewQuorums): Promise<ReconfigureAnswer>;
  /** `outbox`: how many requests are in it. */
  status(): Promise<{
    configuration: Location["configuration"];
    ballot: string;
    applied: number;
    outbox: number;
  }>;
}

/** The part of the global `fetch` that is used here: behind a function's URL it is one that signs. */
export type Fetch = (
  url: URL,
  init: {
    readonly signal: AbortSignal;
    readonly method?: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: string;
  },
) => Promise<Pick<Response, "ok" | "status" | "json">>;

export function registryClient(url: string, fetch: Fetch = globalThis.fetch): RegistryClient {
  const ask = <Answer>(path: string, body?: unknown) => askPatiently<Answer>({ url, fetch }, path, body);
  return {
    url,
    async command(command) {
      const { response, refused } = await ask<{ response: unknown; refused: boolean }>(
        "/v1/registry/commands",
        command,
      );
      if (refused) throw new Refused("invalid_request", `the registry refused ${command.type}: ${response}`);
      return response;
    },
    lookup: (machine) => ask(`/v1/registry/machines/${machine}`),
    proposal: (machine, configuration) =>
      ask(`/v1/registry/machines/${machine}/configurations/${configuration}`),
    audit: async () => (await ask<{ audit: AuditEntry[] }>("/v1/registry/audit")).audit,
    servers: () => ask("/v1/servers"),
    provisioning: () => ask("/v1/registry/provisioning"),
    machines: async (after) =>
      (await ask<{ machines: MachineId[] }>(`/v1/registry/machines?after=${encodeURIComponent(after)}`))
        .machines,
    machinesOn: async (acceptor) =>
      (await ask<{ machines: MachineId[] }>(`/v1/registry/acceptors/${acceptor}/machines`)).machines,
    reconfigure: (request) => ask("/v1/registry/reconfigure", request),
    status: () => ask("/v1/registry"),
  };
}

/** One pass of what a registry in a function does not do by itself. @throws when it was not done; said again, it goes on. */
export async function maintainRegistry(url: string, fetch: Fetch): Promise<void> {
  await askOnce({ url, fetch }, "/v1/registry/maintain", {}, MAINTENANCE_MS_MAX);
}

interface Place {
  readonly url: string;
  readonly fetch: Fetch;
}

async function askPatiently<Answer>(place: Place, path: string, body: unknown): Promise<Answer> {
  const deadline = performance.now() + PATIENCE_MS;
  for (let attempt = 1; ; attempt++) {
    try {
      return await askOnce(place, path, body);
    } catch (error) {
      if (error instanceof TheseusError && !error.retryable) throw error;
      if (performance.now() > deadline)
        throw new Unavailable("unavailable", `the registry at ${place.url} does not answer`, {
          cause: error,
        });
      await sleep(backoffMs(attempt, Math.random));
    }
  }
}

async function askOnce<Answer>(
  { url, fetch }: Place,
  path: string,
  body: unknown,
  msMax = REQUEST_MS_MAX,
): Promise<Answer> {
  const response = await fetch(new URL(path, url), {
    signal: AbortSignal.timeout(msMax),
    ...(body === undefined
      ? {}
      : { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
  });
  const answer: unknown = await response.json();
  if (response.ok) return answer as Answer;
  // A platform in between, which was throttled or timed out, says nothing of the registry.
  throw isProblem(answer) ? errorOf(answer) : new Error(`HTTP status ${response.status}`);
}
