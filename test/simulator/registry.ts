/**
 * The product's registry as the machine of a run. Its commands are idempotent; the run numbers them all the
 * same (`unique` is ignored by the registry), so that the checkers can tell one from another.
 */
import { deserialize, serialize } from "node:v8";
import type { ConfigurationNumber, ProcessId } from "../../shared/protocol/ballot.ts";
import type { MachineId } from "../../shared/protocol/configuration.ts";
import { type AcceptorId, majority, primaryBackup } from "../../shared/protocol/quorum.ts";
import {
  applyRegistry,
  initialRegistry,
  type RegistryCommand,
  type RegistryState,
} from "../../shared/protocol/registry.ts";
import { Refusal } from "../../shared/protocol/replica.ts";
import { CONTEXT, endorse, keyOf, verify } from "../support/endorsing.ts";
import type { Reference, Result, Subject } from "./subject.ts";

export const registry: Subject = {
  code: {
    init: initialRegistry,
    apply: (state, command, { time }) =>
      applyRegistry(state as RegistryState, command as RegistryCommand, { time, verify }),
    freeze: serialize,
    thaw: deserialize,
  },
  reference: () => new RegistryReference(),
  summary: (state) => summaryOf(state as RegistryState),
  fingerprint: () => "",
  diagnose: () => "REPLICAS_AGREE",
  command: (unique, random) => ({ ...commandOf(random), unique }),
};

function commandOf(random: () => number): RegistryCommand {
  const below = (bound: number): number => Math.floor(random() * bound);
  const id = below(6);
  const machine = `bank/${below(5)}` as MachineId;
  const leader = `l${id}`;
  switch (below(7)) {
    case 0:
      return { type: "registerMachine", machine, acceptors: 1 + below(3) };
    case 1: {
      const acceptor = {
        id: `a${id}` as AcceptorId,
        kind: "sqlite",
        location: `/a${id}`,
        incarnation: `${below(2)}`,
      };
      return { type: "registerAcceptor", acceptor };
    }
    case 2: {
      const process = String(id).padStart(32, "0") as ProcessId;
      const [address, publicKey] = [`host${below(3)}`, keyOf(`l${below(6)}`)];
      return { type: "registerLeader", leader: { id: leader, process, address, publicKey } };
    }
    case 3: {
      const acceptors = [id, (id + 1 + below(2)) % 6].map((each) => `a${each}` as AcceptorId);
      const quorums = below(2) === 0 ? majority(acceptors) : primaryBackup(acceptors);
      return { type: "propose", machine, quorums, nonce: `nonce ${below(4)}`, reason: REASON };
    }
    case 4:
      return below(4) > 0
        ? { type: "configure", endorsements: below(2) === 0 ? "auto" : below(4) }
        : { type: "revokeLeader", leader };
    default: {
      const configuration = (1 + below(4)) as ConfigurationNumber;
      const override =
        below(2) === 0 ? {} : { override: { operator: "ada", reason: below(4) === 0 ? "" : "haste" } };
      return {
        type: "complete",
        machine,
        configuration,
        ...endorsedAtRandom(machine, configuration, below),
        ...override,
      };
    }
  }
}

/** Signed for whatever quorums: where they are others, it is forged. What expires does so before the log begins, or never. */
function endorsedAtRandom(machine: MachineId, number: ConfigurationNumber, below: (bound: number) => number) {
  const quorums = majority([`a${below(6)}`, `a${below(6)}`] as AcceptorId[]);
  const expires = below(4) === 0 ? { expires: 0 } : {};
  const of = () => endorse(`l${below(6)}`, machine, { number, previous: below(number), quorums }, expires);
  return { endorsements: Array.from({ length: below(4) }, of) };
}

const REASON = { operator: "ada" };

class RegistryReference implements Reference {
  readonly #state = initialRegistry();

  execute(command: unknown): Result {
    const answer = applyRegistry(this.#state, command as RegistryCommand, CONTEXT);
    if (answer instanceof Refusal) return { response: JSON.stringify(answer.reason), refused: true };
    return { response: JSON.stringify(answer) };
  }

  summary(): string {
    return summaryOf(this.#state);
  }
}

/** Without the times, which the reference does not know. */
function summaryOf({ audit, ...state }: RegistryState): string {
  const entries = audit.map((entry) => ({ ...entry, time: 0 }));
  return JSON.stringify({ ...state, entries }, (_, value) => (value instanceof Map ? [...value] : value));
}
