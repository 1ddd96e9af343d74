/**
 * The product's registry as the machine of a run. Its commands are idempotent; the run numbers them all the
 * same (`unique` is ignored by the registry), so that the checkers can tell one from another.
 */
import { deserialize, serialize } from "node:v8";
import type { ConfigurationNumber, ProcessId } from "../../shared/protocol/ballot.ts";
import type { MachineId } from "../../shared/protocol/configuration.ts";
import { type AcceptorId, majority, primaryBackup } from "../../shared/protocol/quorum.ts";
import {
  type AcceptorServer,
  applyRegistry,
  initialRegistry,
  type RegistryCommand,
  type RegistryState,
} from "../../shared/protocol/registry.ts";
import { Refusal } from "../../shared/protocol/replica.ts";
import { CONTEXT, endorse, keyOf } from "../support/endorsing.ts";
import type { Reference, Result, Subject } from "./subject.ts";

export const registry: Subject = {
  code: {
    init: initialRegistry,
    // The reference executes commands outside of any log, so neither may know the logged time.
    apply: (state, command) => applyRegistry(state as RegistryState, command as RegistryCommand, CONTEXT),
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
  switch (below(13)) {
    case 0:
      return { type: "registerMachine", machine, acceptors: 1 + below(3) };
    case 1:
      return { type: "registerAcceptor", acceptor: acceptorOf(`a${id}`, `${below(2)}`) };
    case 2: {
      const process = String(id).padStart(32, "0") as ProcessId;
      const [address, publicKey] = [`host${below(3)}`, keyOf(`l${below(6)}`)];
      return { type: "registerLeader", leader: { id: `l${id}`, process, address, publicKey } };
    }
    case 3: {
      const acceptors = [id, (id + 1 + below(2)) % 6].map((each) => `a${each}` as AcceptorId);
      const quorums = below(2) === 0 ? majority(acceptors) : primaryBackup(acceptors);
      return { type: "propose", machine, quorums, nonce: `nonce ${below(4)}`, reason: { operator: "ada" } };
    }
    case 4:
      return {
        type: "suspectAcceptor",
        acceptor: `a${id}` as AcceptorId,
        by: "l1",
        why: below(2) ? "gone" : "slow",
      };
    case 5:
      return { type: "provisioned", request: `o${below(6)}`, acceptor: acceptorOf(`s${id}`, "0") };
    case 6:
      return { type: "done", request: `o${below(6)}` };
    case 7:
      if (below(2) === 0) return { type: "retireLeader", leader: `l${id}` };
      return id < 3 ? { type: "startLeader", nonce: `nonce ${id}` } : { type: "claimLeader", task: `t${id}` };
    case 8:
      return below(2)
        ? { type: "configure", spares: below(3), leaders: below(3) }
        : { type: "configure", endorsements: below(2) ? "auto" : below(4) };
    case 9:
      return { type: "disown", acceptor: `s${id}` as AcceptorId };
    case 10:
      return { type: "revokeLeader", leader: `l${id}` };
    default:
      return completeOf(machine, below);
  }
}

/** Endorsed for whatever quorums: where those are others, it is forged. What expires did so before the log began. */
function completeOf(machine: MachineId, below: (bound: number) => number): RegistryCommand {
  const configuration = (1 + below(4)) as ConfigurationNumber;
  const quorums = majority([`a${below(6)}`, `a${below(6)}`] as AcceptorId[]);
  const expires = below(4) === 0 ? { expires: 0 } : {};
  const endorsed = { number: configuration, previous: below(configuration), quorums };
  const endorsements = Array.from({ length: below(4) }, () =>
    endorse(`l${below(6)}`, machine, endorsed, expires),
  );
  const override = { operator: "ada", reason: below(4) ? "haste" : "" };
  const command = { type: "complete", machine, configuration, endorsements } as const;
  return below(2) ? command : { ...command, override };
}

function acceptorOf(id: string, incarnation: string): AcceptorServer {
  return { id: id as AcceptorId, kind: "sqlite", location: `/${id}`, incarnation };
}

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

export function summaryOf(state: RegistryState): string {
  return JSON.stringify(state, (_, value) =>
    value instanceof Map || value instanceof Set ? [...value] : value,
  );
}
