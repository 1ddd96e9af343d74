/**
 * Leader processes in one process: real fleets, hosts and peers' sockets, on tables in memory, with a registry that
 * counts what it is asked and a clock that can be put forward.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { onTestFinished } from "vitest";
import { Invalid, TheseusError } from "../../shared/errors.ts";
import { UNKNOWN } from "../../shared/protocol/acceptor.ts";
import type { Ballot, ConfigurationNumber, ProcessId } from "../../shared/protocol/ballot.ts";
import type { Configuration, MachineId } from "../../shared/protocol/configuration.ts";
import { type AcceptorId, majority } from "../../shared/protocol/quorum.ts";
import {
  type AcceptorServer,
  lookup,
  machinesOn,
  proposalOf,
  type RegistryCommand,
} from "../../shared/protocol/registry.ts";
import { REGISTRY_GEOMETRY } from "../../shared/protocol/slot.ts";
import { Endorser } from "../../shared/runtime/fleet/endorser.ts";
import { Fleet } from "../../shared/runtime/fleet/fleet.ts";
import { found } from "../../shared/runtime/found.ts";
import { Peers } from "../../shared/runtime/peers/peers.ts";
import type { Ports } from "../../shared/runtime/ports.ts";
import { productionPorts } from "../../shared/runtime/ports-production.ts";
import type { RegistryClient } from "../../shared/runtime/registry/registry-client.ts";
import { REGISTRY, RegistryService } from "../../shared/runtime/registry/registry-service.ts";
import { watchLeaders } from "../../shared/runtime/repair/leader-watch.ts";
import { observed } from "../../shared/runtime/repair/observed-ports.ts";
import { Repairer } from "../../shared/runtime/repair/repairer.ts";
import { TableHealth } from "../../shared/runtime/repair/table-health.ts";
import { newSigner } from "../../shared/runtime/signing.ts";
import { StorePool } from "../../shared/runtime/store-pool.ts";
import { type MemoryStore, memoryStore } from "../../shared/storage/memory.ts";
import type { AcceptorStore } from "../../shared/storage/store.ts";
import { tally } from "./tally.ts";

const SILENT_MS = 50;
/** A store says by then that it does not know. */
const TIMEOUT_MS = 100;

export interface FleetNode {
  readonly id: string;
  readonly address: string;
  readonly fleet: Fleet;
  readonly peers: Peers;
  /** Machines in the order in which it came to lead them. */
  readonly led: MachineId[];
  readonly failures: unknown[];
  /** What it said of tables. */
  readonly repairs: string[];
  /** As SIGKILL: its connections are reset, and nothing that it does has an effect any more. */
  kill(): void;
}

export class Fleets {
  readonly nodes: FleetNode[] = [];
  /** What the registry was asked, in order. */
  readonly commands: RegistryCommand[] = [];
  /** Machines that were looked up there. */
  readonly lookups: MachineId[] = [];
  /** Tables that answer nothing. */
  readonly silent = new Set<string>();
  /** Verbs that change a table. */
  writes = 0;
  readonly #tables: Map<AcceptorId, MemoryStore>;
  readonly #registry: RegistryService;
  #aheadMs = 0;
  #turn = 0;
  #joined = 0;

  private constructor(tables: Map<AcceptorId, MemoryStore>, registry: RegistryService) {
    this.#tables = tables;
    this.#registry = registry;
  }

  static async start(): Promise<Fleets> {
    const ids = (kind: string) => [1, 2, 3].map((n) => `${kind}${n}` as AcceptorId);
    const tables = new Map([...ids("r"), ...ids("a")].map((id) => [id, memoryStore()] as const));
    const ports = productionPorts((id) => tables.get(id));
    const configuration: Configuration = {
      number: 1 as ConfigurationNumber,
      previous: 0,
      quorums: majority(ids("r")),
    };
    await found(ports, REGISTRY, configuration, REGISTRY_GEOMETRY);
    const registry = new RegistryService({
      first: configuration,
      process: "f".repeat(32) as ProcessId,
      ports,
      pointer: async () => ({ configuration, acceptors: [] }),
      async movePointer() {},
      learn() {},
    });
    const fleets = new Fleets(tables, registry);
    for (const id of ids("a")) await fleets.#register(id);
    return fleets;
  }

  /** One more table for the machines. */
  async addTable(name: string): Promise<AcceptorId> {
    const id = name as AcceptorId;
    this.#tables.set(id, memoryStore());
    await this.#register(id);
    return id;
  }

  /** As if it were deleted. */
  loseTable(name: string): void {
    this.#tables.get(name as AcceptorId)?.lose();
  }

  async #register(id: AcceptorId): Promise<void> {
    const acceptor: AcceptorServer = { id, kind: "memory", location: id, incarnation: id };
    await this.#registry.command({ type: "registerAcceptor", acceptor });
  }

  /**
   * One more leader process; resolves once those that live know each other. `isCutOff`: from the tables. `isAlone`: from
   * the other leaders.
   */
  async join({ isCutOff = false, isAlone = false } = {}): Promise<FleetNode> {
    const number = ++this.#joined;
    const id = `leader-${number}`;
    const server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const process = String(number).padStart(32, "0") as ProcessId;
    const self = { id, deployment: "one", process, address, pid: number };
    const stores = new StorePool(({ id }) => this.#counting(id));
    const life = { isOver: false, isCutOff };
    const health = new TableHealth(() => performance.now());
    const ports = observed(this.#portsOf(stores, life), health, (each) => stores.get(each) !== undefined);
    const [led, failures]: [MachineId[], unknown[]] = [[], []];
    const events = {
      leads: (machine: MachineId, _: Ballot) => led.push(machine),
      abdicated() {},
      lost() {},
      reconfigured() {},
      failed: (_: MachineId, error: unknown) => failures.push(error),
    };
    const definitions = new Map([[tally.name, tally]]);
    const registry = this.#client();
    const signer = newSigner();
    const leader = { id, process, address, publicKey: signer.publicKey };
    const endorser = new Endorser({ self: leader, signer, registry, stores });
    await this.#registry.command({ type: "registerLeader", leader });
    const fleet = new Fleet({ self, definitions, registry, stores, endorser, ports, events });
    const peers = new Peers({
      self,
      server,
      welcome: () => fleet.welcome(),
      follow: (machine, from, send) => fleet.follow(machine, from, send),
    });
    fleet.meet(peers);
    const repairs: string[] = [];
    const repairEvents = {
      suspected: (acceptor: AcceptorId, why: string) => repairs.push(`${acceptor} ${why}`),
      notSuspected: (acceptor: AcceptorId, why: string, reason: string) =>
        repairs.push(`${acceptor} ${why} not: ${reason}`),
      notRepaired: (machine: MachineId, acceptor: AcceptorId, error: unknown) =>
        repairs.push(`${machine} ${acceptor} not: ${error}`),
    };
    const repairer = new Repairer({ fleet, health, registry, stores, ports, events: repairEvents });
    repairer.start();
    const kill = () => {
      life.isOver = true;
      repairer.close();
      peers.close();
      server.closeAllConnections();
      server.close();
      this.nodes.splice(this.nodes.indexOf(node), 1);
    };
    const node: FleetNode = { id, address, fleet, peers, led, failures, repairs, kill };
    onTestFinished(() => {
      if (!life.isOver) kill();
    });
    const others = isAlone ? [] : [...this.nodes];
    for (const other of others) peers.watch(other.address);
    await peers.met(others.length);
    await Promise.all(others.map((other) => other.peers.met(others.length)));
    this.nodes.push(node);
    return node;
  }

  /** The tables that the registry ordered. */
  async provision(): Promise<void> {
    const requests = await this.#registry.read(({ outbox }) => [...outbox.values()]);
    for (const { request, type } of requests) {
      if (type !== "createAcceptor") continue;
      const id = `s${this.#tables.size}` as AcceptorId;
      this.#tables.set(id, memoryStore());
      const acceptor: AcceptorServer = { id, kind: "memory", location: id, incarnation: id };
      await this.#registry.command({ type: "provisioned", request, acceptor });
    }
  }

  /** As a leader process does, only sooner. */
  watchLeaders(fleet: Fleet, suspected: (leader: string) => void): void {
    const ports = productionPorts(() => undefined);
    watchLeaders({ fleet, registry: this.#client(), ports, silentMs: SILENT_MS, suspected });
  }

  liveLeaders(): Promise<readonly string[]> {
    return this.#registry.read(({ leaders }) =>
      [...leaders.values()].filter(({ state }) => state === "live").map(({ id }) => id),
    );
  }

  async configurationOf(machine: MachineId): Promise<number | undefined> {
    return (await this.#registry.read((state) => lookup(state, machine)))?.configuration.number;
  }

  /** As the registry has it. */
  async acceptorsOf(machine: MachineId): Promise<readonly AcceptorId[]> {
    const location = await this.#registry.read((state) => lookup(state, machine));
    return location?.configuration.quorums.acceptors ?? [];
  }

  /** Everything so far was so much longer ago. */
  forward(ms: number): void {
    this.#aheadMs += ms;
  }

  /** As a client and a gateway do it together: whom nobody told of the leader, asks anybody. Its total. */
  async add(machine: MachineId, amount = 1): Promise<number> {
    let node = this.nodes[this.#turn++ % this.nodes.length];
    for (;;) {
      const result = await sendTo(node as FleetNode, machine, amount);
      if (typeof result === "number") return result;
      if (!result.retryable) throw result;
      await sleep(1);
      const named = this.nodes.find(({ address }) => address === result.leader);
      node = named ?? this.nodes[this.#turn++ % this.nodes.length];
    }
  }

  /** The nodes that lead it. */
  leadersOf(machine: MachineId): readonly string[] {
    return this.nodes.filter(({ fleet }) => fleet.find(machine)?.isServing).map(({ id }) => id);
  }

  #portsOf(stores: StorePool, life: { readonly isOver: boolean; readonly isCutOff: boolean }): Ports {
    const ports = productionPorts((acceptor) => stores.get(acceptor));
    return {
      ...ports,
      ask: (acceptor, machine, verbs, done) => {
        if (!life.isOver && !life.isCutOff)
          ports.ask(acceptor, machine, verbs, (outcomes) => {
            if (!life.isOver) done(outcomes);
          });
      },
      after: (ms, call) =>
        ports.after(ms, () => {
          if (!life.isOver) call();
        }),
      elapsed: () => ports.elapsed() + this.#aheadMs,
    };
  }

  #counting(id: AcceptorId): AcceptorStore {
    const table = this.#tables.get(id) as AcceptorStore;
    return {
      execute: (machine, verbs) => {
        if (this.silent.has(id))
          return sleep(
            TIMEOUT_MS,
            verbs.map(() => UNKNOWN),
          );
        this.writes += verbs.filter(({ verb }) => verb !== "read").length;
        return table.execute(machine, verbs);
      },
      close: async () => {},
    };
  }

  #client(): RegistryClient {
    const registry = this.#registry;
    return {
      url: "http://registry.invalid",
      command: async (command) => {
        this.commands.push(command);
        return (await registry.command(command)).response;
      },
      lookup: async (machine) => {
        this.lookups.push(machine);
        const location = await registry.read((state) => lookup(state, machine));
        if (location === undefined) throw new Invalid("unknown_machine", `${machine} was never started`);
        return location;
      },
      servers: () =>
        registry.read(({ leaders, acceptors }) => ({
          leaders: [...leaders.values()],
          acceptors: [...acceptors.values()],
        })),
      machinesOn: (acceptor) => registry.read((state) => machinesOn(state, acceptor)),
      machines: () => registry.read(({ machines }) => [...machines.keys()]),
      proposal: (machine, number) =>
        registry.read((state) => {
          const proposal = proposalOf(state, machine, number);
          if (proposal === undefined) throw new Invalid("not_found", `there is no ${machine} ${number}`);
          return { ...proposal, time: registry.now() };
        }),
      audit: unasked,
      provisioning: unasked,
      reconfigure: unasked,
      status: unasked,
    };
  }
}

function unasked(): Promise<never> {
  return Promise.reject(new Error("nobody asks for it here"));
}

async function sendTo(node: FleetNode, machine: MachineId, amount: number): Promise<number | TheseusError> {
  try {
    const { hosted } = await node.fleet.led(machine);
    const [reply] = await hosted.send([{ command: { type: "add", amount } }]);
    if (reply instanceof TheseusError) return reply;
    if (reply?.reply !== "response") throw new Error(`not executed: ${JSON.stringify(reply)}`);
    return JSON.parse(reply.response) as number;
  } catch (error) {
    if (error instanceof TheseusError) return error;
    throw error;
  }
}
