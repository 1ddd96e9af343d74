/** A machine on one replica, without leader or tables: each call chooses the value of the next slot. */
import { isDeepStrictEqual } from "node:util";
import { type MachineDefinition, machineCode, validateCommand } from "../../shared/machine.ts";
import { birthBallot, type ConfigurationNumber } from "../../shared/protocol/ballot.ts";
import { Replica } from "../../shared/protocol/replica.ts";
import type { Reply } from "../../shared/protocol/session.ts";
import type { Slot } from "../../shared/protocol/slot.ts";
import { type Command, encodeBatch, encodeCommand } from "../../shared/protocol/value.ts";

const BALLOT = birthBallot(1 as ConfigurationNumber);

export class ReplicaOf {
  readonly replica: Replica;
  /** The values that were executed: what another replica would read in the log. */
  readonly log: string[] = [];
  /** The proposing leader's wall clock. */
  time = 1_000;
  readonly #definition: MachineDefinition;

  constructor(definition: MachineDefinition) {
    this.#definition = definition;
    this.replica = new Replica(machineCode(definition));
  }

  /** One batch in one slot, its commands as they are in the log. */
  execute(...commands: readonly Command[]): readonly Reply[] {
    const text = encodeBatch(BALLOT, this.time, commands.map(encodeCommand));
    this.log.push(text);
    return this.replica.execute((this.replica.applied + 1) as Slot, text);
  }

  /** One bare command, validated as at the edge; its response, and whether it was a refusal. */
  async send(command: unknown): Promise<{ response: unknown; refused: boolean }> {
    const [reply] = this.execute({ command: await validateCommand(this.#definition, command) });
    if (reply?.reply !== "response") throw new Error(`no response but ${JSON.stringify(reply)}`);
    return { response: JSON.parse(reply.response), refused: reply.refused === true };
  }

  query(name: string, args?: unknown): unknown {
    return this.#definition.queries[name]?.(this.replica.state, args);
  }

  messages(client: string, after = 0): unknown[] {
    return this.replica.inbox(client, after).map(({ message }) => JSON.parse(message));
  }

  /** Whether a second replica that reads the log is in the same state. */
  get isReplayable(): boolean {
    const other = new Replica(machineCode(this.#definition));
    for (const text of this.log) other.execute((other.applied + 1) as Slot, text);
    return isDeepStrictEqual(other.state, this.replica.state);
  }
}
