/** Provisioner and sweeper against the registry's own rules, real table files, and everything going wrong. */
import { existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeEach, describe, expect, it } from "vitest";
import type { ConfigurationNumber, ProcessId } from "../../shared/protocol/ballot.ts";
import type { MachineId } from "../../shared/protocol/configuration.ts";
import { type AcceptorId, majority } from "../../shared/protocol/quorum.ts";
import {
  type AcceptorServer,
  applyRegistry,
  initialRegistry,
  type RegistryCommand,
  type RegistryState,
} from "../../shared/protocol/registry.ts";
import { Refusal } from "../../shared/protocol/replica.ts";
import type { Launcher } from "../../shared/provision/launcher.ts";
import type { Message, Queue } from "../../shared/provision/queue.ts";
import { SqliteTables } from "../../shared/provision/tables-sqlite.ts";
import { serveQueue } from "../../shared/runtime/provisioner/loops.ts";
import { OutboxRelay } from "../../shared/runtime/provisioner/outbox-relay.ts";
import { Provisioner } from "../../shared/runtime/provisioner/provisioner.ts";
import { sweep } from "../../shared/runtime/provisioner/sweeper.ts";
import type { RegistryClient } from "../../shared/runtime/registry/registry-client.ts";
import { provisioningOf } from "../../shared/runtime/registry/registry-http.ts";
import { createSqliteTable } from "../../shared/storage/sqlite.ts";
import { until } from "../support/deployment.ts";
import { CONTEXT, keyOf } from "../support/endorsing.ts";
import { temporaryFolder } from "../support/temporary.ts";

const OVERRIDE = { operator: "ada", reason: "no leaders here" };

/** The file system's clock may be a little ahead of this process's. */
const ANY_AGE_MS = -1_000;

let state: RegistryState;
let folder: string;
let tables: SqliteTables;
let running: Set<string>;
let sent: string[];
let ended: string[];
/** Called before each command of the registry: throws when that is not to be executed. */
let before: (command: RegistryCommand) => void;
/** Called when it was executed and before it is answered: throws when the answer is lost. */
let after: (command: RegistryCommand) => void;

const registry: Pick<RegistryClient, "command" | "provisioning"> = {
  async command(command) {
    before(command);
    const answer = say(command);
    after(command);
    return answer;
  },
  provisioning: async () => structuredClone(provisioningOf(state)),
};
const queue: Queue = {
  send: async (body) => void sent.push(body),
  receive: async () => [],
  delete: async () => {},
  close: async () => {},
};
const launcher: Launcher = {
  start: async (leader) => void running.add(leader),
  stop: async ({ id, task = id }) => void running.delete(task),
  list: async () => [...running],
};

function say(command: RegistryCommand): unknown {
  const answer = applyRegistry(state, command, CONTEXT);
  if (answer instanceof Refusal) throw new Error(String(answer.reason));
  return answer;
}

function provisioner(): Provisioner {
  return new Provisioner({ tables, queue, carriedOut, ...provisionerOf(launcher) });
}

function provisionerOf(launcher: Launcher) {
  return { registry: registry as RegistryClient, launcher };
}

const carriedOut = () => {};
const messageFor = (request: string) => JSON.stringify({ format: 1, request });
const handle = (request: string, by = provisioner()) => by.handle(messageFor(request));
const files = () => readdirSync(folder).sort();
const recorded = () =>
  [...state.acceptors.values()].map(({ location }) => location.slice(folder.length + 1)).sort();
const databases = () => files().filter((name) => name.endsWith(".sqlite"));
async function swept(
  orphanAgeMs = ANY_AGE_MS,
  keep: ReadonlySet<AcceptorId> = new Set(),
): Promise<{ orphans: string[]; lost: string[] }> {
  const [orphans, lost]: [string[], string[]] = [[], []];
  const events = {
    orphan: (id: string) => void orphans.push(id),
    lostSpare: (id: string) => void lost.push(id),
    endedLeader: (id: string) => void ended.push(id),
  };
  const options = { tables, launcher, queue, drainMs: 0, orphanAgeMs, keep, events };
  await sweep({ registry: registry as RegistryClient, ...options });
  return { orphans, lost };
}
function fail(): never {
  throw new Error("killed");
}
/** A machine on three tables of which the first is then in use no more. */
async function retireOne(): Promise<AcceptorServer> {
  say({ type: "configure", spares: 4 });
  for (const request of [...state.outbox.keys()]) await handle(request);
  const machine = "m/1" as MachineId;
  say({ type: "configure", spares: 0 });
  const ids = [...state.acceptors.keys()].sort();
  say({ type: "registerMachine", machine, acceptors: 3 });
  say({ type: "complete", machine, configuration: 1 as ConfigurationNumber });
  const old = state.acceptors.get(ids[0] as AcceptorId) as AcceptorServer;
  say({ type: "propose", machine, quorums: majority(ids.slice(1)), nonce: "n", reason: OVERRIDE });
  say({ type: "complete", machine, configuration: 2 as ConfigurationNumber, override: OVERRIDE });
  return old;
}

beforeEach(() => {
  state = initialRegistry();
  folder = temporaryFolder();
  tables = new SqliteTables(folder);
  running = new Set();
  sent = [];
  ended = [];
  before = () => {};
  after = () => {};
  say({ type: "configure", spares: 1 });
});

describe("a table", () => {
  it("is made once, however often the request comes", async () => {
    for (let copy = 0; copy < 3; copy++) await handle("o1");
    expect(recorded()).toHaveLength(1);
    expect(databases()).toEqual(recorded());
    expect([...state.acceptors.values()]).toMatchObject([{ state: "spare", kind: "sqlite" }]);
  });

  it("is one when two provisioners race: the loser removes its own", async () => {
    await Promise.all([handle("o1", provisioner()), handle("o1", provisioner())]);
    expect(recorded()).toHaveLength(1);
    expect(databases()).toEqual(recorded());
  });

  it("that is made and not reported is an orphan, which goes by age", async () => {
    before = ({ type }) => type === "provisioned" && fail();
    await expect(handle("o1")).rejects.toThrow("killed");
    const [left] = databases();
    expect(await swept(3_600_000)).toEqual({ orphans: [], lost: [] });
    expect(databases()).toEqual([left]);
    expect((await swept()).orphans).toEqual([left?.replace(".sqlite", "")]);
    expect(files()).toEqual([]);
    before = () => {};
    await handle("o1");
    expect(databases()).toEqual(recorded());
  });

  it("that the directory points to is no orphan, though it is on no record yet", async () => {
    const [own, nobodys] = [await tables.create(), await tables.create()];
    expect(await swept(ANY_AGE_MS, new Set([own.id]))).toEqual({ orphans: [nobodys.id], lost: [] });
    expect(databases()).toEqual([`${own.id}.sqlite`]);
    expect(state.former.has(own.id)).toBe(false);
  });

  it("whose report was executed and not answered is kept", async () => {
    after = ({ type }) => type === "provisioned" && fail();
    await expect(handle("o1")).rejects.toThrow("killed");
    after = () => {};
    await handle("o1");
    expect((await swept()).orphans).toEqual([]);
    expect(recorded()).toHaveLength(1);
    expect(databases()).toEqual(recorded());
  });

  it("that is swept away while its report is under way is never recorded", async () => {
    before = ({ type }) => {
      if (type === "provisioned") fail();
    };
    const made: AcceptorServer[] = [];
    const { create } = SqliteTables.prototype;
    tables.create = async () => {
      const table = await create.call(tables);
      made.push(table);
      return table;
    };
    await expect(handle("o1")).rejects.toThrow("killed");
    await swept();
    const [acceptor] = made as [AcceptorServer];
    expect(say({ type: "provisioned", request: "o1", acceptor })).toEqual({ recorded: false });
    expect(state.acceptors.size).toBe(0);
  });

  it("that was reported while it is being swept away is kept", async () => {
    await handle("o1");
    const known = await registry.provisioning();
    const stale = { ...registry, provisioning: async () => ({ ...known, acceptors: [] }) };
    const events = { orphan: () => fail(), lostSpare: () => {}, endedLeader: () => {} };
    const options = { tables, launcher, queue, drainMs: 0, orphanAgeMs: ANY_AGE_MS, events };
    await sweep({ registry: stale as unknown as RegistryClient, ...options });
    expect(databases()).toEqual(recorded());
  });

  it("that cannot be deleted costs the registry's log one command, however often it is swept", async () => {
    await tables.create();
    const said: string[] = [];
    before = ({ type }) => void said.push(type);
    const remove = tables.delete.bind(tables);
    tables.delete = fail;
    for (let day = 0; day < 3; day++) await expect(swept()).rejects.toThrow("killed");
    expect([said, databases().length]).toEqual([["disown"], 1]);
    tables.delete = remove;
    expect((await swept()).orphans.length).toBe(1);
    expect([said, databases()]).toEqual([["disown"], []]);
  });

  it("that is retired is deleted with all its files, and is forgotten once that is reported", async () => {
    const old = await retireOne();
    expect(existsSync(old.location)).toBe(true);
    const [request] = state.outbox.keys();
    before = ({ type }) => type === "done" && fail();
    await expect(handle(request as string)).rejects.toThrow("killed");
    expect(files().filter((name) => name.startsWith(old.id))).toEqual([]);
    before = () => {};
    await handle(request as string);
    await handle(request as string);
    expect([state.outbox.size, state.acceptors.has(old.id), state.former.has(old.id)]).toEqual([
      0,
      false,
      true,
    ]);
    expect(databases()).toEqual(recorded());
  });

  it("without the tag is nobody's business here, recorded or not", async () => {
    const foreign = { id: "r1-0f", location: join(folder, "r1-0f.sqlite") } as const;
    createSqliteTable(foreign.location, "0f");
    expect(await swept()).toEqual({ orphans: [], lost: [] });
    expect(existsSync(foreign.location)).toBe(true);
  });

  it("that was half made or half deleted is found", async () => {
    const name = `p-${"0".repeat(32)}.sqlite`;
    writeFileSync(join(folder, `${name}-wal`), "");
    expect((await swept()).orphans).toEqual([`p-${"0".repeat(32)}`]);
    expect(files()).toEqual([]);
  });

  it("that is spare and gone is reported, and another one ordered", async () => {
    await handle("o1");
    const [spare] = state.acceptors.values();
    for (const name of files()) rmSync(join(folder, name));
    expect(await swept()).toEqual({ orphans: [], lost: [spare?.id] });
    expect([...state.outbox.values()].map(({ type }) => type)).toEqual(["deleteAcceptor", "createAcceptor"]);
    for (const request of [...state.outbox.keys()]) await handle(request);
    expect(databases()).toEqual(recorded());
    expect((await swept()).lost).toEqual([]);
  });

  it("that cannot be looked at, or deleted, keeps no other one waiting", async () => {
    say({ type: "configure", spares: 2 });
    for (const request of ["o1", "o2"]) await handle(request);
    const orphans = [await tables.create(), await tables.create()] as const;
    const [silent, gone] = [...state.acceptors.values()] as unknown as [AcceptorServer, AcceptorServer];
    const [has, remove] = [tables.has.bind(tables), tables.delete.bind(tables)];
    const isSilent = ({ id }: Pick<AcceptorServer, "id">) => [silent.id, orphans[0].id].includes(id);
    tables.has = async (table) => (isSilent(table) ? fail() : has(table));
    tables.delete = async (table: AcceptorServer) => (isSilent(table) ? fail() : remove(table));
    await remove(gone);
    await expect(swept()).rejects.toThrow("killed; killed");
    expect(state.acceptors.get(gone.id)?.state).toBe("retired");
    expect(databases()).toEqual(
      [silent, orphans[0]].map(({ location }) => location.slice(folder.length + 1)).sort(),
    );
  });

  it("that is spare and gone to nobody else is reported once", async () => {
    await handle("o1");
    const process = "a".repeat(32) as ProcessId;
    for (const id of ["leader-1", "leader-2"])
      say({ type: "registerLeader", leader: { id, process, address: "", publicKey: keyOf(id) } });
    tables.has = async () => false;
    const said: string[] = [];
    before = ({ type }) => void said.push(type);
    for (let day = 0; day < 3; day++) await swept();
    expect(said).toEqual(["suspectAcceptor"]);
    expect([...state.acceptors.values()]).toMatchObject([{ state: "spare" }]);
  });
});

describe("a table that is not ready at once", () => {
  let looks: number;
  let readyAt: number;
  const made: AcceptorServer[] = [];
  /** Everything that was sent, as if it were received once. */
  const drain = async () => {
    for (let body = sent.shift(); body !== undefined; body = sent.shift()) await provisioner().handle(body);
  };

  beforeEach(() => {
    [looks, readyAt] = [0, 3];
    made.length = 0;
    tables.isReady = async () => ++looks >= readyAt;
    const create = tables.create.bind(tables);
    tables.create = async () => {
      const table = await create();
      made.push(table);
      return table;
    };
  });

  it("is looked at again with a message of its own, and recorded when it is ready", async () => {
    await handle("o1");
    expect([state.acceptors.size, sent.length]).toEqual([0, 1]);
    await drain();
    expect([looks, made.length, recorded(), state.outbox.size]).toEqual([3, 1, databases(), 0]);
  });

  it("is one of several when the sweeper asks for it again meanwhile, and the others go", async () => {
    await handle("o1");
    await handle("o1");
    expect([made.length, databases().length]).toEqual([2, 2]);
    await drain();
    expect([recorded(), state.outbox.size]).toEqual([databases(), 0]);
  });

  it("is left alone once it was swept away", async () => {
    await handle("o1");
    await swept();
    expect(databases()).toEqual([]);
    const [, resent] = sent.splice(0) as [string, string];
    const [waiting] = [JSON.stringify({ format: 1, request: "o1", table: { acceptor: made[0], looks: 1 } })];
    await provisioner().handle(waiting);
    expect(state.acceptors.size).toBe(0);
    await provisioner().handle(resent);
    await drain();
    expect([made.length, recorded()]).toEqual([2, databases()]);
  });

  it("is given up after five minutes, and another one made for the same request", async () => {
    readyAt = Number.POSITIVE_INFINITY;
    await handle("o1");
    await drain();
    expect([looks, databases(), state.former.size, state.outbox.size]).toEqual([150, [], 1, 1]);
    readyAt = 0;
    await swept();
    await drain();
    expect([made.length, recorded()]).toEqual([2, databases()]);
  });

  it("is not deleted because a message says so that nobody sent", async () => {
    readyAt = 0;
    await handle("o1");
    const forged = { ...(made[0] as AcceptorServer), incarnation: "f".repeat(32) };
    for (const looks of [0, 1_000])
      await provisioner().handle(
        JSON.stringify({ format: 1, request: "o1", table: { acceptor: forged, looks } }),
      );
    expect(databases()).toEqual(recorded());
  });
});

/** A process that dies at its `last` step: before that has its effect, or after it and before it is known. */
function mortal(last: number, isAfter: boolean): { by: Provisioner; steps: () => number } {
  let steps = 0;
  const step = async <Result>(act: () => Promise<Result>): Promise<Result> => {
    steps++;
    if (steps > last || (steps === last && !isAfter)) fail();
    const result = await act();
    if (steps === last) fail();
    return result;
  };
  const by = new Provisioner({
    registry: {
      command: (command: RegistryCommand) => step(() => registry.command(command)),
      provisioning: () => step(() => registry.provisioning()),
    } as RegistryClient,
    tables: {
      create: () => step(() => tables.create()),
      isReady: (table) => step(() => tables.isReady(table)),
      delete: (table) => step(() => tables.delete(table)),
      has: (table) => tables.has(table),
      list: (except) => tables.list(except),
    },
    launcher,
    queue,
    carriedOut,
  });
  return { by, steps: () => steps };
}

describe("a provisioner that dies", () => {
  it.each([false, true])(
    "at any step (after its effect: %s) leaves nothing that is not put right",
    async (isAfter) => {
      for (let last = 1, isOver = false; !isOver; last++) {
        state = initialRegistry();
        folder = temporaryFolder();
        tables = new SqliteTables(folder);
        await retireOne();
        say({ type: "configure", spares: 1 });
        const orders = [...state.outbox.keys()];
        expect(orders).toHaveLength(2);
        const { by, steps } = mortal(last, isAfter);
        for (const request of orders) await handle(request, by).catch(() => {});
        isOver = steps() < last;
        for (const request of orders) await handle(request);
        await swept();
        expect([last, state.outbox.size, databases()]).toEqual([last, 0, recorded()]);
        expect(files().filter((name) => !name.includes(".sqlite"))).toEqual([]);
      }
    },
  );
});

describe("a leader process", () => {
  const register = (id: string) =>
    say({
      type: "registerLeader",
      leader: { id, process: "a".repeat(32) as ProcessId, address: "http://x", publicKey: keyOf(id) },
    });

  beforeEach(() => {
    state = initialRegistry();
    say({ type: "configure", spares: 0 });
  });

  it("is started, and the request is done when it has registered itself", async () => {
    say({ type: "startLeader", nonce: "n" });
    await handle("o1");
    expect([...running, ...state.outbox.keys()]).toEqual(["leader-1", "o1"]);
    register("leader-1");
    expect(state.outbox.size).toBe(0);
    running.clear();
    // A copy that comes late starts nothing.
    await handle("o1");
    expect([...running]).toEqual([]);
  });

  it("is stopped when it is retired", async () => {
    register("leader-1");
    running.add("leader-1");
    say({ type: "retireLeader", leader: "leader-1" });
    for (let copy = 0; copy < 2; copy++) await handle("o1");
    expect([running.size, state.outbox.size, state.leaders.size]).toEqual([0, 0, 0]);
  });

  const registerTask = (task: string) => {
    const { leader } = say({ type: "claimLeader", task }) as { leader: string };
    const process = "a".repeat(32) as ProcessId;
    const record = { id: leader, process, address: "http://x", publicKey: keyOf(leader), task };
    say({ type: "registerLeader", leader: record });
    return leader;
  };

  it("is one of so many as live or are on their way, for a launcher that counts", async () => {
    const wanted: number[] = [];
    const counting = { ...launcher, start: async (_: string, count: number) => void wanted.push(count) };
    const by = new Provisioner({ ...{ tables, queue, carriedOut }, ...provisionerOf(counting) });
    say({ type: "configure", leaders: 2 });
    for (const request of ["o1", "o2"]) await handle(request, by);
    registerTask("task/a");
    say({ type: "claimLeader", task: "task/b" });
    say({ type: "claimLeader", task: "task/c" });
    await handle("o2", by);
    registerTask("task/b");
    say({ type: "retireLeader", leader: "leader-1" });
    say({ type: "startLeader", nonce: "one more" });
    await handle("o4", by);
    expect(wanted).toEqual([2, 2, 3, 3]);
  });

  it("is stopped by its task", async () => {
    const leader = registerTask("task/a");
    running.add("task/a").add("task/b");
    say({ type: "retireLeader", leader });
    await handle("o1");
    expect([...running, state.leaders.size]).toEqual(["task/b", 0]);
  });

  it("whose task has ended is retired by the sweeper, also one that never registered; others stay", async () => {
    say({ type: "configure", leaders: 3 });
    for (const task of ["task/a", "task/b"]) registerTask(task);
    for (const task of ["task/c", "task/d"]) say({ type: "claimLeader", task });
    register("leader-9");
    running.add("task/b").add("task/c");
    await swept();
    expect(ended.sort()).toEqual(["leader-1", "leader-4"]);
    const live = [...state.leaders.values()].filter((each) => each.state === "live").map(({ id }) => id);
    expect(live.sort()).toEqual(["leader-2", "leader-9"]);
    expect([...state.claims.keys()]).toEqual(["task/a", "task/b", "task/c"]);
    ended = [];
    await swept();
    expect(ended).toEqual([]);
  });

  it("is looked after while tables cannot be listed", async () => {
    registerTask("task/a");
    say({ type: "startLeader", nonce: "n" });
    tables.list = () => Promise.reject(new Error("the Region does not answer"));
    await expect(swept()).rejects.toThrow("the Region does not answer");
    expect([ended, sent.length]).toEqual([["leader-1"], 1]);
  });

  it("that was started late is stopped by the sweeper", async () => {
    register("leader-1");
    say({ type: "retireLeader", leader: "leader-1" });
    await handle("o1");
    running.add("leader-1").add("leader-2");
    await swept();
    expect([...running]).toEqual(["leader-2"]);
  });
});

describe("messages", () => {
  it.each([
    "",
    "{",
    "null",
    '{"format":2,"request":"o1"}',
    '{"format":1}',
    '{"format":1,"request":"o1","table":"p-1"}',
    '{"format":1,"request":"o1","table":{"acceptor":{"id":"p-1"},"looks":1}}',
  ])("that nobody sent (%j) are refused", async (body) => {
    await expect(provisioner().handle(body)).rejects.toThrow(/a message of the queue/);
  });

  it("for what is not in the outbox are done", async () => {
    await handle("o99");
    expect(files()).toEqual([]);
  });

  it("are sent once by each process, and again by the sweeper", async () => {
    const relay = new OutboxRelay({ queue, drainMs: 0 });
    await relay.relay(state.outbox);
    await relay.relay(state.outbox);
    expect(sent).toEqual([messageFor("o1")]);
    await swept();
    expect(sent).toEqual([messageFor("o1"), messageFor("o1")]);
    say({ type: "startLeader", nonce: "n" });
    await relay.relay(state.outbox);
    expect(sent.slice(2)).toEqual([messageFor("o2")]);
  });

  it("that could not be sent are sent with the next ones", async () => {
    let isFull = true;
    const full: Queue = { ...queue, send: async (body) => (isFull ? fail() : void sent.push(body)) };
    const relay = new OutboxRelay({ queue: full, drainMs: 0 });
    await expect(relay.relay(state.outbox)).rejects.toThrow("killed");
    isFull = false;
    await relay.relay(state.outbox);
    expect(sent).toEqual([messageFor("o1")]);
  });

  it("about a retired table wait until nothing can reach that any more", async () => {
    const delays: (number | undefined)[] = [];
    const noting: Queue = { ...queue, send: async (_, delayMs) => void delays.push(delayMs) };
    await retireOne();
    await new OutboxRelay({ queue: noting, drainMs: 900_000 }).relay(state.outbox);
    expect(delays).toEqual([900_000]);
  });

  it("that cannot be handled hold no other one up", async () => {
    const messages: Message[] = ["poison", messageFor("o1")].map((body) => ({ body, receipt: body }));
    const deleted: string[] = [];
    const stopping = new AbortController();
    const fed: Queue = {
      ...queue,
      receive: () => sleep(1, messages.splice(0)),
      delete: async (receipt) => void deleted.push(receipt),
    };
    const reported: unknown[] = [];
    const by = provisioner();
    const handleBody = (body: string) => by.handle(body);
    const serving = serveQueue(fed, handleBody, (error) => reported.push(error), stopping.signal);
    await until(() => deleted.length > 0 && reported.length > 0);
    stopping.abort();
    await serving;
    expect([deleted, reported.length]).toEqual([[messageFor("o1")], 1]);
    expect(databases()).toEqual(recorded());
  });
});
