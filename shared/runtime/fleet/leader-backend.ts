/** What the HTTP interface serves on a leader process: its fleet's machines. */
import { Invalid, TheseusError } from "../../errors.ts";
import { type MachineDefinition, machineCode, validateCommand } from "../../machine.ts";
import { type ConfigurationNumber, parseBallot } from "../../protocol/ballot.ts";
import type { MachineId } from "../../protocol/configuration.ts";
import type { AuditEntry, Endorsement } from "../../protocol/endorsement.ts";
import type { Message } from "../../protocol/inbox.ts";
import { modeOf } from "../../protocol/quorum.ts";
import type { Replica } from "../../protocol/replica.ts";
import type { Reply } from "../../protocol/session.ts";
import { MACHINE_GEOMETRY, NO_SLOT, type Slot } from "../../protocol/slot.ts";
import { type Command, decodeBatch } from "../../protocol/value.ts";
import type {
  DeploymentStatus,
  DrainAnswer,
  LogLine,
  MachineStatus,
  NewQuorums,
  ReconfigureAnswer,
  ReconfigureRequest,
  RetireLeaderAnswer,
  StartLeaderAnswer,
} from "../../wire.ts";
import type { Backend, Consistency } from "../http/backend.ts";
import { toJson } from "../json.ts";
import { productionPorts, sha256 } from "../ports-production.ts";
import type { RegistryClient } from "../registry/registry-client.ts";
import type { StorePool } from "../store-pool.ts";
import { deploymentStatus } from "./deployment-status.ts";
import { drainLeader } from "./draining.ts";
import type { Endorser } from "./endorser.ts";
import type { Fleet } from "./fleet.ts";
import { history } from "./history.ts";
import type { Member } from "./member.ts";
import { newQuorums } from "./new-quorums.ts";
import { replicaAt } from "./past.ts";

/** Whoever can reach this process may reconfigure; what they say of themselves is recorded. */
const NOBODY_NAMED = "an operator without a name";

export class LeaderBackend implements Backend {
  readonly #fleet: Fleet;
  readonly #stores: StorePool;
  readonly #registry: RegistryClient;
  readonly #endorser: Endorser;

  constructor(fleet: Fleet, stores: StorePool, registry: RegistryClient, endorser: Endorser) {
    this.#endorser = endorser;
    this.#fleet = fleet;
    this.#stores = stores;
    this.#registry = registry;
  }

  async validate(machine: MachineId, command: unknown): Promise<unknown> {
    return validateCommand(this.#fleet.definition(machine), command);
  }

  async settled(machine: MachineId, command: Command): Promise<Reply | undefined> {
    const { hosted } = await this.#fleet.led(machine);
    // Deposed without knowing it, this process would not know what its successor executed.
    await this.#read(machine, hosted.read());
    const reply = hosted.host.replica.settled(command);
    return reply?.reply === "unknownSession" ? undefined : reply;
  }

  async send(machine: MachineId, commands: readonly Command[]) {
    const { hosted } = await this.#fleet.led(machine);
    const results = (await hosted.send(commands)).map((result) =>
      result instanceof TheseusError ? this.#fleet.candidates.withLeader(machine, result) : result,
    );
    const [first] = results;
    // What befell all alike is the request's own answer, which any client knows how to repeat.
    if (first instanceof TheseusError && results.every((result) => codeOf(result) === first.code))
      throw first;
    return results;
  }

  async query(machine: MachineId, query: string, args: unknown, consistency: Consistency) {
    const answer = this.#queryOf(this.#fleet.definition(machine), query);
    // A process that neither leads nor follows the machine has no state to answer from.
    const applied = this.#fleet.member(machine).loaded?.host.replica.applied ?? NO_SLOT;
    if (consistency === "linearizable" || applied === NO_SLOT) {
      const { hosted } = await this.#fleet.led(machine);
      await this.#read(machine, hosted.read());
    }
    const { replica } = this.#fleet.member(machine).hosted.host;
    // Commands may have been executed since the check: the answer is as new as its state, not as the check.
    return { asOf: replica.applied, result: answer(replica.state, args) };
  }

  async reconfigure(machine: MachineId, request: ReconfigureRequest): Promise<ReconfigureAnswer> {
    await this.#started(machine);
    const { operator = NOBODY_NAMED, override } = request;
    const { configuration } = await this.#fleet.reconfigure(
      machine,
      (present) => newQuorums(machine, present, request, this.#registry, this.#stores),
      {
        reason: { operator },
        ...(override === undefined ? {} : { override: { operator, reason: override } }),
      },
    );
    const { number, previous, quorums } = configuration;
    return { number, previous, mode: modeOf(quorums), acceptors: quorums.acceptors };
  }

  endorse(machine: MachineId, configuration: ConfigurationNumber): Promise<Endorsement> {
    return this.#endorser.endorse(machine, configuration);
  }

  audit(): Promise<readonly AuditEntry[]> {
    return this.#registry.audit();
  }

  async describe(machine: MachineId): Promise<MachineStatus> {
    const { candidates } = this.#fleet;
    const leader = candidates.leaderElsewhere(machine);
    if (leader !== undefined) throw candidates.notLeader(machine, leader);
    return this.describeHere(await this.#started(machine));
  }

  /** What this process knows of a machine that it hosts. */
  describeHere(member: Member): MachineStatus {
    const { machine, definition, loaded, isServing, location } = member;
    const host = loaded?.host;
    const applied = host?.replica.applied ?? NO_SLOT;
    const slash = machine.indexOf("/");
    const { id, address } = this.#fleet.self;
    const configuration = location?.configuration;
    return {
      machine: machine.slice(0, slash),
      id: machine.slice(slash + 1),
      version: definition.version,
      configuration: {
        number: configuration?.number ?? 0,
        mode: configuration === undefined ? "majority" : modeOf(configuration.quorums),
        acceptors: configuration?.quorums.acceptors ?? [],
      },
      leader: isServing ? { id, address } : null,
      ballot: host?.ballot ?? null,
      chosen: applied,
      applied,
      snapshot: host?.truncatedHead?.snapshotSlot ?? NO_SLOT,
      ...reconfigurationOf(member),
    };
  }

  async *log(machine: MachineId, from?: Slot): AsyncGenerator<LogLine> {
    const member = await this.#ledAndRead(machine);
    for await (const [slot, text] of this.#history(member, from, member.hosted.host.replica.applied)) {
      const { ballot, commands } = decodeBatch(text);
      yield { slot, ballot, configuration: parseBallot(ballot).configuration, commands };
    }
  }

  async state(machine: MachineId, at?: Slot) {
    const member = await this.#ledAndRead(machine);
    const { replica } = member.hosted.host;
    if (at === undefined || at === replica.applied)
      return { asOf: replica.applied, state: toJson(replica.state) };
    if (at > replica.applied)
      throw new Invalid("not_found", `slot ${at} is not chosen yet; the newest is ${replica.applied}`);
    return { asOf: at, state: toJson((await this.#replicaAt(member, at)).state) };
  }

  async *inbox(
    machine: MachineId,
    client: string,
    after: number,
    signal: AbortSignal,
  ): AsyncGenerator<Message> {
    const { hosted } = await this.#fleet.led(machine);
    let cursor = after;
    while (!signal.aborted && hosted.host.serving) {
      const changed = nextChange(hosted, signal);
      for (const message of hosted.host.replica.inbox(client, cursor)) {
        cursor = message.cursor;
        yield message;
      }
      await changed;
    }
  }

  drain(leader: string): Promise<DrainAnswer> {
    return drainLeader(this.#fleet, leader);
  }

  reconfigureRegistry(request: NewQuorums): Promise<ReconfigureAnswer> {
    return this.#registry.reconfigure(request);
  }

  async startLeader(nonce: string): Promise<StartLeaderAnswer> {
    return (await this.#registry.command({ type: "startLeader", nonce })) as StartLeaderAnswer;
  }

  async retireLeader(leader: string): Promise<RetireLeaderAnswer> {
    return (await this.#registry.command({ type: "retireLeader", leader })) as RetireLeaderAnswer;
  }

  status(): Promise<DeploymentStatus> {
    return deploymentStatus(this.#fleet, this.#stores, this.#registry, (member) => this.describeHere(member));
  }

  async machines(after: string, limit: number): Promise<readonly string[]> {
    return (await this.#registry.machines(after)).slice(0, limit);
  }

  #queryOf(definition: MachineDefinition, name: string): (state: unknown, args: unknown) => unknown {
    const query = definition.queries[name];
    if (query === undefined) {
      const names = Object.keys(definition.queries).join(", ");
      throw new Invalid("unknown_query", `${definition.name} has no query "${name}"; it has: ${names}`);
    }
    return (state, args) => {
      try {
        return toJson(query(state, args));
      } catch (cause) {
        const message = cause instanceof Error ? cause.message : String(cause);
        throw new Invalid("query_failed", `${definition.name}'s query ${name} threw: ${message}`, { cause });
      }
    };
  }

  #replicaAt({ machine, definition, hosted, location }: Member, at: Slot): Promise<Replica> {
    if (location === undefined) throw new Error(`it is not known where ${machine} is`);
    const { configuration } = location;
    const [code, ports] = [
      machineCode(definition),
      productionPorts((acceptor) => this.#stores.get(acceptor)),
    ];
    const recent = hosted.host.log;
    return replicaAt({ machine, geometry: MACHINE_GEOMETRY, code, ports, configuration, recent }, at);
  }

  #history(member: Member, from: Slot | undefined, to: Slot): AsyncGenerator<readonly [Slot, string]> {
    const { machine, hosted, location } = member;
    const acceptors = location?.configuration.quorums.acceptors ?? [];
    const options = {
      machine,
      geometry: MACHINE_GEOMETRY,
      acceptors,
      stores: this.#stores,
      log: hosted.host.log,
      digest: sha256,
    };
    return history(options, from, to);
  }

  /** For questions about a machine, which must not start it. */
  async #started(machine: MachineId): Promise<Member> {
    const known = this.#fleet.find(machine);
    if (known?.location !== undefined) return known;
    this.#fleet.definition(machine);
    const location = await this.#registry.lookup(machine);
    const member = this.#fleet.member(machine);
    // One that is still being founded is nobody's to lead yet.
    if (location.active) member.location = location;
    this.#stores.learn(location.acceptors);
    return member;
  }

  async #ledAndRead(machine: MachineId): Promise<Member> {
    await this.#started(machine);
    const member = await this.#fleet.led(machine);
    await this.#read(machine, member.hosted.read());
    return member;
  }

  async #read(machine: MachineId, read: Promise<Slot>): Promise<Slot> {
    try {
      return await read;
    } catch (error) {
      throw error instanceof TheseusError ? this.#fleet.candidates.withLeader(machine, error) : error;
    }
  }
}

function reconfigurationOf({ loaded }: Member): Pick<MachineStatus, "reconfiguring"> {
  if (loaded?.progress === undefined) return {};
  const phase = loaded.host.reconfiguring ? "transferring" : "copying";
  return { reconfiguring: { phase, tables: [...loaded.progress.values()] } };
}

function codeOf(result: unknown): string | undefined {
  return result instanceof TheseusError ? result.code : undefined;
}

/** Resolves when something was executed, leadership ended, or the reader left. */
function nextChange(hosted: Member["hosted"], signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const settle = (): void => {
      hosted.off("executed", settle);
      hosted.off("abdicated", settle);
      signal.removeEventListener("abort", settle);
      resolve();
    };
    hosted.on("executed", settle);
    hosted.on("abdicated", settle);
    signal.addEventListener("abort", settle);
  });
}
