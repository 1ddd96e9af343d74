/** What holds of the registry's pool whatever is said to it, and however often. */
import fc from "fast-check";
import { expect } from "vitest";
import type { ConfigurationNumber, ProcessId } from "../../shared/protocol/ballot.ts";
import type { MachineId } from "../../shared/protocol/configuration.ts";
import { outstanding } from "../../shared/protocol/outbox.ts";
import { type AcceptorId, majority, primaryBackup } from "../../shared/protocol/quorum.ts";
import {
  type AcceptorServer,
  applyRegistry,
  initialRegistry,
  type RegistryCommand,
} from "../../shared/protocol/registry.ts";
import { Refusal } from "../../shared/protocol/replica.ts";
import { CONTEXT, keyOf } from "../support/endorsing.ts";
import { forAll } from "./for-all.ts";

const server = (id: string): AcceptorServer => ({
  id: id as AcceptorId,
  kind: "sqlite",
  location: `${id}.db`,
  incarnation: `${id}-born`,
});

/** Endorsements are another test's. */
const OVERRIDE = { operator: "ada", reason: "no leaders here" };

interface Own {
  readonly number: number;
  readonly acceptors: readonly AcceptorId[];
}

class Registry {
  readonly state = initialRegistry();
  time = 0;
  #unique = 0;
  /** Said and answered, and not to be heard a second time. */
  readonly #once: RegistryCommand[] = [];
  readonly #former = new Set<string>();
  /** The registry's own configurations, as its log has them; and those that may yet be. */
  readonly #registry: Own[] = [{ number: 1, acceptors: [] }];
  readonly #asked: Own[] = [];

  say(command: RegistryCommand, isSaidOnce = true): unknown {
    const answer = applyRegistry(this.state, command, { ...CONTEXT, time: this.time });
    this.#check();
    const after = structuredClone(this.state);
    expect(applyRegistry(this.state, command, { ...CONTEXT, time: this.time })).toEqual(answer);
    expect(this.state).toEqual(after);
    if (isSaidOnce && !(answer instanceof Refusal)) this.#once.push(command);
    return answer;
  }

  /** A copy of what was said long ago comes in late. */
  repeat(choice: number): void {
    const command = this.#pick(this.#once, choice);
    if (command === undefined) return;
    const before = structuredClone(this.state);
    applyRegistry(this.state, command, { ...CONTEXT, time: this.time });
    expect(this.state).toEqual(before);
  }

  do(action: number, choice: number, other: number): void {
    const { acceptors, claims, machines, leaders } = this.state;
    const unique = ++this.#unique;
    const machine = `m/${choice % 3}` as MachineId;
    const acceptor = this.#pick([...acceptors.keys()], choice);
    switch (action) {
      case 0:
        return void this.say({ type: "registerAcceptor", acceptor: server(`a${unique}`) }, false);
      case 1:
        return void this.say({ type: "registerMachine", machine, acceptors: 1 + (other % 3) });
      case 2: {
        const present = machines.get(machine);
        const pool = [...acceptors.keys()];
        const count = 1 + (other % 3);
        const chosen = Array.from(
          { length: count },
          (_, index) => pool[(choice + index * (1 + (other % 2))) % pool.length],
        );
        const quorums = (other % 5 === 0 ? primaryBackup : majority)([...new Set(chosen)] as AcceptorId[]);
        if (present !== undefined && pool.length > 0)
          this.say({ type: "propose", machine, quorums, nonce: `n${unique}`, reason: OVERRIDE }, false);
        return;
      }
      case 3: {
        const configuration = this.#pick([...(machines.get(machine)?.configurations.keys() ?? [])], other);
        if (configuration !== undefined)
          this.say({
            type: "complete",
            machine,
            configuration: configuration as ConfigurationNumber,
            override: OVERRIDE,
          });
        return;
      }
      case 4: {
        if (acceptor === undefined) return;
        if (other % 4 === 3) return void this.say({ type: "clearAcceptor", acceptor, by: "l" }, false);
        const why = (["gone", "slow", "silent"] as const)[other % 3] as "gone";
        const answer = this.say({ type: "suspectAcceptor", acceptor, by: "l", why }, false);
        expect(answer).toHaveProperty("suspected");
        return;
      }
      case 5: {
        const request = this.#pick(outstanding(this.state, "createAcceptor"), choice);
        if (request === undefined) return;
        // Two provisioners: one wins, and the other one hears so.
        const said = [`s${unique}`, `t${unique}`].map((id) =>
          this.say({ type: "provisioned", request: request.request, acceptor: server(id) }),
        );
        expect(said).toEqual([{ recorded: true }, { recorded: false }]);
        return;
      }
      case 6: {
        const orders = [
          ...outstanding(this.state, "deleteAcceptor"),
          ...outstanding(this.state, "stopLeader"),
        ];
        const request = this.#pick(orders, choice);
        if (request !== undefined) this.say({ type: "done", request: request.request });
        return;
      }
      case 7:
        return void this.say(
          { type: "configure", spares: other % 3, leaders: choice % 3, acceptors: (choice + other) % 5 },
          false,
        );
      case 8:
        return void this.say({ type: "startLeader", nonce: `n${unique}` });
      case 9: {
        const awaited = outstanding(this.state, "startLeader").map(({ leader }) => leader);
        const id = this.#pick([...awaited, ...claims.values()], choice) ?? `l${unique}`;
        const process = String(unique).padStart(32, "0") as ProcessId;
        return void this.say(
          { type: "registerLeader", leader: { id, process, address: "http://x", publicKey: keyOf(id) } },
          false,
        );
      }
      case 10: {
        const leader = this.#pick([...leaders.keys()], choice);
        if (leader !== undefined) this.say({ type: "retireLeader", leader });
        return;
      }
      case 11:
        return void this.say({ type: "disown", acceptor: `s${unique - other}` as AcceptorId }, false);
      case 12:
        this.time += other * 30_000;
        return;
      case 13:
        return this.#adopt(choice, other);
      case 14: {
        // The registry's log: the reconfiguration is void unless it was asked for in the current configuration.
        const asked = this.#pick(this.#asked, choice);
        if (asked?.number === this.#newest.number + 1) this.#registry.push(asked);
        return;
      }
      case 15: {
        const { number, acceptors } = this.#pick(this.#registry, choice) as Own;
        return void this.say({ type: "installed", configuration: number, acceptors }, false);
      }
      case 16:
        return this.#claim(`t${unique % 5}`);
      default:
        return this.repeat(choice);
    }
  }

  #claim(task: string): void {
    const before = new Map(this.state.claims);
    const { leader } = this.say({ type: "claimLeader", task }, false) as { leader: string };
    expect(this.#former.has(leader)).toBe(false);
    const others = [...before].filter(([each]) => each !== task).map(([, claimed]) => claimed);
    expect(others).not.toContain(leader);
    if (before.has(task)) expect(before.get(task)).toBe(leader);
    else expect(this.state.leaders.has(leader)).toBe(false);
  }

  /** For the next configuration of the registry, or for an older one, by somebody who does not know better. */
  #adopt(choice: number, other: number): void {
    const number = Math.max(2, this.#newest.number + 1 - (other % 3));
    const pool = [...this.state.acceptors.values()].filter(
      ({ state }) => state === "spare" || state === "own" || other % 7 === 0,
    );
    const chosen = [0, 1, 2].flatMap((index) => this.#pick(pool, choice + index) ?? []);
    const acceptors = [...new Set(chosen.map(({ id }) => id))];
    const answers = acceptors.map((id) =>
      this.say({ type: "adoptAcceptor", acceptor: server(id), configuration: number }),
    );
    if (!answers.some((answer) => answer instanceof Refusal)) this.#asked.push({ number, acceptors });
  }

  get #newest(): Own {
    return this.#registry.at(-1) as Own;
  }

  #pick<Each>(from: readonly Each[], choice: number): Each | undefined {
    return from[choice % from.length];
  }

  #check(): void {
    const { acceptors, claims, former, leaders, machines, outbox, settings } = this.state;
    for (const id of this.#former) {
      expect(former.has(id)).toBe(true);
      expect(acceptors.has(id as AcceptorId) || leaders.has(id)).toBe(false);
    }
    for (const id of former) this.#former.add(id);
    for (const id of this.#newest.acceptors) expect([id, acceptors.get(id)?.state]).toEqual([id, "own"]);
    for (const [machine, { active, configurations }] of machines)
      for (const { number, previous, quorums } of configurations.values())
        if (number === active || previous === active)
          for (const id of quorums.acceptors)
            expect([machine, id, acceptors.get(id)?.state]).not.toEqual([
              machine,
              id,
              expect.toBeOneOf(["retired", "own", undefined]),
            ]);
    const records = [...acceptors.values()];
    const spares = records.filter(({ state }) => state === "spare").length;
    expect(spares + outstanding(this.state, "createAcceptor").length).toBeGreaterThanOrEqual(settings.spares);
    const active = records.filter(({ state }) => state === "active").length;
    expect(active + spares + outstanding(this.state, "createAcceptor").length).toBeGreaterThanOrEqual(
      settings.spares + (settings.acceptors ?? 0),
    );
    const live = [...leaders.values()].filter(({ state }) => state === "live").length;
    const awaited = new Set([
      ...outstanding(this.state, "startLeader").map(({ leader }) => leader),
      ...[...claims.values()].filter((id) => !leaders.has(id)),
    ]);
    expect(live + awaited.size).toBeGreaterThanOrEqual(settings.leaders ?? 0);
    for (const id of [...claims.values(), ...awaited]) expect(former.has(id)).toBe(false);
    expect(new Set(claims.values()).size).toBe(claims.size);
    // Of the retired, and only of those, there is an order to delete them.
    const orders = [...outbox.values()].flatMap((each) =>
      each.type === "deleteAcceptor" ? [each.acceptor.id] : [],
    );
    expect(orders.sort()).toEqual(
      records
        .filter(({ state }) => state === "retired")
        .map(({ id }) => id)
        .sort(),
    );
    const replacements = records.flatMap(({ replacement }) => replacement ?? []);
    expect(new Set(replacements).size).toBe(replacements.length);
    for (const id of replacements) expect(acceptors.get(id)?.state).toBe("active");
  }
}

const action = fc.tuple(fc.nat(18), fc.nat(20), fc.nat(20));

forAll(
  "what is in use is never retired, ids are never used again, spares are kept, and what is said again changes nothing",
  [fc.array(action, { minLength: 10, maxLength: 120 })],
  (actions) => {
    const registry = new Registry();
    for (const id of ["x", "y", "z"]) registry.say({ type: "registerAcceptor", acceptor: server(id) }, false);
    for (const [which, choice, other] of actions) registry.do(which, choice, other);
  },
);
