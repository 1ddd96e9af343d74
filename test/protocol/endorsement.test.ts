/** Endorsements with real Ed25519 keys: what counts, and every way in which one does not. */
import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import type { ConfigurationNumber, ProcessId } from "../../shared/protocol/ballot.ts";
import type { Configuration, MachineId } from "../../shared/protocol/configuration.ts";
import {
  AUDIT_MAX,
  type Endorsement,
  endorsementText,
  type Override,
  type Threshold,
  thresholdOf,
} from "../../shared/protocol/endorsement.ts";
import { type AcceptorId, majority, type QuorumSpec, withWitness } from "../../shared/protocol/quorum.ts";
import {
  applyRegistry,
  initialRegistry,
  type Location,
  proposalOf,
  type RegistryCommand,
  type RegistryState,
} from "../../shared/protocol/registry.ts";
import { Refusal } from "../../shared/protocol/replica.ts";
import { newSigner, type Signer, verify } from "../../shared/runtime/signing.ts";
import { forAll } from "./for-all.ts";

const MACHINE = "bank/1" as MachineId;
const OTHER_MACHINE = "bank/2" as MachineId;
const NOW = 1_000;
const LATER = 2_000;
const REASON = { operator: "ada" };
const signers = new Map<string, Signer>(["l1", "l2", "l3", "l4"].map((id) => [id, newSigner()]));
const signerOf = (leader: string) => signers.get(leader) as Signer;

let state: RegistryState;
/** Of MACHINE, pending. */
let pending: Configuration;

const apply = (command: RegistryCommand, time = NOW): unknown =>
  applyRegistry(state, command, { time, verify });

function register(id: string, publicKey = signerOf(id).publicKey): unknown {
  const leader = { id, process: "a".repeat(32) as ProcessId, address: `http://${id}`, publicKey };
  return apply({ type: "registerLeader", leader });
}

const quorumsOf = (...acceptors: string[]): QuorumSpec => majority(acceptors as AcceptorId[]);

function propose(machine: MachineId, nonce: string, quorums = quorumsOf("a", "b", "d")): Configuration {
  const command = { type: "propose", machine, quorums, nonce, reason: REASON } as const;
  return (apply(command) as Location).configuration;
}

interface Complete {
  readonly machine?: MachineId;
  readonly number?: number;
  readonly override?: Override;
  readonly time?: number;
}

function complete(endorsements: readonly Endorsement[], more: Complete = {}): unknown {
  const { machine = MACHINE, number = pending.number, override, time } = more;
  const configuration = number as ConfigurationNumber;
  const command = { type: "complete", machine, configuration, endorsements } as const;
  return apply(override === undefined ? command : { ...command, override }, time);
}

interface Signed {
  readonly signer?: Signer;
  readonly machine?: MachineId;
  readonly configuration?: Configuration;
  readonly expires?: number;
}

function endorse(leader: string, options: Signed = {}): Endorsement {
  const { signer = signerOf(leader), machine = MACHINE, configuration = pending, expires = LATER } = options;
  const { previous, number } = configuration;
  const signature = signer.sign(endorsementText(machine, configuration, expires));
  return { leader, machine, previous, configuration: number, expires, signature };
}

const activeOf = (machine = MACHINE) => state.machines.get(machine)?.active;

/** The reason for which it was refused, and that it was. */
function refused(answer: unknown): string {
  expect(answer).toBeInstanceOf(Refusal);
  expect(activeOf()).toBe(pending.previous);
  return (answer as Refusal<string>).reason;
}

function withFleet(...leaders: string[]): void {
  for (const leader of leaders) register(leader);
}

beforeEach(() => {
  state = initialRegistry();
  for (const id of ["a", "b", "c", "d", "e"] as AcceptorId[])
    apply({
      type: "registerAcceptor",
      acceptor: { id, kind: "sqlite", location: `${id}.db`, incarnation: id },
    });
  for (const machine of [MACHINE, OTHER_MACHINE]) {
    apply({ type: "registerMachine", machine, acceptors: 3 });
    complete([], { machine, number: 1 });
  }
  pending = propose(MACHINE, "once");
});

describe("the threshold", () => {
  it.each<[Threshold, number, number]>([
    ["auto", 0, 1],
    ["auto", 1, 1],
    ["auto", 2, 1],
    ["auto", 3, 2],
    ["auto", 4, 2],
    [3, 1, 3],
    [1, 4, 1],
  ])("is, for %s and %d leaders, %d", (endorsements, leaders, threshold) => {
    withFleet(...["l1", "l2", "l3", "l4"].slice(0, leaders));
    expect(apply({ type: "configure", endorsements })).toMatchObject({ settings: { endorsements } });
    expect(thresholdOf(state)).toBe(threshold);
    expect(proposalOf(state, MACHINE, pending.number)?.needed).toBe(threshold);
  });

  it("does not count revoked leaders as the fleet", () => {
    withFleet("l1", "l2", "l3");
    apply({ type: "revokeLeader", leader: "l3" });
    expect(thresholdOf(state)).toBe(1);
  });

  it.each([0, -1, 1.5, Number.NaN, "all"])("cannot be %s", (endorsements) => {
    const answer = apply({ type: "configure", endorsements: endorsements as Threshold });
    expect(answer).toEqual(
      new Refusal(`endorsements must be "auto" or a whole number from 1 on, not ${endorsements}`),
    );
    expect(thresholdOf(state)).toBe(1);
  });
});

describe("a reconfiguration", () => {
  it("is activated with as many endorsements as it needs, and not with one fewer", () => {
    withFleet("l1", "l2", "l3");
    expect(refused(complete([endorse("l2")]))).toBe(
      "configuration 2 of bank/1 has 1 of the 2 endorsements that it needs; an operator may override that",
    );
    expect(refused(complete([]))).toMatch("has 0 of the 2 endorsements");
    expect(complete([endorse("l1"), endorse("l3")])).toEqual({ activated: true });
    expect(activeOf()).toBe(2);
  });

  it("needs none to be told again that it is activated, whatever was revoked or has expired", () => {
    withFleet("l1");
    expect(complete([endorse("l1")])).toEqual({ activated: true });
    apply({ type: "revokeLeader", leader: "l1" });
    expect(complete([endorse("l1")], { time: LATER })).toEqual({ activated: true });
    expect(complete([])).toEqual({ activated: true });
  });

  it("that is superseded is not brought back by endorsements, and needs none to be told so", () => {
    withFleet("l1");
    const second = propose(MACHINE, "twice");
    complete([endorse("l1", { configuration: second })], { number: second.number });
    expect(complete([endorse("l1")])).toEqual({ activated: false });
    expect(complete([])).toEqual({ activated: false });
    expect(activeOf()).toBe(second.number);
  });

  it("needs one even where no leader is registered", () => {
    expect(refused(complete([endorse("l1")]))).toMatch("has 0 of the 1 endorsements");
  });

  it("is endorsed whatever order its quorums' fields and weights are written in", () => {
    withFleet("l1");
    const acceptors = ["a", "b", "c"] as AcceptorId[];
    const read = { atLeast: 2, weights: { a: 1, b: 1 } };
    const write = { atLeast: 2 };
    pending = propose(MACHINE, "weights", { acceptors, witnesses: [], read, write });
    const quorums = {
      write,
      read: { weights: { b: 1, a: 1 }, atLeast: 2 },
      witnesses: [],
      acceptors,
    };
    expect(complete([endorse("l1", { configuration: { ...pending, quorums } })])).toEqual({
      activated: true,
    });
  });
});

describe("an endorsement does not count", () => {
  const bad: Record<string, [() => readonly Endorsement[], string]> = {
    "that is forged": [() => [endorse("l1", { signer: newSigner() })], "l1 did not sign this: it is forged"],
    "that another leader signed": [
      () => [endorse("l1", { signer: signerOf("l2") })],
      "l1 did not sign this: it is forged",
    ],
    "whose signature is no signature": [
      () => [{ ...endorse("l1"), signature: "" }],
      "l1 did not sign this: it is forged",
    ],
    "of a stranger": [() => [endorse("l4")], "l4 is not registered"],
    "that has expired": [
      () => [endorse("l1", { expires: NOW })],
      "l1 endorsed it too long ago: that has expired",
    ],
    "whose expiry was put off by somebody else": [
      () => [{ ...endorse("l1", { expires: NOW }), expires: LATER }],
      "l1 did not sign this: it is forged",
    ],
    "without an expiry": [
      () => [{ ...endorse("l1"), expires: undefined as unknown as number }],
      "l1 endorsed it too long ago: that has expired",
    ],
    "for another machine": [
      () => [endorse("l1", { machine: OTHER_MACHINE })],
      "l1 endorsed a configuration of bank/2",
    ],
    "for another machine, relabelled": [
      () => [{ ...endorse("l1", { machine: OTHER_MACHINE }), machine: MACHINE }],
      "l1 did not sign this: it is forged",
    ],
    "for another configuration": [
      () => [endorse("l1", { configuration: propose(MACHINE, "twice") })],
      "l1 endorsed configuration 3",
    ],
    "for another configuration, relabelled": [
      () => [{ ...endorse("l1", { configuration: propose(MACHINE, "twice") }), configuration: 2 }],
      "l1 did not sign this: it is forged",
    ],
    "for another predecessor": [
      () => [endorse("l1", { configuration: { ...pending, previous: 0 } })],
      "l1 endorsed it as the one after 0",
    ],
    "for another predecessor, relabelled": [
      () => [{ ...endorse("l1", { configuration: { ...pending, previous: 0 } }), previous: 1 }],
      "l1 did not sign this: it is forged",
    ],
    "for other acceptors": [
      () => [endorse("l1", { configuration: { ...pending, quorums: quorumsOf("a", "b", "e") } })],
      "l1 did not sign this: it is forged",
    ],
    "for other witnesses": [
      () => [
        endorse("l1", {
          configuration: { ...pending, quorums: withWitness(pending.quorums.acceptors) },
        }),
      ],
      "l1 did not sign this: it is forged",
    ],
  };

  it.each(Object.entries(bad))("%s", (_, [endorsements, why]) => {
    withFleet("l1", "l2");
    expect(refused(complete(endorsements()))).toBe(
      `configuration 2 of bank/1 has 0 of the 1 endorsements that it needs (${why}); an operator may override that`,
    );
  });

  it("of a revoked leader, who cannot register again", () => {
    withFleet("l1", "l2");
    expect(apply({ type: "revokeLeader", leader: "l1" })).toEqual({ revoked: "l1" });
    expect(apply({ type: "revokeLeader", leader: "l1" })).toEqual({ revoked: "l1" });
    expect(refused(complete([endorse("l1")]))).toMatch("(l1 is revoked)");
    const refusal = (id: string) =>
      new Refusal(`${id} is revoked: start another leader process, by another name`);
    expect(register("l1", newSigner().publicKey)).toEqual(refusal("l1"));
    expect(register("l9", signerOf("l1").publicKey)).toEqual(refusal("l9"));
    expect(refused(complete([endorse("l1")]))).toMatch("(l1 is revoked)");
    expect(complete([endorse("l2")])).toEqual({ activated: true });
  });

  it("of a leader that has started again since, and has another key", () => {
    withFleet("l1");
    const before = endorse("l1");
    const signer = newSigner();
    expect(register("l1", signer.publicKey)).toEqual({ registered: "l1" });
    expect(refused(complete([before]))).toMatch("l1 did not sign this");
    expect(complete([endorse("l1", { signer })])).toEqual({ activated: true });
  });

  it("a second time, from one leader or with one key", () => {
    withFleet("l1", "l2", "l3");
    register("l4", signerOf("l1").publicKey);
    const again = endorse("l1", { expires: LATER + 1 });
    for (const second of [endorse("l1"), again, endorse("l4", { signer: signerOf("l1") })])
      expect(refused(complete([endorse("l1"), second]))).toMatch(
        `has 1 of the 2 endorsements that it needs (${second.leader} endorsed twice, by this name or with this key)`,
      );
  });

  it("after the configuration that it was for was superseded: a replay", () => {
    withFleet("l1");
    const old = endorse("l1");
    const rival = propose(MACHINE, "rival");
    complete([endorse("l1", { configuration: rival })], { number: rival.number });
    pending = propose(MACHINE, "once");
    expect(refused(complete([old]))).toMatch("l1 endorsed configuration 2");
    expect(refused(complete([{ ...old, configuration: pending.number }]))).toMatch("after 1");
  });

  it("and does not spoil those that do, even with a forged one in another's name before its own", () => {
    withFleet("l1", "l2", "l3");
    const inNameOfL2 = { ...endorse("l1"), leader: "l2" };
    const endorsements = [endorse("l4"), inNameOfL2, endorse("l1"), endorse("l1"), endorse("l2")];
    expect(complete(endorsements)).toEqual({ activated: true });
  });
});

it("nobody revokes a leader that there is not", () => {
  expect(apply({ type: "revokeLeader", leader: "l1" })).toEqual(new Refusal("there is no leader l1"));
});

describe("an operator's override", () => {
  const override = { operator: "ada", reason: "two of three leaders burnt" };

  it("activates with too few, and is recorded with what there was", () => {
    withFleet("l1", "l2", "l3");
    expect(complete([endorse("l1")], { override })).toEqual({ activated: true });
    const entry = { machine: MACHINE, configuration: 2, ...override, time: NOW, endorsements: 1, needed: 2 };
    expect(state.audit).toEqual([entry]);
    expect(complete([endorse("l1")], { override })).toEqual({ activated: true });
    expect(state.audit).toEqual([entry]);
  });

  it("that was not needed is not recorded", () => {
    withFleet("l1");
    expect(complete([endorse("l1")], { override })).toEqual({ activated: true });
    expect(state.audit).toEqual([]);
  });

  it.each([
    { operator: "", reason: "because" },
    { operator: "ada", reason: "  " },
    { operator: "ada", reason: "x".repeat(1_001) },
    { operator: 7, reason: "because" },
    {},
  ])("must say who and why: not %j", (given) => {
    expect(refused(complete([], { override: given as Override }))).toBe(
      "an override needs an operator and a reason, each of 1 to 1000 characters",
    );
    expect(state.audit).toEqual([]);
  });

  it("does not activate what is superseded", () => {
    const rival = propose(MACHINE, "rival");
    complete([], { number: rival.number, override });
    expect(complete([], { override })).toEqual({ activated: false });
    expect(state.audit).toHaveLength(1);
  });

  it(`is remembered until there are ${AUDIT_MAX} later ones`, () => {
    for (let round = 0; round < AUDIT_MAX + 2; round++) {
      complete([], { override: { operator: "ada", reason: `round ${round}` } });
      pending = propose(MACHINE, `round ${round}`);
    }
    expect(state.audit).toHaveLength(AUDIT_MAX);
    expect(state.audit[0]?.reason).toBe("round 2");
  });
});

/** Mostly as it should be: else hardly anything would ever be activated. */
const mostly = <Value>(right: Value, ...wrong: Value[]) =>
  fc.oneof({ weight: 6, arbitrary: fc.constant(right) }, { weight: 1, arbitrary: fc.constantFrom(...wrong) });
const LEADER = fc.constantFrom("l1", "l2", "l3", "l4");
const SIGNED = fc.record({
  by: LEADER,
  pretends: mostly<string | undefined>(undefined, "l1", "l2", "l3"),
  of: mostly(MACHINE, OTHER_MACHINE),
  number: mostly(2, 3),
  previous: mostly(1, 2),
  expires: mostly(NOW + 1, NOW, NOW - 1),
});
type Signing = typeof SIGNED extends fc.Arbitrary<infer Value> ? Value : never;

/** l1, l2 and l3 are registered, l4 is not. */
const counts = ({ by, pretends = by, of, number, previous, expires }: Signing): boolean =>
  by === pretends && by !== "l4" && of === MACHINE && number === 2 && previous === 1 && expires > NOW;

forAll(
  "activated if and only if two different registered leaders signed for exactly this",
  [fc.array(SIGNED, { maxLength: 6 })],
  (signings) => {
    state.machines.delete(MACHINE);
    apply({ type: "registerMachine", machine: MACHINE, acceptors: 3 });
    complete([], { number: 1 });
    pending = propose(MACHINE, "once");
    withFleet("l1", "l2", "l3");
    const endorsements = signings.map(({ by, pretends = by, of, number, previous, expires }) => {
      const configuration = { ...pending, previous, number: number as ConfigurationNumber };
      const made = endorse(pretends, { signer: signerOf(by), machine: of, configuration, expires });
      return { ...made, machine: MACHINE, configuration: 2, previous: 1 };
    });
    const signers = new Set(signings.filter(counts).map(({ by }) => by));
    complete(endorsements);
    expect(activeOf()).toBe(signers.size >= 2 ? 2 : 1);
  },
);

describe("keys and signatures", () => {
  it("verify what was signed and nothing else, and take nonsense for false", () => {
    const [signer, other] = [newSigner(), newSigner()];
    const signature = signer.sign("text");
    expect(verify(signer.publicKey, "text", signature)).toBe(true);
    expect(verify(signer.publicKey, "another text", signature)).toBe(false);
    expect(verify(other.publicKey, "text", signature)).toBe(false);
    for (const nonsense of ["", "nonsense", undefined, 7])
      expect([
        verify(nonsense as string, "text", signature),
        verify(signer.publicKey, "text", nonsense as string),
      ]).toEqual([false, false]);
  });

  it("are of 32 and of 64 bytes, and no two keys are alike", () => {
    const signer = newSigner();
    expect(Buffer.from(signer.publicKey, "base64url")).toHaveLength(32);
    expect(Buffer.from(signer.sign(""), "base64url")).toHaveLength(64);
    expect(newSigner().publicKey).not.toBe(signer.publicKey);
  });
});
