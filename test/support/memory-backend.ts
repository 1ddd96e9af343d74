/** A backend without replication: what a leader answers, from one replica per machine in memory. */
import { EventEmitter, on } from "node:events";
import { Invalid, Refused, type TheseusError, Unavailable } from "../../shared/errors.ts";
import { type MachineDefinition, machineCode, validateCommand } from "../../shared/machine.ts";
import { ballotOf, type ConfigurationNumber, type ProcessId } from "../../shared/protocol/ballot.ts";
import type { MachineId } from "../../shared/protocol/configuration.ts";
import type { AuditEntry, Endorsement } from "../../shared/protocol/endorsement.ts";
import type { Message } from "../../shared/protocol/inbox.ts";
import { Replica } from "../../shared/protocol/replica.ts";
import type { Reply } from "../../shared/protocol/session.ts";
import { type Slot, slot } from "../../shared/protocol/slot.ts";
import { type Command, decodeBatch, encodeBatch, encodeCommand } from "../../shared/protocol/value.ts";
import type { Backend, Consistency } from "../../shared/runtime/http/backend.ts";
import type {
  DeploymentStatus,
  DrainAnswer,
  LogLine,
  MachineStatus,
  ReconfigureAnswer,
} from "../../shared/wire.ts";

const BALLOT = ballotOf(1 as ConfigurationNumber, 1, "a".repeat(32) as ProcessId);

interface Hosted {
  readonly replica: Replica;
  readonly log: string[];
}

export class MemoryBackend implements Backend {
  readonly #definition: MachineDefinition;
  readonly #machines = new Map<MachineId, Hosted>();
  readonly #executed = new EventEmitter();
  readonly consistencies: Consistency[] = [];
  /** Every call but `validate` rejects with it while it is set, as on a process that does not lead. */
  failure: TheseusError | Error | undefined;
  /** `validate` rejects with it while it is set, as with a newer version's schema. */
  invalid: Invalid | undefined;
  endorser: Pick<Backend, "endorse"> | undefined;

  constructor(definition: MachineDefinition) {
    this.#definition = definition;
  }

  /** Slots taken, on all machines together. */
  get slots(): number {
    return [...this.#machines.values()].reduce((sum, { log }) => sum + log.length, 0);
  }

  async validate(machine: MachineId, command: unknown): Promise<unknown> {
    this.#check(machine);
    if (this.invalid !== undefined) throw this.invalid;
    return validateCommand(this.#definition, command);
  }

  async settled(machine: MachineId, command: Command): Promise<Reply | undefined> {
    return this.#hosted(machine).replica.settled(command);
  }

  async send(machine: MachineId, commands: readonly Command[]): Promise<readonly Reply[]> {
    const { replica, log } = this.#hosted(machine);
    const text = encodeBatch(BALLOT, Date.now(), commands.map(encodeCommand));
    log.push(text);
    const replies = replica.execute(slot(log.length), text);
    this.#executed.emit("executed");
    return replies;
  }

  async query(machine: MachineId, query: string, args: unknown, consistency: Consistency) {
    const { replica } = this.#hosted(machine);
    this.consistencies.push(consistency);
    const answer = this.#definition.queries[query];
    if (answer === undefined) throw new Invalid("unknown_query", `there is no query ${query}`);
    if (query === "over" && typeof args !== "number")
      throw new Refused("query_failed", "over takes a number");
    return { asOf: replica.applied, result: answer(replica.state, args) };
  }

  async drain(leader: string): Promise<DrainAnswer> {
    if (this.failure !== undefined) throw this.failure;
    return { leader, state: "drained", machines: 0 };
  }

  async reconfigure(): Promise<ReconfigureAnswer> {
    throw new Unavailable("unavailable", "memory has nothing to reconfigure");
  }

  async endorse(...given: Parameters<Backend["endorse"]>): Promise<Endorsement> {
    if (this.endorser === undefined) throw new Refused("not_endorsed", "memory has nothing to endorse");
    return this.endorser.endorse(...given);
  }

  async audit(): Promise<readonly AuditEntry[]> {
    return [];
  }

  async describe(machine: MachineId): Promise<MachineStatus> {
    const { replica } = this.#hosted(machine);
    const [name = "", id = ""] = machine.split("/");
    return {
      machine: name,
      id,
      version: this.#definition.version,
      configuration: { number: 1, mode: "majority", acceptors: ["a", "b", "c"] },
      leader: null,
      ballot: BALLOT,
      chosen: replica.applied,
      applied: replica.applied,
      snapshot: 0,
    };
  }

  async *log(machine: MachineId, from = 1 as Slot): AsyncGenerator<LogLine> {
    const { log } = this.#hosted(machine);
    for (const [index, text] of [...log.entries()].slice(from - 1)) {
      if (text === "damaged") throw new Error("/secret/path is damaged");
      yield { slot: slot(index + 1), ballot: BALLOT, configuration: 1, commands: decodeBatch(text).commands };
    }
  }

  /** The log has one more slot, and it cannot be read. */
  damage(machine: string): void {
    this.#hosted(machine as MachineId).log.push("damaged");
  }

  async state(machine: MachineId, at?: Slot) {
    const { replica } = this.#hosted(machine);
    if (at === undefined || at === replica.applied) return { asOf: replica.applied, state: replica.state };
    throw new Invalid("not_found", `there is no state of slot ${at}`);
  }

  async *inbox(
    machine: MachineId,
    client: string,
    after: number,
    signal: AbortSignal,
  ): AsyncGenerator<Message> {
    const { replica } = this.#hosted(machine);
    const executions = on(this.#executed, "executed", { signal });
    let cursor = after;
    while (!signal.aborted) {
      for (const message of replica.inbox(client, cursor)) {
        yield message;
        cursor = message.cursor;
      }
      await executions.next().catch(() => undefined);
    }
  }

  async status(): Promise<DeploymentStatus> {
    if (this.failure !== undefined) throw this.failure;
    return {
      leaders: [],
      acceptors: [],
      registry: {
        configuration: 1,
        mode: "majority",
        acceptors: [],
        tables: [],
        applied: 0,
        address: "",
        outbox: 0,
      },
      machines: [],
    };
  }

  async reconfigureRegistry(): Promise<ReconfigureAnswer> {
    throw new Unavailable("unavailable", "memory has no registry");
  }

  async startLeader(nonce: string) {
    return { request: `start ${nonce}`, leader: "leader-2" };
  }

  async retireLeader(leader: string) {
    return { retired: leader };
  }

  async machines(after: string, limit: number): Promise<readonly string[]> {
    return [...this.#machines.keys()]
      .filter((id) => id > after)
      .sort()
      .slice(0, limit);
  }

  /** Every machine is as if it had just been made, its sessions too. */
  forget(): void {
    this.#machines.clear();
  }

  /** Who waits for messages now. */
  get listeners(): number {
    return this.#executed.listenerCount("executed");
  }

  #check(machine: MachineId): void {
    if (!machine.startsWith(`${this.#definition.name}/`))
      throw new Invalid("unknown_machine", `there is no machine ${machine}`);
  }

  #hosted(machine: MachineId): Hosted {
    if (this.failure !== undefined) throw this.failure;
    this.#check(machine);
    const hosted = this.#machines.get(machine) ?? {
      replica: new Replica(machineCode(this.#definition)),
      log: [],
    };
    this.#machines.set(machine, hosted);
    return hosted;
  }
}
