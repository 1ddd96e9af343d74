/** The registry's rules behind the client's interface, without a network, a log or a clock of their own. */
import { Invalid, Refused } from "../../shared/errors.ts";
import {
  applyRegistry,
  initialRegistry,
  lookup,
  machinesOn,
  proposalOf,
  type RegistryState,
} from "../../shared/protocol/registry.ts";
import { Refusal } from "../../shared/protocol/replica.ts";
import type { RegistryClient } from "../../shared/runtime/registry/registry-client.ts";
import { provisioningOf } from "../../shared/runtime/registry/registry-http.ts";
import { verify } from "../../shared/runtime/signing.ts";

export class RegistryInMemory implements RegistryClient {
  readonly url = "memory:";
  readonly state: RegistryState = initialRegistry();
  time = 1_000;

  async command(command: Parameters<RegistryClient["command"]>[0]): Promise<unknown> {
    const response = applyRegistry(this.state, command, { time: this.time, verify });
    if (response instanceof Refusal) throw new Refused("invalid_request", String(response.reason));
    return response;
  }

  async lookup(machine: Parameters<RegistryClient["lookup"]>[0]) {
    return lookup(this.state, machine) ?? missing(machine);
  }

  async proposal(machine: Parameters<RegistryClient["proposal"]>[0], number: number) {
    const proposal = proposalOf(this.state, machine, number) ?? missing(`${machine} ${number}`);
    return { ...proposal, time: this.time };
  }

  async audit() {
    return this.state.audit;
  }

  async servers() {
    return { leaders: [...this.state.leaders.values()], acceptors: [...this.state.acceptors.values()] };
  }

  async machines() {
    return [...this.state.machines.keys()];
  }

  async machinesOn(acceptor: Parameters<RegistryClient["machinesOn"]>[0]) {
    return machinesOn(this.state, acceptor);
  }

  async provisioning() {
    return structuredClone(provisioningOf(this.state));
  }

  reconfigure(): never {
    throw new Error("a registry in memory has no tables");
  }

  status(): never {
    throw new Error("a registry in memory has no configuration of its own");
  }
}

function missing(what: string): never {
  throw new Invalid("not_found", `there is no ${what}`);
}
