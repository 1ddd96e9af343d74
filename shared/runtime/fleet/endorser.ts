/**
 * Endorsing as one leader process does it (PROTOCOL §9): it signs for a configuration only once it has seen for itself
 * that the registry has it pending, that it can serve, and that the tables it drops are as bad as it is said.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Refused } from "../../errors.ts";
import { HEAD, type Outcome, UNKNOWN, type Verb } from "../../protocol/acceptor.ts";
import type { ConfigurationNumber } from "../../protocol/ballot.ts";
import type { Configuration, MachineId } from "../../protocol/configuration.ts";
import { type Endorsement, endorsementText } from "../../protocol/endorsement.ts";
import { type AcceptorId, faultOf, type QuorumSpec, replaceAcceptor } from "../../protocol/quorum.ts";
import type { AcceptorServer, LeaderServer, Proposal } from "../../protocol/registry.ts";
import { allLanes, FENCE_LANE, MACHINE_GEOMETRY } from "../../protocol/slot.ts";
import type { RegistryClient } from "../registry/registry-client.ts";
import { SLOW_MS_MIN, type TableHealth } from "../repair/table-health.ts";
import type { Signer } from "../signing.ts";
import type { StorePool } from "../store-pool.ts";
import { registration } from "./register-leader.ts";

/** Longer than a long copy takes; after that a suspect may be well again. */
const VALID_MS = 60_000;
/** All looks together are over before whoever asked gives up. */
const PROBES = 3;
/** What takes longer than the others may be too slow to serve: that is no good answer. */
const PROBE_MS_MAX = SLOW_MS_MIN;
const BETWEEN_PROBES_MS = 20;
const FOUNDED_MS_MAX = 750;
/** Opening a table takes longer than a look at it, and must not be taken for its silence. */
const OPENING_MS_MAX = 2_000;

export interface EndorserOptions {
  /** As it registers itself. */
  readonly self: LeaderServer;
  readonly signer: Signer;
  readonly registry: RegistryClient;
  readonly stores: StorePool;
  /** How the tables are doing in this process's own work. */
  readonly health: Pick<TableHealth, "complaints">;
}

export class Endorser {
  readonly #options: EndorserOptions;

  constructor(options: EndorserOptions) {
    this.#options = options;
  }

  /** @throws Refused (not_endorsed) with what is wrong; Invalid when there is no such proposal. */
  async endorse(machine: MachineId, number: ConfigurationNumber): Promise<Endorsement> {
    const { self, signer, registry } = this.#options;
    const { id } = self;
    const { time, ...proposal } = await registry.proposal(machine, number);
    await this.#open(machine, [...proposal.proposed.acceptors, ...proposal.active.acceptors]);
    const fault = unsound(proposal) ?? (await this.#seen(machine, proposal));
    if (fault !== undefined)
      throw new Refused(
        "not_endorsed",
        `${id} does not endorse configuration ${number} of ${machine}: ${fault}`,
      );
    await this.#standByItsKey();
    const { configuration } = proposal.proposed;
    const expires = time + VALID_MS;
    return {
      leader: id,
      machine,
      previous: configuration.previous,
      configuration: number,
      expires,
      signature: signer.sign(endorsementText(machine, configuration, expires)),
    };
  }

  /** A late word of an earlier process of its name may have taken its place on record: nothing that it signs would count. */
  async #standByItsKey(): Promise<void> {
    const { self, signer, registry } = this.#options;
    const { leaders } = await registry.servers();
    const recorded = leaders.find(({ id }) => id === self.id);
    if (recorded !== undefined && recorded.process !== self.process)
      await registry.command(registration(self, signer));
  }

  async #open(machine: MachineId, servers: readonly AcceptorServer[]): Promise<void> {
    const { stores } = this.#options;
    const cold = servers.filter(({ id }) => stores.get(id) === undefined);
    if (cold.length > 0) await inTime(stores.warm(machine, cold), OPENING_MS_MAX, undefined);
  }

  /** What the tables themselves say against it. */
  async #seen(machine: MachineId, { proposed, active, reason }: Proposal): Promise<string | undefined> {
    const removed = "suspects" in reason ? removedBy(active.configuration, proposed.configuration) : [];
    const faults = await Promise.all([
      ...proposed.configuration.quorums.acceptors.map((id) =>
        this.#unfounded(machine, id, proposed.configuration),
      ),
      ...removed.map(async (id) =>
        (await this.#isWell(machine, id, active.configuration))
          ? `${id}, which is to go, answers as it should`
          : undefined,
      ),
    ]);
    return faults.find((fault) => fault !== undefined);
  }

  async #unfounded(
    machine: MachineId,
    acceptor: AcceptorId,
    { number, quorums }: Configuration,
  ): Promise<string | undefined> {
    const cells = allLanes(MACHINE_GEOMETRY).map((lane) => readCell(number, lane));
    const isWitness = quorums.witnesses.includes(acceptor);
    const outcomes = await this.#ask(
      machine,
      acceptor,
      isWitness ? cells : [...cells, READ_HEAD],
      FOUNDED_MS_MAX,
    );
    if (outcomes.every(({ outcome }) => outcome === "applied")) return undefined;
    if (outcomes.some((outcome) => "gone" in outcome)) return `${acceptor} is gone`;
    const isSilent = outcomes.some(({ outcome }) => outcome === "unknown");
    return isSilent ? `${acceptor} does not answer` : `${acceptor} has no cells of configuration ${number}`;
  }

  /**
   * Several looks, since one may meet a hiccup: any good answer speaks for the suspect, unless this process complains of
   * it, too. A look is a read, and a table may be slow in nothing but its writes.
   */
  async #isWell(machine: MachineId, acceptor: AcceptorId, { number }: Configuration): Promise<boolean> {
    if (this.#options.health.complaints().has(acceptor)) return false;
    for (let probe = 1; probe <= PROBES; probe++) {
      const [outcome] = await this.#ask(machine, acceptor, [readCell(number, FENCE_LANE)], PROBE_MS_MAX);
      if (outcome?.outcome === "applied") return true;
      if (probe < PROBES) await sleep(BETWEEN_PROBES_MS);
    }
    return false;
  }

  #ask(
    machine: MachineId,
    acceptor: AcceptorId,
    verbs: readonly Verb[],
    patienceMs: number,
  ): Promise<readonly Outcome[]> {
    const silence = verbs.map(() => UNKNOWN);
    const answer = this.#options.stores.get(acceptor)?.execute(machine, verbs);
    return answer === undefined ? Promise.resolve(silence) : inTime(answer, patienceMs, silence);
  }
}

function inTime<Answer>(answer: Promise<Answer>, patienceMs: number, otherwise: Answer): Promise<Answer> {
  const timer = new AbortController();
  const late = sleep(patienceMs, otherwise, { signal: timer.signal }).catch(() => otherwise);
  return Promise.race([answer, late]).finally(() => timer.abort());
}

const READ_HEAD: Verb = { verb: "read", key: HEAD };

function readCell(configuration: ConfigurationNumber, lane: typeof FENCE_LANE): Verb {
  return { verb: "read", key: { kind: "cell", configuration, lane } };
}

/** What is wrong with it whatever the tables say. */
function unsound({ proposed, active, reason }: Proposal): string | undefined {
  const { previous, quorums } = proposed.configuration;
  if (previous !== active.configuration.number)
    return `it replaces configuration ${previous}, and ${active.configuration.number} is active`;
  const fault = faultOf(quorums);
  if (fault !== undefined || !("suspects" in reason)) return fault;
  const removed = removedBy(active.configuration, proposed.configuration);
  const unsuspected = removed.find((id) => !reason.suspects.includes(id));
  if (unsuspected !== undefined) return `${unsuspected} is to go, and nobody suspects it`;
  const repaired = repairOf(active.configuration.quorums, quorums.acceptors);
  if (JSON.stringify(repaired) === JSON.stringify(quorums)) return undefined;
  return "a repair puts tables in the place of others, and this one changes the quorums too";
}

function removedBy(from: Configuration, to: Configuration): readonly AcceptorId[] {
  return from.quorums.acceptors.filter((id) => !to.quorums.acceptors.includes(id));
}

/** The same quorums with other acceptors, each in the place of the one that stood there. */
function repairOf(present: QuorumSpec, acceptors: readonly AcceptorId[]): QuorumSpec {
  return present.acceptors.reduce(
    (quorums, old, index) => replaceAcceptor(quorums, old, acceptors[index] ?? old),
    present,
  );
}
