/** A command that nobody would say must be refused at the edge: in the log it would be there for good. */
import { describe, expect, it, test } from "vitest";
import { Forbidden, Invalid } from "../../shared/errors.ts";
import { type AcceptorId, majority } from "../../shared/protocol/quorum.ts";
import type { LeaderServer } from "../../shared/protocol/registry.ts";
import { registration } from "../../shared/runtime/fleet/register-leader.ts";
import { registryCommandOf } from "../../shared/runtime/registry/registry-commands.ts";
import { newSigner } from "../../shared/runtime/signing.ts";

const ACCEPTOR = { id: "a1-0f", kind: "sqlite", location: "/tables/a1", incarnation: "0f" };
const QUORUMS = majority(["a", "b", "c"] as AcceptorId[]);
const SIGNER = newSigner();
const LEADER = {
  id: "leader-1",
  process: "0".repeat(32),
  address: "http://127.0.0.1:1",
  publicKey: SIGNER.publicKey,
} as LeaderServer;
const TASK = { ...LEADER, task: "arn:aws:ecs:us-east-1:1:task/theseus-a/0f" };

const GOOD: readonly object[] = [
  { type: "registerMachine", machine: "bank/main" },
  { type: "registerMachine", machine: "bank/main", acceptors: 3 },
  { type: "registerAcceptor", acceptor: ACCEPTOR },
  registration(LEADER, SIGNER),
  registration(TASK, SIGNER),
  { type: "propose", machine: "bank/main", quorums: QUORUMS, nonce: "0f", reason: { operator: "ada" } },
  {
    type: "propose",
    machine: "bank/main",
    quorums: {
      ...QUORUMS,
      read: { atLeast: 2, weights: { a: 1 } },
      write: {
        sets: [
          ["a", "b"],
          ["b", "c"],
        ],
      },
    },
    nonce: "0f",
    reason: { suspects: ["a"] },
  },
  { type: "complete", machine: "bank/main", configuration: 1 },
  {
    type: "complete",
    machine: "bank/main",
    configuration: 2,
    endorsements: [
      {
        leader: "leader-1",
        machine: "bank/main",
        previous: 1,
        configuration: 2,
        expires: 3,
        signature: "s",
      },
    ],
    override: { operator: "ada", reason: "the others burnt" },
  },
  { type: "suspectAcceptor", acceptor: "a", by: "leader-1", why: "gone" },
  { type: "clearAcceptor", acceptor: "a", by: "leader-1" },
  { type: "configure", spares: 0 },
  { type: "configure", acceptors: 3 },
  { type: "configure", machines: { mode: "witness", acceptors: 3 } },
  { type: "configure", machines: { mode: "quorums", acceptors: 4, read: 2, write: 3 } },
  { type: "configure" },
  { type: "configure", endorsements: "auto" },
  { type: "configure", endorsements: 2 },
  { type: "startLeader", nonce: "0f" },
  { type: "claimLeader", task: "arn:aws:ecs:us-east-1:1:task/theseus-a/0f" },
  { type: "retireLeader", leader: "leader-1" },
  { type: "revokeLeader", leader: "leader-1" },
  { type: "provisioned", request: "o1", acceptor: ACCEPTOR },
  { type: "done", request: "o1" },
  { type: "disown", acceptor: "a" },
  { type: "adoptAcceptor", acceptor: ACCEPTOR, configuration: 2 },
];

test.each(GOOD)("takes %j as it is", (command) => {
  expect(registryCommandOf(command)).toEqual(command);
});

describe("a leader's registration", () => {
  it.each<[string, Partial<LeaderServer>]>([
    ["another's key", { publicKey: newSigner().publicKey }],
    ["what is no key", { publicKey: "k".repeat(43) }],
    ["another address", { address: "https://10.0.0.9:4600/" }],
    ["another id", { id: "leader-2" }],
    ["another task", { task: "task/2" }],
  ])("for %s than its key signed for is refused", (_, change) => {
    const { proof } = registration(LEADER, SIGNER) as { proof: string };
    const command = { type: "registerLeader", leader: { ...LEADER, ...change }, proof };
    expect(() => registryCommandOf(command)).toThrow(Forbidden);
  });

  it("without a proof is refused", () => {
    expect(() => registryCommandOf({ type: "registerLeader", leader: LEADER })).toThrow("has no proof");
  });
});

/** What is of no form anywhere. */
const GARBAGE: readonly unknown[] = [null, [], {}, "", "__proto__", "../..", -1, 1.5, 1e308, true, ["a", 1]];

/** Every field of a command, also within others, with garbage in its place, or left out. */
function* spoilt(value: unknown): Generator<unknown> {
  yield* GARBAGE;
  if (typeof value !== "object" || value === null) return;
  for (const [key, each] of Object.entries(value)) {
    for (const bad of spoilt(each))
      yield Array.isArray(value) ? value.with(Number(key), bad) : { ...value, [key]: bad };
    if (!Array.isArray(value))
      yield Object.fromEntries(Object.entries(value).filter(([name]) => name !== key));
  }
  if (!Array.isArray(value)) yield { ...value, stranger: 1 };
}

describe("garbage", () => {
  it.each(GOOD)("in the place of any part of %j is refused in words, or is of the same form", (command) => {
    for (const bad of spoilt(command)) {
      try {
        // What is taken is taken as it is, and goes through JSON.
        expect(registryCommandOf(bad)).toEqual(JSON.parse(JSON.stringify(bad)));
      } catch (error) {
        if (error instanceof Forbidden) expect(error.message).toContain("its key did not sign for that");
        else {
          expect(error).toBeInstanceOf(Invalid);
          expect((error as Invalid).message).toMatch(/^the (body|command)/);
        }
      }
    }
  });

  it.each([
    [{ type: "toString" }, "the body must be one of registerMachine"],
    // It has tables deleted, and what is installed is known to the registry alone.
    [{ type: "installed", configuration: 2, acceptors: [] }, "the body must be one of registerMachine"],
    [
      { type: "registerMachine", machine: "bank", acceptors: 3 },
      "machine, which must be a machine's name/id",
    ],
    [{ type: "registerMachine" }, "the command registerMachine has no machine"],
    [{ type: "done", request: "o1", now: true }, 'has a field "now", which is not known'],
    [
      { type: "registerAcceptor", acceptor: { ...ACCEPTOR, id: "a/../b" } },
      "has acceptor, which has id, which must match",
    ],
    [{ type: "suspectAcceptor", acceptor: "a", by: "x", why: "moody" }, "must be one of gone, silent, slow"],
    [{ type: "configure", spares: 1e9 }, "must be a whole number from 0 to 1000"],
    [
      { type: "configure", machines: { mode: "plurality", acceptors: 3 } },
      "has mode, which must be one of majority, primaryBackup, witness, quorums",
    ],
    [{ type: "configure", machines: { mode: "quorums", acceptors: 3 } }, "has machines, which has no read"],
    [{ type: "configure", machines: { mode: "majority", acceptors: 3, read: 2 } }, 'has a field "read"'],
    [{ type: "startLeader", nonce: "x".repeat(40_000) }, "the limit is"],
    [
      {
        type: "propose",
        machine: "bank/main",
        nonce: "x",
        reason: { operator: "ada" },
        quorums: { ...QUORUMS, acceptors: [["a"]] },
      },
      "has an element that",
    ],
  ])("%j is refused with the reason", (command, reason) => {
    expect(() => registryCommandOf(command)).toThrow(reason);
  });

  it("is not taken for a name that every object has", () => {
    const weights = JSON.parse('{"__proto__": 1}');
    const quorums = { ...QUORUMS, read: { atLeast: 2, weights } };
    expect(() => registryCommandOf({ type: "propose", machine: "bank/main", nonce: "x", quorums })).toThrow(
      Invalid,
    );
  });
});
