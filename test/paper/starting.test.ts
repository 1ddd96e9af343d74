/** Slides "Initial configuration" and "Finding the state machine". */
import { beforeEach, describe, expect, it } from "vitest";
import type { MachineId } from "../../shared/protocol/configuration.ts";
import { Founding, type FoundingEffect } from "../../shared/protocol/founding.ts";
import {
  applyRegistry,
  initialRegistry,
  type Location,
  lookup,
  type RegistryCommand,
  type RegistryState,
} from "../../shared/protocol/registry.ts";
import { Refusal } from "../../shared/protocol/replica.ts";
import { MACHINE_GEOMETRY } from "../../shared/protocol/slot.ts";
import { CONTEXT } from "../support/endorsing.ts";
import { acceptors, Bench } from "./support.ts";

const MACHINE = "bank/main" as MachineId;
const apply = (to: RegistryState, command: RegistryCommand): unknown => applyRegistry(to, command, CONTEXT);

let registry: RegistryState;
let bench: Bench;

beforeEach(() => {
  registry = initialRegistry();
  for (const id of acceptors("S1", "S2", "S3", "S4"))
    apply(registry, {
      type: "registerAcceptor",
      acceptor: { id, kind: "memory", location: `at ${id}`, incarnation: `${id}-born` },
    });
  bench = new Bench({ isFounded: false });
});

/** One who starts a machine with its friends, as far as a test lets it. */
class Friend {
  location: Location | undefined;
  #founding: Founding | undefined;
  #effects: FoundingEffect[] = [];

  register(): Location {
    this.location = apply(registry, {
      type: "registerMachine",
      machine: MACHINE,
      acceptors: 3,
    }) as Location;
    return this.location;
  }

  /** The next of its `create`s reaches its table and is answered; false: there are no more. */
  foundSome(): boolean {
    if (this.#founding === undefined) {
      this.#founding = new Founding((this.location as Location).configuration, MACHINE_GEOMETRY);
      this.#effects.push(...this.#founding.step({ input: "found" }));
    }
    const index = this.#effects.findIndex(({ effect }) => effect === "ask");
    const [ask] = index === -1 ? [] : this.#effects.splice(index, 1);
    if (ask?.effect !== "ask") return false;
    const outcomes = ask.verbs.map((verb) => bench.table(ask.of).execute(verb));
    this.#effects.push(...this.#founding.step({ input: "outcome", request: ask.request, outcomes }));
    return true;
  }

  found(): readonly FoundingEffect[] {
    while (this.foundSome());
    return this.#effects;
  }

  complete(): unknown {
    const number = (this.location as Location).configuration.number;
    return apply(registry, { type: "complete", machine: MACHINE, configuration: number });
  }
}

describe('"It\'s easy for any process to try starting up a state machine with its friends"', () => {
  it("and friends who try at once get the same one", () => {
    const [alice, bob] = [new Friend(), new Friend()];
    expect(alice.register()).toEqual(bob.register());
    while ([alice.foundSome(), bob.foundSome()].includes(true));
    expect(alice.found()).toEqual(bob.found());
    expect(alice.found()).toEqual([{ effect: "founded", on: ["S1", "S2", "S3"] }]);
    expect([alice.complete(), bob.complete()]).toEqual([{ activated: true }, { activated: true }]);
    expect(registry.machines.get(MACHINE)?.history).toEqual([1]);
    const leader = bench.leader("S1", 1);
    leader.propose("B1");
    leader.exchange();
    expect(leader.executed).toEqual(["1: B1"]);
  });

  it("however late one is: founding again takes nothing back", () => {
    const [alice, bob] = [new Friend(), new Friend()];
    alice.register();
    bob.register();
    alice.found();
    alice.complete();
    const leader = bench.leader("S1", 1);
    leader.propose("B1", "A1");
    leader.exchange();
    const before = bench.contents;
    expect(bob.found()).toEqual([{ effect: "founded", on: ["S1", "S2", "S3"] }]);
    expect(bob.complete()).toEqual({ activated: true });
    expect(bench.contents).toEqual(before);
  });
});

describe('"It or a friend may not know if the start-up succeeded, but it can search for the state machine"', () => {
  it("one that got no reply finds out, before and after", () => {
    const alice = new Friend();
    expect(lookup(registry, MACHINE)).toBeUndefined();
    alice.register();
    expect(lookup(registry, MACHINE)).toMatchObject({ active: false });
    alice.found();
    alice.complete();
    expect(lookup(registry, MACHINE)).toEqual({ ...alice.location, active: true });
  });

  it.each([0, 1, 2, 3])("one that died after %d of its messages is finished by its friend", (messages) => {
    const [alice, bob] = [new Friend(), new Friend()];
    alice.register();
    for (let sent = 0; sent < messages; sent++) expect(alice.foundSome()).toBe(true);
    expect(bob.register()).toEqual(alice.location);
    expect(bob.found()).toEqual([{ effect: "founded", on: ["S1", "S2", "S3"] }]);
    expect(bob.complete()).toEqual({ activated: true });
    expect(lookup(registry, MACHINE)?.active).toBe(true);
    expect(bench.leader("S1", 1).leader.serving).toBe(true);
  });

  it("asking again for what succeeded is the same answer, even for other numbers of friends", () => {
    const [alice, bob] = [new Friend(), new Friend()];
    alice.register();
    alice.found();
    alice.complete();
    expect(bob.register()).toEqual({ ...alice.location, active: true });
    const more = apply(registry, { type: "registerMachine", machine: MACHINE, acceptors: 4 });
    expect(more).toEqual(bob.location);
  });
});

describe('"Finding the state machine … They use a trusted central service"', () => {
  it("which says where it is: its configuration, and each server's place", () => {
    new Friend().register();
    expect(lookup(registry, MACHINE)).toEqual({
      configuration: {
        number: 1,
        previous: 0,
        quorums: {
          acceptors: ["S1", "S2", "S3"],
          witnesses: [],
          read: { atLeast: 2 },
          write: { atLeast: 2 },
        },
      },
      active: false,
      acceptors: ["S1", "S2", "S3"].map((id) => ({
        id,
        kind: "memory",
        location: `at ${id}`,
        incarnation: `${id}-born`,
      })),
    });
  });

  it("knows no machine that nobody started, and starts none by being asked", () => {
    expect(lookup(registry, "bank/other" as MachineId)).toBeUndefined();
    const completed = apply(registry, {
      type: "complete",
      machine: MACHINE,
      configuration: 1 as never,
    });
    expect(completed).toBeInstanceOf(Refusal);
    expect(registry.machines.size).toBe(0);
  });

  it("is itself a state machine: the same commands make the same registry", () => {
    const again = initialRegistry();
    for (const acceptor of registry.acceptors.values()) apply(again, { type: "registerAcceptor", acceptor });
    const command = { type: "registerMachine", machine: MACHINE, acceptors: 3 } as const;
    expect(apply(again, command)).toEqual(apply(registry, command));
    expect(again).toEqual(registry);
  });
});
