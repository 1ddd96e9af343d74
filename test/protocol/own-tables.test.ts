import { beforeEach, describe, expect, it } from "vitest";
import type { MachineId } from "../../shared/protocol/configuration.ts";
import { outstanding } from "../../shared/protocol/outbox.ts";
import { ownAcceptors } from "../../shared/protocol/own-tables.ts";
import { type AcceptorId, majority } from "../../shared/protocol/quorum.ts";
import {
  type AcceptorServer,
  applyRegistry,
  initialRegistry,
  type RegistryCommand,
  type RegistryState,
} from "../../shared/protocol/registry.ts";
import { Refusal } from "../../shared/protocol/replica.ts";
import { CONTEXT } from "../support/endorsing.ts";

let state: RegistryState;

const ids = (text: string) => text.split("") as AcceptorId[];
const server = (id: string): AcceptorServer => ({
  id: id as AcceptorId,
  kind: "sqlite",
  location: `${id}.db`,
  incarnation: `${id}-born`,
});
const say = (command: RegistryCommand): unknown => applyRegistry(state, command, CONTEXT);
const adopt = (names: string, configuration: number) =>
  ids(names).map((id) => say({ type: "adoptAcceptor", acceptor: server(id), configuration }));
const install = (configuration: number, names: string) =>
  say({ type: "installed", configuration, acceptors: ids(names) });
const suspect = (id: string, why: "gone" | "silent" | "slow" = "gone") =>
  say({ type: "suspectAcceptor", acceptor: id as AcceptorId, by: "registry", why });
const own = () =>
  ownAcceptors(state)
    .map(({ id }) => id)
    .sort()
    .join("");
const deleted = () =>
  outstanding(state, "deleteAcceptor")
    .map(({ acceptor }) => acceptor.id)
    .join("");

function spare(id: string): void {
  const [order] = outstanding(state, "createAcceptor");
  say({ type: "provisioned", request: order?.request as string, acceptor: server(id) });
}

beforeEach(() => {
  state = initialRegistry();
  adopt("rst", 1);
  say({ type: "configure", spares: 1 });
  spare("x");
});

describe("the registry's own tables", () => {
  it("come from the spares, and another spare is ordered", () => {
    expect(outstanding(state, "createAcceptor")).toEqual([]);
    adopt("xst", 2);
    expect(own()).toBe("rstx");
    expect(outstanding(state, "createAcceptor")).toHaveLength(1);
  });

  it("serve no machine, and are none that do or are about to", () => {
    for (const id of ids("abc")) say({ type: "registerAcceptor", acceptor: server(id) });
    const machine = "m/1" as MachineId;
    const propose = (names: string) =>
      say({
        type: "propose",
        machine,
        quorums: majority(ids(names)),
        nonce: names,
        reason: { operator: "ada" },
      });
    say({ type: "registerMachine", machine, acceptors: 3 });
    say({ type: "complete", machine, configuration: 1 as never });
    expect(propose("abr")).toEqual(new Refusal("r is the registry's own"));
    expect(adopt("a", 2)).toEqual([
      new Refusal("a is active: the registry takes spares, which serve no machine"),
    ]);
    propose("abx");
    expect(adopt("x", 2)).toEqual([
      new Refusal("x is about to serve a machine: the registry takes spares, which serve none"),
    ]);
  });

  it("are deleted once a configuration is installed that does without them, and never come back", () => {
    adopt("xst", 2);
    expect(deleted()).toBe("");
    install(2, "xst");
    expect([own(), deleted()]).toEqual(["stx", "r"]);
    expect(adopt("r", 3)[0]).toBeInstanceOf(Refusal);
    install(2, "xst");
    expect(deleted()).toBe("r");
  });

  it("stay when somebody says late that an older configuration is installed", () => {
    adopt("xst", 2);
    install(1, "rst");
    expect([own(), deleted()]).toEqual(["rstx", ""]);
    spare("y");
    adopt("yst", 3);
    install(2, "xst");
    expect([own(), deleted()]).toEqual(["stxy", "r"]);
    adopt("yst", 2);
    install(2, "xst");
    expect([own(), deleted()]).toEqual(["stxy", "r"]);
  });
});

describe("one of them that is lost", () => {
  it("has a spare ordered, until another one is adopted for its place", () => {
    say({ type: "configure", spares: 0 });
    adopt("xst", 2);
    install(2, "xst");
    expect(outstanding(state, "createAcceptor")).toEqual([]);
    expect(suspect("s")).toEqual({ suspected: true });
    const ordered = outstanding(state, "createAcceptor");
    expect(ordered).toHaveLength(1);
    expect(suspect("s")).toEqual({ suspected: true });
    expect(outstanding(state, "createAcceptor")).toEqual(ordered);
    spare("y");
    adopt("xyt", 3);
    install(3, "xyt");
    expect([own(), deleted()]).toEqual(["txy", "rs"]);
    expect(outstanding(state, "createAcceptor")).toEqual([]);
  });

  it("is not suspected beside another one, or too often, unless it is gone for good", () => {
    expect(suspect("r", "silent")).toEqual({ suspected: true });
    expect(suspect("s", "silent")).toEqual({
      suspected: false,
      reason: "another of the registry's own tables is being replaced",
    });
    expect(suspect("s", "gone")).toEqual({ suspected: true });
    say({ type: "configure", replacements: 1 });
    adopt("x", 2);
    install(2, "xt");
    expect(suspect("t", "slow")).toMatchObject({
      suspected: false,
      reason: expect.stringMatching(/^1 were/),
    });
  });
});
