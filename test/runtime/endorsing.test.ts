/** One leader process endorses what it has seen for itself, and another one gathers as much of that as it needs. */
import { setTimeout as sleep } from "node:timers/promises";
import { beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { bank } from "../../examples/bank.ts";
import { UNKNOWN } from "../../shared/protocol/acceptor.ts";
import type { ProcessId } from "../../shared/protocol/ballot.ts";
import type { Configuration, MachineId } from "../../shared/protocol/configuration.ts";
import { endorsementText, type Override, type Reason } from "../../shared/protocol/endorsement.ts";
import type { Suspicion } from "../../shared/protocol/pool.ts";
import { type AcceptorId, majority, type QuorumSpec, withWitness } from "../../shared/protocol/quorum.ts";
import type { Location } from "../../shared/protocol/registry.ts";
import { MACHINE_GEOMETRY } from "../../shared/protocol/slot.ts";
import { Endorser } from "../../shared/runtime/fleet/endorser.ts";
import { gatherEndorsements } from "../../shared/runtime/fleet/gather-endorsements.ts";
import { reconfigure } from "../../shared/runtime/fleet/reconfigure.ts";
import { registerLeader } from "../../shared/runtime/fleet/register-leader.ts";
import { found } from "../../shared/runtime/found.ts";
import { ofDeployment } from "../../shared/runtime/http/deployment-guard.ts";
import { httpInterface } from "../../shared/runtime/http/http.ts";
import { serve } from "../../shared/runtime/http/serve.ts";
import { PeerCalls } from "../../shared/runtime/peers/calls.ts";
import type { Identity } from "../../shared/runtime/peers/message.ts";
import { productionPorts } from "../../shared/runtime/ports-production.ts";
import type { RegistryClient } from "../../shared/runtime/registry/registry-client.ts";
import { SLOW_MS_MIN } from "../../shared/runtime/repair/table-health.ts";
import { newSigner, type Signer, verify } from "../../shared/runtime/signing.ts";
import { StorePool } from "../../shared/runtime/store-pool.ts";
import { memoryStore } from "../../shared/storage/memory.ts";
import type { AcceptorStore } from "../../shared/storage/store.ts";
import { MemoryBackend } from "../support/memory-backend.ts";
import { RegistryInMemory } from "../support/registry-in-memory.ts";

const MACHINE = "bank/main" as MachineId;
const DEPLOYMENT = "this one";
/** Longer than all looks at a suspect. */
const PROBES_MS = 1_000;
const BY_OPERATOR: Reason = { operator: "ada" };
const ids = (...names: string[]) => names as AcceptorId[];
const suspecting = (...suspects: string[]): Reason => ({ suspects: ids(...suspects) });
const REPAIRED = majority(ids("d", "b", "c"));

/** A table that one can hold. */
class Table implements AcceptorStore {
  store = memoryStore();
  /** So many requests are not answered. */
  unanswered = 0;
  isSilent = false;
  takesMs = 0;
  readonly execute: AcceptorStore["execute"] = async (machine, verbs) => {
    if (this.isSilent) return new Promise(() => {});
    if (this.unanswered-- > 0) return verbs.map(() => UNKNOWN);
    if (this.takesMs > 0) await sleep(this.takesMs);
    return this.store.execute(machine, verbs);
  };
  async close(): Promise<void> {}
}

let registry: RegistryInMemory;
let tables: Map<string, Table>;
let stores: StorePool;
/** What the endorsers' own process complains of. */
let complaints: Map<AcceptorId, Suspicion>;
const table = (id: string) => tables.get(id) as Table;
const ports = () => productionPorts((acceptor) => stores.get(acceptor));

beforeEach(async () => {
  complaints = new Map();
  registry = new RegistryInMemory();
  tables = new Map(ids("a", "b", "c", "d", "e").map((id) => [id, new Table()]));
  stores = new StorePool(({ id }) => table(id));
  for (const id of ids(...tables.keys()))
    await registry.command({
      type: "registerAcceptor",
      acceptor: { id, kind: "memory", location: id, incarnation: id },
    });
  const first = (await registry.command({
    type: "registerMachine",
    machine: MACHINE,
    acceptors: 3,
  })) as Location;
  stores.learn((await registry.servers()).acceptors);
  await found(ports(), MACHINE, first.configuration, MACHINE_GEOMETRY);
  await registry.command({
    type: "complete",
    machine: MACHINE,
    configuration: first.configuration.number,
  });
});

async function propose(quorums: QuorumSpec, reason: Reason, isFounded = true): Promise<Configuration> {
  const nonce = JSON.stringify([quorums, reason]);
  const command = { type: "propose", machine: MACHINE, quorums, nonce, reason } as const;
  const { configuration } = (await registry.command(command)) as Location;
  if (isFounded) await found(ports(), MACHINE, configuration, MACHINE_GEOMETRY, "all");
  return configuration;
}

async function leader(id: string, signer: Signer = newSigner()): Promise<Endorser> {
  const { publicKey } = signer;
  const self = { id, process: "a".repeat(32) as ProcessId, address: id, publicKey };
  await registry.command({ type: "registerLeader", leader: self });
  return new Endorser({ self, signer, registry, stores, health: { complaints: () => complaints } });
}

describe("a leader process endorses", () => {
  async function endorse(configuration: Configuration) {
    const endorser = await leader("l1");
    return endorser.endorse(MACHINE, configuration.number);
  }
  async function refusal(configuration: Configuration): Promise<string> {
    const error: unknown = await endorse(configuration).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "not_endorsed", retryable: false });
    const { message } = error as Error;
    const start = `l1 does not endorse configuration ${configuration.number} of bank/main: `;
    expect(message.startsWith(start), message).toBe(true);
    return message.slice(start.length);
  }

  it("what is pending and founded, for a minute of the registry's time", async () => {
    const configuration = await propose(REPAIRED, BY_OPERATOR);
    const endorsement = await endorse(configuration);
    const expires = registry.time + 60_000;
    expect(endorsement).toMatchObject({
      leader: "l1",
      machine: MACHINE,
      previous: 1,
      configuration: 2,
      expires,
    });
    const { publicKey = "" } = registry.state.leaders.get("l1") ?? {};
    const text = endorsementText(MACHINE, configuration, expires);
    expect(verify(publicKey, text, endorsement.signature)).toBe(true);
  });

  it("by its own key, also when an earlier process of its name is on record again", async () => {
    const configuration = await propose(REPAIRED, BY_OPERATOR);
    const endorser = await leader("l1");
    const late = { id: "l1", process: "b".repeat(32) as ProcessId, address: "l1", publicKey: "its own" };
    await registry.command({ type: "registerLeader", leader: late });
    const { expires, signature } = await endorser.endorse(MACHINE, configuration.number);
    const { publicKey = "" } = registry.state.leaders.get("l1") ?? {};
    expect(verify(publicKey, endorsementText(MACHINE, configuration, expires), signature)).toBe(true);
  });

  it("not what nobody proposed", async () => {
    const endorser = await leader("l1");
    await expect(endorser.endorse(MACHINE, 7 as never)).rejects.toMatchObject({ code: "not_found" });
  });

  it("not what is active already, or can never be", async () => {
    const [configuration, rival] = [
      await propose(REPAIRED, BY_OPERATOR),
      await propose(majority(ids("e", "b", "c")), BY_OPERATOR),
    ];
    const endorser = await leader("l1");
    const endorsements = [await endorser.endorse(MACHINE, configuration.number)];
    const { number } = configuration;
    await registry.command({ type: "complete", machine: MACHINE, configuration: number, endorsements });
    expect(await refusal(configuration)).toBe("it replaces configuration 1, and 2 is active");
    await expect(endorser.endorse(MACHINE, rival.number)).rejects.toMatchObject({ code: "not_found" });
  });

  it("not what is not founded, on any one acceptor", async () => {
    const configuration = await propose(REPAIRED, BY_OPERATOR, false);
    expect(await refusal(configuration)).toBe("d has no cells of configuration 2");
    await found(ports(), MACHINE, configuration, MACHINE_GEOMETRY, "all");
    table("d").store = memoryStore();
    expect(await refusal(configuration)).toBe("d has no cells of configuration 2");
  });

  it("not what has an acceptor that is gone or does not answer", async () => {
    const configuration = await propose(REPAIRED, BY_OPERATOR);
    table("d").isSilent = true;
    expect(await refusal(configuration)).toBe("d does not answer");
    table("d").isSilent = false;
    table("d").store.lose();
    expect(await refusal(configuration)).toBe("d is gone");
  });

  it("a witness that has cells and no Head, and no full acceptor without one", async () => {
    const asWitness = await propose(withWitness(ids("a", "b", "d")), BY_OPERATOR);
    expect(await endorse(asWitness)).toMatchObject({ configuration: 2 });
    const asFull = await propose(majority(ids("a", "b", "d")), BY_OPERATOR);
    const heads = table("d").execute;
    Object.assign(table("d"), {
      execute: async (...[machine, verbs]: Parameters<typeof heads>) =>
        (await heads(machine, verbs)).map((outcome, index) =>
          verbs[index]?.key.kind === "head" ? { outcome: "refused" } : outcome,
        ),
    });
    expect(await refusal(asFull)).toBe("d has no cells of configuration 3");
    expect(await endorse(asWitness)).toMatchObject({ configuration: 2 });
  });

  describe("the removal of a suspect", () => {
    it.each<[string, (suspect: Table) => void]>([
      ["gone", (suspect) => suspect.store.lose()],
      [
        "silent",
        (suspect) => {
          suspect.isSilent = true;
        },
      ],
      [
        "slow",
        (suspect) => {
          suspect.takesMs = SLOW_MS_MIN + 20;
        },
      ],
      [
        "slow in its own work, if not now",
        () => {
          complaints.set("a" as AcceptorId, "slow");
        },
      ],
      [
        "refusing everything",
        (suspect) => {
          suspect.store = memoryStore();
        },
      ],
    ])("that it found %s", async (_, spoil) => {
      spoil(table("a"));
      expect(await endorse(await propose(REPAIRED, suspecting("a")))).toMatchObject({ configuration: 2 });
    });

    it("not when it is well", async () => {
      expect(await refusal(await propose(REPAIRED, suspecting("a")))).toBe(
        "a, which is to go, answers as it should",
      );
    });

    it("not when only one look failed", async () => {
      table("a").unanswered = 2;
      expect(await refusal(await propose(REPAIRED, suspecting("a")))).toMatch("answers as it should");
    });

    it("not when only one of two is bad", async () => {
      table("a").store.lose();
      const both = await propose(majority(ids("d", "e", "c")), suspecting("a", "b"));
      expect(await refusal(both)).toMatch("b, which is to go, answers as it should");
    });

    it("not when it only takes long to open", async () => {
      const configuration = await propose(REPAIRED, suspecting("a"));
      const opening = sleep(PROBES_MS);
      stores = new StorePool(({ id }) => ({
        execute: async (...given) => {
          await opening;
          return table(id).execute(...given);
        },
        close: async () => {},
      }));
      expect(await refusal(configuration)).toMatch("answers as it should");
    });

    it("not together with one that nobody suspects", async () => {
      table("a").store.lose();
      const both = await propose(majority(ids("d", "e", "c")), suspecting("a"));
      expect(await refusal(both)).toBe("b is to go, and nobody suspects it");
    });

    it("not together with other quorums", async () => {
      table("a").store.lose();
      const weaker = await propose(withWitness(ids("d", "b", "c")), suspecting("a"));
      expect(await refusal(weaker)).toBe(
        "a repair puts tables in the place of others, and this one changes the quorums too",
      );
    });

    it("unasked, when an operator wants it", async () => {
      expect(await endorse(await propose(REPAIRED, BY_OPERATOR))).toMatchObject({ configuration: 2 });
    });

    it("and the same acceptors again, when no suspect is named", async () => {
      const again = await propose(majority(ids("a", "b", "c")), suspecting());
      expect(await endorse(again)).toMatchObject({ configuration: 2 });
    });
  });
});

describe("endorsements are gathered", () => {
  const self = identity("l1", "http://127.0.0.1:1");
  let asked: string[];
  let configuration: Configuration;

  beforeEach(async () => {
    asked = [];
    configuration = await propose(REPAIRED, BY_OPERATOR);
  });

  function identity(id: string, address: string, deployment = DEPLOYMENT): Identity {
    return { id, deployment, process: "a".repeat(32) as ProcessId, address, pid: 1 };
  }

  /** A leader process that answers over HTTP. */
  async function peer(
    id: string,
    endorser: Pick<Endorser, "endorse">,
    deployment = DEPLOYMENT,
  ): Promise<Identity> {
    const backend = new MemoryBackend(bank);
    backend.endorser = {
      endorse: (...given) => {
        asked.push(id);
        return endorser.endorse(...given);
      },
    };
    const { url, close } = await serve(ofDeployment(httpInterface(backend), deployment), { port: 0 });
    onTestFinished(close);
    return identity(id, url);
  }

  async function gather(endorser: Endorser, ...peers: Identity[]) {
    const gathered = await gatherEndorsements(
      { endorser, registry, self, peers: () => peers, calls: new PeerCalls() },
      MACHINE,
      configuration,
    );
    return { ...gathered, by: gathered.valid.map((each) => each.leader) };
  }

  const silent: Pick<Endorser, "endorse"> = { endorse: () => new Promise(() => {}) };
  const forging: Pick<Endorser, "endorse"> = {
    endorse: async () => ({
      leader: "l1",
      machine: MACHINE,
      previous: 1,
      configuration: 2,
      expires: Number.MAX_SAFE_INTEGER,
      signature: "of nobody",
    }),
  };

  it("from oneself alone in a fleet of two", async () => {
    const [one, two] = [await leader("l1"), await leader("l2")];
    expect(await gather(one, await peer("l2", two))).toMatchObject({ by: ["l1"], needed: 1, faults: [] });
    expect(asked).toEqual([]);
  });

  it("from one peer more in a fleet of three, and from no other", async () => {
    const [one, two, three] = [await leader("l1"), await leader("l2"), await leader("l3")];
    const gathered = await gather(one, await peer("l2", two), await peer("l3", three));
    expect(gathered).toMatchObject({ by: ["l1", "l2"], needed: 2, faults: [] });
    expect(asked).toEqual(["l2"]);
  });

  it("from others in the place of those that are silent, lie, or are another deployment's", async () => {
    const one = await leader("l1");
    await leader("l2");
    await leader("l3");
    const four = await leader("l4");
    const peers = [
      await peer("l2", silent),
      await peer("l3", forging),
      await peer("l2", four, "another one"),
      await peer("l4", four),
    ];
    const gathered = await gather(one, ...peers);
    expect(gathered).toMatchObject({ by: ["l1", "l4"], needed: 2 });
    expect(gathered.faults).toEqual([
      "l2 does not answer",
      "l3 did not sign this: it is forged",
      expect.stringMatching(/this server is of deployment another one/),
    ]);
    expect(asked).toEqual(["l2", "l3", "l4"]);
  });

  it("twice from whoever refused at first, and no more often", async () => {
    const one = await leader("l1");
    await leader("l2");
    await leader("l3");
    const gathered = await gather(one, await peer("l2", await stranger("l2")), await peer("l3", forging));
    expect(gathered).toMatchObject({ by: ["l1"], needed: 2 });
    expect(gathered.faults[0]).toBe("l2 did not sign this: it is forged");
    expect(asked).toEqual(["l2", "l3", "l2", "l3"]);
  });

  /** With a key that is not registered. */
  async function stranger(id: string): Promise<Endorser> {
    const process = registry.state.leaders.get(id)?.process as ProcessId;
    const signer = newSigner();
    const self = { id, process, address: id, publicKey: signer.publicKey };
    return new Endorser({ self, signer, registry, stores, health: { complaints: () => complaints } });
  }
});

describe("a reconfiguration", () => {
  const self = {
    id: "l1",
    deployment: DEPLOYMENT,
    process: "a".repeat(32) as ProcessId,
    address: "",
    pid: 1,
  };
  let said: string[];
  let endorser: Endorser;

  beforeEach(async () => {
    said = [];
    endorser = await leader("l1");
  });

  /** `pause` is what happens while service is handed over. */
  async function reconfigureTo(
    quorums: QuorumSpec,
    { override, pause = async () => {} }: { override?: Override; pause?: () => Promise<unknown> } = {},
  ): Promise<Location> {
    const asking: RegistryClient = {
      url: registry.url,
      command: (command) => {
        said.push(command.type);
        return registry.command(command);
      },
      lookup: (machine) => registry.lookup(machine),
      proposal: (machine, number) => registry.proposal(machine, number),
      audit: () => registry.audit(),
      servers: () => {
        said.push("gather");
        return registry.servers();
      },
      provisioning: () => registry.provisioning(),
      machines: () => registry.machines(),
      machinesOn: (acceptor) => registry.machinesOn(acceptor),
      reconfigure: () => registry.reconfigure(),
      status: () => registry.status(),
    };
    return reconfigure({
      hosted: {
        machine: MACHINE,
        reconfigure: async () => {
          said.push("hand over");
          await pause();
        },
      },
      from: await registry.lookup(MACHINE),
      quorums,
      cause: override === undefined ? { reason: BY_OPERATOR } : { reason: BY_OPERATOR, override },
      gathering: { endorser, registry: asking, self, peers: () => [], calls: new PeerCalls() },
      registry: asking,
      stores,
      ports: ports(),
    });
  }

  it("is endorsed before service pauses", async () => {
    expect(await reconfigureTo(REPAIRED)).toMatchObject({ active: true, configuration: { number: 2 } });
    expect(said).toEqual(["propose", "gather", "hand over", "complete"]);
  });

  it("does not pause service when too few endorse it", async () => {
    await leader("l2");
    await leader("l3");
    await expect(reconfigureTo(REPAIRED)).rejects.toMatchObject({
      code: "not_endorsed",
      retryable: false,
      message: expect.stringMatching(/has 1 of the 2 endorsements that it needs; an operator may override/),
    });
    expect(said).toEqual(["propose", "gather", "gather"]);
    expect((await registry.lookup(MACHINE)).configuration.number).toBe(1);
  });

  it("is carried out with too few when an operator overrides that", async () => {
    await leader("l2");
    await leader("l3");
    const override = { operator: "ada", reason: "the others burnt" };
    expect(await reconfigureTo(REPAIRED, { override })).toMatchObject({ active: true });
    expect(await registry.audit()).toMatchObject([
      { ...override, configuration: 2, endorsements: 1, needed: 2 },
    ]);
  });

  it("is endorsed again when that expired while much was copied", async () => {
    const pause = async () => {
      registry.time += 60_000;
    };
    expect(await reconfigureTo(REPAIRED, { pause })).toMatchObject({ active: true });
    expect(said).toEqual(["propose", "gather", "hand over", "complete", "gather", "complete"]);
  });

  it("is not activated when the fleet grew meanwhile, and nobody else endorses it", async () => {
    const pause = async () => {
      await leader("l2");
      await leader("l3");
    };
    await expect(reconfigureTo(REPAIRED, { pause })).rejects.toMatchObject({ code: "not_endorsed" });
    expect((await registry.lookup(MACHINE)).configuration.number).toBe(1);
  });
});

describe("a leader process registers itself with its key", () => {
  const leaderOf = (publicKey: string) => ({
    id: "l1",
    process: "a".repeat(32) as ProcessId,
    address: "http://l1",
    publicKey,
  });

  it("and learns of the others, revoked ones too, which lead on", async () => {
    await leader("l2");
    await leader("l3");
    await registry.command({ type: "revokeLeader", leader: "l3" });
    const found: string[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    const { stop } = registerLeader(leaderOf("k"), newSigner(), registry, {
      found: (address) => found.push(address) === 2 && resolve(),
      refused: (error) => expect.unreachable(error.message),
    });
    await promise;
    stop();
    expect(found).toEqual(["l2", "l3"]);
    expect(registry.state.leaders.get("l1")).toMatchObject({ publicKey: "k", state: "live" });
  });

  it("once only when it is revoked: said again it would only fill the registry's log", async () => {
    await leader("l1");
    await registry.command({ type: "revokeLeader", leader: "l1" });
    vi.useFakeTimers({ toFake: ["setTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    const told: string[] = [];
    const { stop } = registerLeader(leaderOf("k"), newSigner(), registry, {
      found: (address) => expect.unreachable(address),
      refused: ({ message }) => told.push(message),
    });
    await vi.advanceTimersByTimeAsync(10_000);
    stop();
    expect(told).toEqual(["l1 is revoked: start another leader process, by another name"]);
  });
});
