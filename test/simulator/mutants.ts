/**
 * One wrong rule each, planted in the product's own source: every one must be killed by a named check.
 * A mutant that survives is a rule that nothing tests. `find` must occur exactly once in `file`.
 */
import { HORIZONTAL } from "./mutants-horizontal.ts";
import { PROVISIONING } from "./mutants-provisioning.ts";
import { TRUNCATION } from "./mutants-truncation.ts";
import type { SCENARIOS } from "./scenarios.ts";

export interface Edit {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

export interface Mutant {
  readonly name: string;
  /** The rule of PROTOCOL.md that it breaks. */
  readonly rule: string;
  readonly edits: readonly Edit[];
  /** Flags of main.ts that make its moment come sooner. */
  readonly flags?: readonly string[];
  /** A scripted run that meets its moment, where random ones would take too long. */
  readonly scenario?: keyof typeof SCENARIOS;
  /** It must be clean: it changes a limit and no rule. */
  readonly isControl?: true;
}

const ACCEPTOR = "shared/protocol/acceptor.ts";
const LEADER = "shared/protocol/leader.ts";
const RECOVERY = "shared/protocol/recovery.ts";
const FENCE = "shared/protocol/fence.ts";
const ARCHIVE = "shared/protocol/archive.ts";
const LEARNER = "shared/protocol/learner.ts";
const CONTENTS = "shared/protocol/contents.ts";
const COPYING = "shared/protocol/copying.ts";
const READS = "shared/protocol/reads.ts";
const REPLICA = "shared/protocol/replica.ts";
const REQUESTS = "shared/protocol/requests.ts";
const SESSION = "shared/protocol/session.ts";
const FOUNDING = "shared/protocol/founding.ts";
const ENDORSEMENT = "shared/protocol/endorsement.ts";
const HANDOVER = "shared/protocol/handover.ts";
const REGISTRY = "shared/protocol/registry.ts";
const RECONFIGURATION = "test/simulator/reconfiguration.ts";
const HOST = "shared/runtime/host.ts";
const PUMP = "shared/runtime/pump.ts";
const ROUNDS = "shared/runtime/rounds.ts";

const FEW_SESSIONS: Edit = { file: SESSION, find: "SESSIONS_MAX = 16_384", replace: "SESSIONS_MAX = 3" };

const acceptor: readonly Mutant[] = [
  {
    name: "vote without the slot test",
    rule: "§3 vote: sl < :i",
    edits: [
      {
        file: ACCEPTOR,
        find: "const laneIsFree = item.slot < vote.slot;",
        replace: "const laneIsFree = true;",
      },
    ],
  },
  {
    name: "vote without the promise test",
    rule: "§3 vote: pb <= :b",
    edits: [
      {
        file: ACCEPTOR,
        find: "const notPromisedAway = item.promised <= vote.ballot;",
        replace: "const notPromisedAway = true;",
      },
    ],
  },
  {
    name: "vote does not promise",
    rule: "§3 vote: pb = b; invariant 3",
    edits: [
      {
        file: ACCEPTOR,
        find: 'next: { kind: "cell", promised: ballot, slot,',
        replace: 'next: { kind: "cell", promised: item.promised, slot,',
      },
    ],
  },
  {
    name: "a repeated vote is refused",
    rule: "§3 vote: dg = :d; §1 resend the identical request",
    edits: [
      {
        file: ACCEPTOR,
        find: "(laneIsFree || olderVote || sameValue)",
        replace: "(laneIsFree || olderVote)",
      },
    ],
  },
  {
    name: "an older vote is not replaced",
    rule: "§3 vote: vb < :b",
    edits: [
      {
        file: ACCEPTOR,
        find: "(laneIsFree || olderVote || sameValue)",
        replace: "(laneIsFree || sameValue)",
      },
    ],
  },
  {
    name: "a vote of the same slot is always replaced",
    rule: "§3 vote: sl = :i AND (vb < :b OR dg = :d); invariant 2",
    edits: [
      {
        file: ACCEPTOR,
        find: "const laneIsFree = item.slot < vote.slot;",
        replace: "const laneIsFree = item.slot <= vote.slot;",
      },
      {
        file: REQUESTS,
        find: "verbs: request.verbs });",
        replace:
          'verbs: request.verbs.map((verb) => verb.verb === "vote" ? { ...verb, value: { text: verb.value.text + " ", digest: verb.value.digest + "2" } } : verb) });',
      },
    ],
  },
  {
    name: "promise without the promise test",
    rule: "§3 promise: pb <= :b",
    edits: [
      {
        file: ACCEPTOR,
        find: 'if (item?.kind !== "cell" || item.promised > ballot) return refusedBy(item);',
        replace: 'if (item?.kind !== "cell") return refusedBy(item);',
      },
    ],
  },
  {
    name: "promise creates cells",
    rule: "§3 only `create` creates a cell",
    edits: [
      {
        file: ACCEPTOR,
        find: "return decidePromise(verb.ballot, item);",
        replace: "return decidePromise(verb.ballot, item ?? born(verb.key));",
      },
      {
        file: ACCEPTOR,
        find: "return { outcome: decideRead(verb.key, item) };",
        replace:
          'return { outcome: decideRead(verb.key, item ?? (verb.key.kind === "head" ? FIRST_HEAD : undefined)) };',
      },
    ],
    flags: ["--stress", "tableRecreated,crash"],
  },
  {
    name: "vote creates cells",
    rule: "§3 only `create` creates a cell",
    edits: [
      {
        file: ACCEPTOR,
        find: "return decideVote(verb, item);",
        replace: "return decideVote(verb, item ?? born(verb.key));",
      },
    ],
    scenario: "forgottenPromise",
  },
  {
    name: "create overwrites",
    rule: "§3 create: attribute_not_exists(pk)",
    edits: [
      {
        file: ACCEPTOR,
        find: "return item === undefined ? { outcome: APPLIED, next: born(verb.key) } : { outcome: APPLIED };",
        replace: "return { outcome: APPLIED, next: born(verb.key) };",
      },
    ],
  },
  {
    name: "missing counts as an empty promise",
    rule: "§3 a missing cell or table is a refusal: neither promise, nor vote, nor “nothing voted”",
    edits: [
      {
        file: FENCE,
        find: "if (by === undefined) this.#lost.add(of);",
        replace: "if (by === undefined) for (const promised of this.#promised.values()) promised.add(of);",
      },
    ],
    scenario: "forgottenVote",
  },
  {
    name: "advance without a condition",
    rule: "§3 advance: si <= :si",
    edits: [
      {
        file: ACCEPTOR,
        find: "const coversMore = item.covered <= head.covered;",
        replace: "const coversMore = true;",
      },
    ],
  },
  {
    name: "advance creates a Head",
    rule: "§3 advance: attribute_exists(pk)",
    edits: [
      {
        file: ACCEPTOR,
        find: 'if (item?.kind !== "head") return refusedBy(item);',
        replace: 'item ??= FIRST_HEAD;\n  if (item.kind !== "head") return refusedBy(item);',
      },
    ],
    flags: ["--stress", "tableRecreated"],
  },
];

const leader: readonly Mutant[] = [
  {
    name: "rule U dropped",
    rule: "§4.6 rule U",
    edits: [
      {
        file: LEADER,
        find: "return this.serving && this.applied >= reused && this.#archive.covers(reused);",
        replace: "return this.serving && reused >= -this.#options.geometry.lanes;",
      },
    ],
  },
  {
    name: "rule U without Heads",
    rule: "§4.6 rule U: Heads ≥ j−K meet every read quorum",
    edits: [
      {
        file: LEADER,
        find: "this.applied >= reused && this.#archive.covers(reused);",
        replace: "this.applied >= reused;",
      },
    ],
  },
  {
    name: "rule U on a read quorum",
    rule: "§4.6 rule U",
    edits: [
      {
        file: ARCHIVE,
        find: "return quorums.meetsEveryReadQuorum(new Set(covering));",
        replace: "return quorums.hasReadQuorum(new Set(covering));",
      },
    ],
    flags: ["--quorums", "readOneWriteAll3"],
  },
  {
    name: "rule U on one table",
    rule: "§4.6 rule U",
    edits: [
      {
        file: ARCHIVE,
        find: "return quorums.meetsEveryReadQuorum(new Set(covering));",
        replace: "return covering.length > 0;",
      },
    ],
  },
  {
    name: "rule U by count",
    rule: "§4.6, §10 by “meets every read quorum”, not by number",
    edits: [
      {
        file: ARCHIVE,
        find: "return quorums.meetsEveryReadQuorum(new Set(covering));",
        replace:
          "return covering.length >= Math.floor(quorums.acceptors.length / 2) + 1 || quorums.meetsEveryReadQuorum(new Set(covering));",
      },
    ],
  },
  {
    name: "not the largest ballot's value",
    rule: "§4.4 the value of largest vb",
    edits: [{ file: FENCE, find: "(!largest || cell.vote.ballot > largest.ballot)", replace: "!largest" }],
    scenario: "twoBallots",
  },
  {
    name: "tail not voted again",
    rule: "§4.4 vote at b",
    edits: [
      {
        file: LEADER,
        find: "this.#vote(slot, this.#recovery.voteFor(slot)?.value ?? noOp);",
        replace: "this.#execute(slot, (this.#recovery.voteFor(slot)?.value ?? noOp).text);",
      },
    ],
  },
  {
    name: "tail as no-ops",
    rule: "§4.4 the value of largest vb, else a no-op",
    edits: [
      {
        file: LEADER,
        find: "this.#vote(slot, this.#recovery.voteFor(slot)?.value ?? noOp)",
        replace: "this.#vote(slot, noOp)",
      },
    ],
  },
  {
    name: "one ack",
    rule: "§4.4 acks of a write quorum",
    edits: [
      {
        file: LEADER,
        find: "if (proposal.chosen || !this.#quorums.hasWriteQuorum(proposal.acks)) return;",
        replace: "if (proposal.chosen) return;",
      },
    ],
  },
  {
    name: "acks of a read quorum",
    rule: "§4.4 acks of a write quorum",
    edits: [
      {
        file: LEADER,
        find: "!this.#quorums.hasWriteQuorum(proposal.acks)",
        replace: "!this.#quorums.hasReadQuorum(proposal.acks)",
      },
    ],
  },
  {
    name: "changed resend",
    rule: "§4.6 the value of (b, i) never changes on resend; invariant 2",
    edits: [
      {
        file: REQUESTS,
        find: "verbs: request.verbs });",
        replace:
          'verbs: request.verbs.map((verb) => verb.verb === "vote" ? { ...verb, value: { text: verb.value.text + " ", digest: verb.value.digest + "2" } } : verb) });',
      },
    ],
  },
  {
    name: "a lane unfenced",
    rule: "§4.2 promise lanes 0…K",
    edits: [
      {
        file: FENCE,
        find: "return [...this.#promised.values()].every((by)",
        replace: "return [...this.#promised.values()].slice(0, -1).every((by)",
      },
    ],
    flags: ["--stress", "verbsSplit,requestDelayed,lead"],
  },
  {
    name: "a promise too few",
    rule: "§4.2 per lane, promises from a read quorum",
    edits: [
      {
        file: FENCE,
        find: "every((by) => this.#quorums.hasReadQuorum(by))",
        replace:
          "every((by) => this.#quorums.acceptors.some((more) => by.size > 0 && this.#quorums.hasReadQuorum(new Set([...by, more]))))",
      },
    ],
    flags: ["--stress", "verbsSplit,requestDelayed,replyDelayed,lead"],
  },
  {
    name: "Heads of fewer than a read quorum",
    rule: "§4.2 Heads of a read quorum",
    edits: [
      {
        file: FENCE,
        find: "return this.#quorums.hasReadQuorum(new Set([...this.heads.keys(), ...this.#quorums.witnesses]));",
        replace: "return this.heads.size > 0;",
      },
    ],
    flags: ["--stress", "verbsSplit,requestDelayed,replyDelayed,lead", "--lanes", "2", "--chunk", "1"],
  },
  {
    name: "ballot reused",
    rule: "§1 a ballot has one owner; §4.2 r above any seen",
    edits: [{ file: ROUNDS, find: "this.#rounds.set(configuration, round);", replace: "" }],
    flags: ["--stress", "resign,lead"],
  },
  {
    name: "seen rounds are not noted",
    rule: "§4.2 raise r",
    edits: [
      {
        file: HOST,
        find: 'if (abdication.why === "fenced") this.noteBallot(abdication.by);',
        replace: "",
      },
    ],
    scenario: "manyRounds",
  },
  {
    name: "Heads are not read again",
    rule: "§4.3 if H > S+K, read a quorum of Heads again",
    edits: [
      {
        file: RECOVERY,
        find: "const isBeyondWindow = this.#tailEnd > lastChunkEnd + geometry.lanes;",
        replace: "const isBeyondWindow = false as boolean;",
      },
    ],
    scenario: "staleHeads",
  },
  {
    name: "another slot in the cell counts as chosen, and U ignores what is applied",
    rule: "§4 sl > i: not an ack; §4.6 j−K is applied here",
    edits: [
      {
        file: LEADER,
        find: 'if (!proposal.chosen) this.#stop({ why: "overtaken", slot });',
        replace: "proposal.chosen = true;\n      this.#executeChosen();",
      },
      {
        file: LEADER,
        find: "return this.serving && this.applied >= reused && this.#archive.covers(reused);",
        replace: "return this.serving && this.#archive.covers(reused);",
      },
    ],
    scenario: "overtaken",
  },
  {
    name: "the tail is not awaited",
    rule: "§4.5 serve, reads included, once H is applied",
    edits: [
      {
        file: LEADER,
        find: 'if (this.#phase !== "tail" || this.applied < this.#tailEnd) return;',
        replace: 'if (this.#phase !== "tail") return;',
      },
    ],
  },
  {
    name: "executed out of order",
    rule: "§4.5 apply chosen slots in order",
    edits: [
      {
        file: LEADER,
        find: "if (proposal?.chosen !== true) break;",
        replace: "if (proposal === undefined) break;",
      },
    ],
  },
];

const archive: readonly Mutant[] = [
  {
    name: "unchosen slots archived",
    rule: "§5.1 only applied slots; invariant 6",
    edits: [
      {
        file: ARCHIVE,
        find: "const isApplied = lastSlotOf(this.#options.geometry, chunk) <= this.#options.applied();",
        replace: "const isApplied = firstSlotOf(this.#options.geometry, chunk) <= this.#options.applied();",
      },
      {
        file: ARCHIVE,
        find: "chunkKeys(geometry, first, applied(), CHUNKS_PER_REQUEST)",
        replace:
          "chunkKeys(geometry, first, (applied() + geometry.chunkSlots - 1) as Slot, CHUNKS_PER_REQUEST)",
      },
      {
        file: ARCHIVE,
        find: "const values = log.range(firstSlotOf(geometry, key.chunk), lastSlotOf(geometry, key.chunk));",
        replace:
          'const values = Array.from({ length: geometry.chunkSlots }, (_, at) => log.get((firstSlotOf(geometry, key.chunk) + at) as Slot) ?? "{}");',
      },
    ],
  },
  {
    name: "Head before its chunk",
    rule: "§5.1 put chunk, await ack, advance; invariant 4",
    edits: [
      {
        file: ARCHIVE,
        find: "this.#put(of, chunks, () => this.#advance(of, head, { ...head, covered }));",
        replace: "this.#advance(of, head, { ...head, covered });\n    this.#put(of, chunks, () => {});",
      },
    ],
  },
  {
    name: "Head after the first of several chunks",
    rule: "§5.1 put chunk, await ack, advance; invariant 4",
    edits: [{ file: CONTENTS, find: "if (--missing === 0) finish();", replace: "finish();" }],
  },
  {
    name: "a copied chunk is not awaited",
    rule: "§5.1 put chunk, await ack, advance; invariant 4",
    edits: [
      {
        file: COPYING,
        find: "put(to, copies, () => done({ ...head, covered }));",
        replace: "put(to, copies, () => {});\n      done({ ...head, covered });",
      },
    ],
  },
  {
    name: "Head raised past what its table has",
    rule: "§5.1 raise si only from a Head value of that table",
    edits: [
      {
        file: ARCHIVE,
        find: "const covered = lastSlotOf(this.#options.geometry, (chunk + chunks.length - 1) as ChunkNumber);",
        replace:
          "const covered = Math.max(lastSlotOf(this.#options.geometry, (chunk + chunks.length - 1) as ChunkNumber), ...[...this.#heads.values()].map((other) => other.covered)) as Slot;",
      },
    ],
  },
  {
    name: "a missing chunk is the end",
    rule: "§4.3 a missing chunk: conclude nothing",
    edits: [
      {
        file: LEARNER,
        find: 'if (trouble.why !== "missing") return done(trouble);',
        replace:
          'if (trouble.why !== "missing") return done(trouble);\n    if (head.snapshotSlot === 0) return done();',
      },
    ],
    scenario: "missingChunk",
  },
];

const clients: readonly Mutant[] = [
  {
    name: "few sessions",
    rule: "a limit and no rule: the checkers follow it",
    edits: [FEW_SESSIONS],
    isControl: true,
  },
  {
    name: "an unknown session executes",
    rule: "§6 unknown session: never execution",
    edits: [
      FEW_SESSIONS,
      {
        file: REPLICA,
        find: "if (settled !== undefined) return settled;\n    const reply = this.#apply(command.command, slot, index);\n    this.#sessions.remember(",
        replace:
          'if (settled?.reply === "unknownSession") return this.#apply(command.command, slot, index);\n    if (settled !== undefined) return settled;\n    const reply = this.#apply(command.command, slot, index);\n    this.#sessions.remember(',
      },
    ],
  },
  {
    name: "an open session is not a use",
    rule: "§6 evict least recently used by log position",
    edits: [
      FEW_SESSIONS,
      {
        file: SESSION,
        find: "const session = this.#use(id);\n    session.sequence",
        replace: "const session = this.#sessions.get(id) as Session;\n    session.sequence",
      },
    ],
  },
  {
    name: "the same sequence executes again",
    rule: "§6 equal seq: stored reply; invariant 10",
    edits: [
      {
        file: SESSION,
        find: "if (sequence > session.sequence) return undefined;",
        replace: "if (sequence >= session.sequence) return undefined;",
      },
    ],
  },
  {
    name: "a lower sequence executes",
    rule: "§6 lower seq: ignored",
    edits: [
      {
        file: SESSION,
        find: 'return { reply: "staleSequence", slot };',
        replace: "return undefined;",
      },
    ],
  },
  {
    name: "keys are not remembered",
    rule: "invariant 10, for idempotency keys",
    edits: [
      {
        file: SESSION,
        find: "return this.#keys.get(key);",
        replace: 'return key === "" ? this.#keys.get(key) : undefined;',
      },
    ],
  },
  {
    name: "a throw leaves half a command behind",
    rule: "a command that throws leaves the state as it was",
    edits: [
      { file: REPLICA, find: "} catch (error) {\n      this.#restore();", replace: "} catch (error) {" },
    ],
  },
  {
    name: "a forgotten session is told at once",
    rule: "§6 a deposed leader does not know new sessions: a read check first",
    edits: [
      {
        file: HOST,
        find: 'if (settled?.reply === "unknownSession") return this.#confirmUnknown(command, done);',
        replace: "",
      },
    ],
    flags: ["--stress", "pause,lead"],
  },
];

const reads: readonly Mutant[] = [
  {
    name: "reads without a check",
    rule: "§6 linearizable read",
    edits: [
      {
        file: READS,
        find: "this.#checking = true;",
        replace: "return this.#options.passed(reads);",
      },
    ],
    flags: ["--stress", "pause,lead"],
  },
  {
    name: "reads checked on a read quorum",
    rule: "§6 on a write quorum",
    edits: [
      {
        file: READS,
        find: "const passedBefore = quorums.hasWriteQuorum(present);",
        replace: "const passedBefore = quorums.hasReadQuorum(present);",
      },
      {
        file: READS,
        find: "if (!passedBefore && quorums.hasWriteQuorum(present))",
        replace: "if (!passedBefore && quorums.hasReadQuorum(present))",
      },
    ],
    scenario: "oneUnfencedTable",
  },
  {
    name: "a check before the read arrived",
    rule: "§6 after the request arrived",
    edits: [
      {
        file: READS,
        find: "this.#options.passed(reads);",
        replace: "this.#options.passed([...reads, ...this.#queued.splice(0)]);",
      },
    ],
    scenario: "checkUnderWay",
  },
  {
    name: "the fence lane is not promised",
    rule: "§4.2 promise lanes 0…K; §6 c's fence cell",
    edits: [
      {
        file: FENCE,
        find: "const promises = allLanes(this.#geometry).map(",
        replace: "const promises = allLanes(this.#geometry).slice(1).map(",
      },
      {
        file: FENCE,
        find: "return [...this.#promised.values()].every(",
        replace: "return [...this.#promised.values()].slice(1).every(",
      },
    ],
    flags: ["--stress", "pause,lead"],
  },
];

const witnesses: readonly Mutant[] = [
  {
    name: "a witness counts as a Head",
    rule: "§10 U counts full acceptors only",
    edits: [
      {
        file: ARCHIVE,
        find: "return quorums.meetsEveryReadQuorum(new Set(covering));",
        replace: "return quorums.meetsEveryReadQuorum(new Set([...covering, ...quorums.witnesses]));",
      },
    ],
    flags: ["--quorums", "witness2and1"],
  },
];

const driver: readonly Mutant[] = [
  {
    name: "answered before it is chosen",
    rule: "§4.5 answer clients only after applying",
    edits: [
      {
        file: HOST,
        find: "const commands = batch.map((pending) => pending.command);",
        replace:
          'const commands = batch.map((pending) => pending.command);\n    for (const { done } of batch) done({ reply: "response", slot: leader.next, response: "null" });',
      },
    ],
  },
  {
    name: "a deposed leader says that nothing happened",
    rule: "§1 outcome unknown",
    edits: [
      {
        file: HOST,
        find: "for (const { done } of proposed) done(unknownOutcome(this.machine));",
        replace: "for (const { done } of proposed) done(notLeading(this.machine));",
      },
    ],
    flags: ["--stress", "lead,resign"],
  },
  {
    name: "a follower executes across a gap",
    rule: "invariant 1: every replica executes the same commands in slot order",
    edits: [
      { file: HOST, find: "if (slot !== this.replica.applied + 1) return false;", replace: "" },
      { file: REPLICA, find: "if (slot !== this.#applied + 1)", replace: "if (slot <= this.#applied)" },
    ],
    flags: ["--stress", "followerGap"],
  },
  {
    name: "followers are sent what is only proposed",
    rule: "invariant 9: nothing is applied before it is chosen",
    edits: [
      {
        file: HOST,
        find: "this.#waiting.set(leader.next, batch);",
        replace:
          'this.#waiting.set(leader.next, batch);\n    this.#options.events.executed(leader.next, "{}");',
      },
    ],
  },
  {
    name: "unknown is taken for applied",
    rule: "§1 outcome unknown: resend",
    edits: [
      {
        file: REQUESTS,
        find: 'if (!this.#closed && outcome !== undefined && outcome.outcome !== "unknown")\n        request.settle(verb, outcome);',
        replace:
          'if (!this.#closed && outcome !== undefined && (outcome.outcome !== "unknown" || verb.verb === "vote"))\n        request.settle(verb, outcome.outcome === "unknown" ? { outcome: "applied" } : outcome);',
      },
    ],
  },
  {
    name: "unknown is taken for refused",
    rule: "§1 outcome unknown: never “failed”",
    edits: [
      {
        file: REQUESTS,
        find: 'if (!this.#closed && outcome !== undefined && outcome.outcome !== "unknown")\n        request.settle(verb, outcome);',
        replace:
          'if (!this.#closed && outcome !== undefined)\n        request.settle(verb, outcome.outcome === "unknown" ? { outcome: "refused" } : outcome);',
      },
    ],
  },
  {
    name: "unknown is not asked again",
    rule: "§1 resend the identical request; invariant 13",
    edits: [
      {
        file: REQUESTS,
        find: 'this.#emit({ effect: "retry", request: id, attempt: request.attempts++ });',
        replace: "",
      },
    ],
  },
  {
    name: "the pump ignores rule U",
    rule: "§4.6 rule U, asserted a second time by the leader",
    edits: [
      {
        file: PUMP,
        find: "this.#leader?.admits === true",
        replace: "this.#leader?.serving === true",
      },
    ],
  },
  {
    name: "founded on witnesses and too few full acceptors",
    rule: "§10 rule U counts full acceptors only; invariant 13",
    edits: [
      {
        file: FOUNDING,
        find: "return canServe && this.#quorums.meetsEveryReadQuorum(new Set(full));",
        replace: "return canServe || full.length < 0;",
      },
    ],
    flags: ["--quorums", "witness3and2", "--stress", "tableUnreachable,tableOneWay,tableSlow"],
  },
  {
    name: "founded before all cells are there",
    rule: "§7.1 create lanes 0…K on all acceptors, before the configuration is active",
    edits: [
      {
        file: FOUNDING,
        find: "if (missing === 0 && !this.#lost.has(acceptor))",
        replace: "if (!this.#lost.has(acceptor))",
      },
    ],
    flags: ["--stress", "verbsSplit,requestDelayed,tableUnreachable,tableOneWay"],
  },
  {
    name: "founding is run again",
    rule: "§7.1, §11 a configuration is founded before it is active, and never again",
    edits: [
      {
        file: FENCE,
        find: "return this.#quorums.witnesses.has(of) ? promises : [...promises,",
        replace:
          'const again = promises.map((promise): Verb => ({ verb: "create", key: promise.key as { kind: "cell"; configuration: ConfigurationNumber; lane: Lane } }));\n    return this.#quorums.witnesses.has(of) ? [...again, ...promises] : [...again, { verb: "create", key: HEAD }, ...promises,',
      },
      // By whoever does not address the table that was meant (§11), or it would be refused.
      {
        file: "test/simulator/process.ts",
        find: "isFounding ? REGISTERED_INCARNATION : incarnation",
        replace: "isFounding ? incarnation : incarnation",
      },
    ],
    flags: ["--stress", "tableRecreated"],
  },
];

const AS_REGISTRY = [
  "complete does not look at the predecessor",
  "a vote before what the epoch inherits is installed",
  "a void slot is executed",
  "reads by the old fence",
  "old tables are deleted before the epoch is installed",
  "no phase one in the next configuration",
];

const VERTICAL = ["--subject", "ledger", "--vertical", "yes"] as const;

const vertical: readonly Mutant[] = [
  {
    name: "complete does not look at the predecessor",
    rule: "§7 step 5: act = c′ iff act = prev; invariant 8",
    edits: [
      {
        file: REGISTRY,
        find: "if (configuration !== undefined && record.active === configuration.previous) {",
        replace: "if (configuration !== undefined && !record.history.includes(number)) {",
      },
      {
        file: REGISTRY,
        find: "if (number !== record.active && previous !== record.active) {",
        replace: "if (number !== record.active && previous < 0) {",
      },
    ],
    flags: VERTICAL,
  },
  {
    name: "a configuration's number is given twice",
    rule: "§7 step 1: always a new c; §1 ⟨c,0,0⟩ belongs only to the process that was granted c",
    edits: [
      {
        file: REGISTRY,
        find: "const number = record.next++ as ConfigurationNumber;",
        replace:
          "record.next = record.active + 2;\n  const number = (record.active + 1) as ConfigurationNumber;",
      },
    ],
    flags: VERTICAL,
  },
  {
    name: "a pending configuration is resumed by another process",
    rule: "§1 a restarted reconfigurer asks for a new c",
    edits: [{ file: RECONFIGURATION, find: "world.unique()", replace: '"resumed"' }],
    flags: VERTICAL,
  },
  {
    name: "handed over from another configuration than the predecessor",
    rule: "§7 step 1: prev = c, and step 3: in c's lanes",
    edits: [
      { file: HANDOVER, find: "if (to.previous !== from.number)", replace: "if (to.previous < 0)" },
      { file: RECONFIGURATION, find: "if (from.number !== to.previous)", replace: "if (from.number < 0)" },
      {
        file: RECONFIGURATION,
        find: "this.#found(from, to)",
        replace: "this.#found(this.#process.known, to)",
      },
    ],
    flags: VERTICAL,
  },
  {
    name: "handed over to a configuration that is founded on a quorum only",
    rule: "§7 step 1: create lanes 0…K of c′ on all its acceptors",
    edits: [
      {
        file: RECONFIGURATION,
        find: "const NO_HURRY = Number.POSITIVE_INFINITY",
        replace: "const NO_HURRY = 20",
      },
      {
        file: RECONFIGURATION,
        find: "if (on.length < to.quorums.acceptors.length)",
        replace: "if (on.length < 0)",
      },
    ],
    flags: [
      ...VERTICAL,
      "--stress",
      "tableUnreachable,tableOneWay,tableSlow,requestLost,tableLost,tableRecreated",
    ],
  },
  {
    name: "the tail is executed before the activation",
    rule: "§7 step 6: before, no apply of S+1…H; invariant 9",
    edits: [
      {
        file: HANDOVER,
        find: "  #vote(slot: Slot, value: Value): void {",
        replace:
          "  #vote(slot: Slot, value: Value): void {\n    if (slot > this.#options.log.last) this.#execute(slot, value.text);",
      },
    ],
    flags: VERTICAL,
  },
  {
    name: "a pending configuration is led",
    rule: "§7 step 6: before, no other ballot of c′",
    edits: [
      {
        file: RECONFIGURATION,
        find: '    this.stage = "completing";\n',
        replace:
          '    this.stage = "completing";\n    this.#process.isReserved = false;\n    this.#process.lead(to);\n',
      },
    ],
    flags: VERTICAL,
  },
  {
    name: "the old ballots are not ended",
    rule: "§7 step 3",
    edits: [
      {
        file: FENCE,
        find: 'return { verb: "promise", key, ballot: this.#ballot };',
        replace:
          'return this.#ballot.includes(".00000000000000.") ? { verb: "read", key } : { verb: "promise", key, ballot: this.#ballot };',
      },
    ],
    flags: VERTICAL,
  },
  {
    name: "the tail is transferred to nobody in particular",
    rule: "§7 step 4: all acceptors of c′ (here: no ack is awaited)",
    edits: [{ file: HANDOVER, find: "isCovered && this.#votesMissing === 0", replace: "isCovered" }],
    flags: VERTICAL,
  },
  {
    name: "the tail is transferred to one acceptor",
    rule: "§7 step 4: all acceptors of c′",
    edits: [
      {
        file: HANDOVER,
        find: "for (const acceptor of this.#to.acceptors) {",
        replace: "for (const acceptor of this.#to.acceptors.slice(0, 1)) {",
      },
    ],
    flags: VERTICAL,
  },
  {
    name: "the tail is not transferred",
    rule: "§7 step 4: vote S+1…H",
    edits: [{ file: HANDOVER, find: "slot <= tailEnd; slot++", replace: "slot <= this.#target; slot++" }],
    flags: VERTICAL,
  },
  {
    name: "the tail is transferred as no-ops",
    rule: "§7 step 4: values by §4 step 4",
    edits: [{ file: HANDOVER, find: "this.#valueOf(slot) ??", replace: "" }],
    flags: VERTICAL,
  },
  {
    name: "Heads are not transferred",
    rule: "§7 step 4: every full acceptor's Head in c′ ≥ S",
    edits: [
      {
        file: HANDOVER,
        find: 'this.#phase === "transferring" && isCovered &&',
        replace: 'this.#phase === "transferring" &&',
      },
    ],
    flags: VERTICAL,
  },
  {
    name: "one Head is transferred",
    rule: "§7 step 4: every full acceptor's Head in c′ ≥ S",
    edits: [
      {
        file: HANDOVER,
        find: "this.#archive.allCover(this.#to.full, this.#target)",
        replace: "this.#to.full.some((each) => this.#archive.allCover([each], this.#target))",
      },
    ],
    flags: VERTICAL,
  },
  {
    name: "the tail is read before the fence",
    rule: "§7 step 3: cells read before it may not be used",
    edits: [
      {
        file: FENCE,
        find: "return this.#quorums.witnesses.has(of) ? promises : [...promises,",
        replace:
          'const reads = this.#ballot.includes(".00000000000000.") ? promises.map(({ key }): Verb => ({ verb: "read", key })) : [];\n    return this.#quorums.witnesses.has(of) ? [...reads, ...promises] : [...reads, ...promises,',
      },
      {
        file: FENCE,
        find: "this.#promised.get(verb.key.lane)?.add(of);",
        replace: 'if (verb.verb === "promise") this.#promised.get(verb.key.lane)?.add(of);',
      },
      {
        file: FENCE,
        find: "this.#cells.get(verb.key.lane)?.push(",
        replace:
          'if (verb.verb === "read" || !this.#ballot.includes(".00000000000000.")) this.#cells.get(verb.key.lane)?.push(',
      },
    ],
    flags: [...VERTICAL, "--stress", "verbsSplit,requestDelayed"],
  },
  {
    name: "a table that was created again is founded under its old name",
    rule: "§11 names are never reused",
    edits: [
      {
        file: "test/simulator/process.ts",
        find: "this.#portsFor(REGISTERED_INCARNATION)",
        replace: "this.#portsFor()",
      },
      {
        file: "test/simulator/owner.ts",
        find: "isBadWelcome || (!isLost && incarnation === 0)",
        replace: "isBadWelcome || !isLost || incarnation > 0",
      },
    ],
    flags: [...VERTICAL, "--stress", "tableRecreated"],
  },
  {
    name: "tables are deleted before the activation",
    rule: "§7 retirement: once act = c′",
    edits: [
      {
        file: REGISTRY,
        find: "record.nonces.set(nonce, number);",
        replace: "record.nonces.set(nonce, number);\n  retireUnused(state);",
      },
      {
        file: "shared/protocol/pool.ts",
        find: "of configurations.values()) for (const id",
        replace: "of [...configurations.values()].slice(-1)) for (const id",
      },
    ],
    flags: VERTICAL,
  },
  {
    name: "tables that are in use are deleted",
    rule: "§7 retirement: acceptors in neither c′ nor a pending configuration",
    edits: [
      {
        file: "shared/protocol/pool.ts",
        find: "if (!hadItsDay || needed.has(record.id)) continue;",
        replace: "if (!hadItsDay) continue;",
      },
    ],
    flags: VERTICAL,
  },
];

const endorsements: readonly Mutant[] = [
  {
    name: "a signature is not verified",
    rule: "§9 endorsement: authenticated",
    edits: [
      {
        file: ENDORSEMENT,
        find: "if (!verify(signatory.publicKey, text, signature))",
        replace: 'if (signature === "")',
      },
    ],
    flags: VERTICAL,
  },
  {
    name: "an endorsement never expires",
    rule: "§9 endorsement: bound to an expiry",
    edits: [{ file: ENDORSEMENT, find: "if (!(expires > time))", replace: "if (!(expires > 0))" }],
    flags: VERTICAL,
  },
  {
    name: "one who endorses twice counts twice",
    rule: "§9 endorsement: t distinct",
    edits: [{ file: ENDORSEMENT, find: "if (keys.has(signatory.publicKey))", replace: 'if (keys.has(""))' }],
    flags: VERTICAL,
  },
  {
    name: "an endorsement is not bound to its machine",
    rule: "§9 endorsement: bound to m",
    edits: [{ file: ENDORSEMENT, find: "FORMAT, machine, from,", replace: "FORMAT, from," }],
    flags: VERTICAL,
  },
  {
    name: "an endorsement is not bound to the previous ballot",
    rule: "§9 endorsement: bound to prev",
    edits: [{ file: ENDORSEMENT, find: "FORMAT, machine, from,", replace: "FORMAT, machine," }],
    flags: VERTICAL,
  },
  {
    name: "an endorsement is not bound to the ballot",
    rule: "§9 endorsement: bound to c′",
    edits: [{ file: ENDORSEMENT, find: "birthBallot(number), canonical", replace: "canonical" }],
    flags: VERTICAL,
  },
  {
    name: "an endorsement is not bound to the configuration",
    rule: "§9 endorsement: bound to the hash of the specification",
    edits: [{ file: ENDORSEMENT, find: "canonical(quorums), expires", replace: "expires" }],
    flags: VERTICAL,
  },
  {
    name: "a revoked leader's endorsement counts",
    rule: "§9 endorsement: by registered leader processes",
    edits: [{ file: ENDORSEMENT, find: "if (!mayEndorse(signatory))", replace: "if (false)" }],
    flags: VERTICAL,
  },
  {
    name: "one endorsement too few is enough",
    rule: "§9 endorsement: t",
    edits: [
      {
        file: ENDORSEMENT,
        find: "if (valid.length >= needed) return undefined;",
        replace: "if (valid.length >= needed - 1) return undefined;",
      },
    ],
    flags: VERTICAL,
  },
  {
    name: "a fleet of three needs one endorsement",
    rule: "§9 endorsement: t = q + 1 (here: two from three leaders on)",
    edits: [{ file: ENDORSEMENT, find: ".length >= 3 ? 2 : 1", replace: ".length > 3 ? 2 : 1" }],
    flags: VERTICAL,
  },
  {
    name: "an override is not recorded",
    rule: "§9 endorsement: whoever overrides answers for it",
    edits: [
      { file: ENDORSEMENT, find: "[...state.audit, entry].slice(-AUDIT_MAX)", replace: "[...state.audit]" },
    ],
    flags: VERTICAL,
  },
  {
    name: "a bad endorsement spoils the good ones",
    rule: "§9 endorsement: liveness needs t honest live ones, whatever others say",
    edits: [
      {
        file: ENDORSEMENT,
        find: "if (valid.length >= needed) return undefined;",
        replace: "if (valid.length >= needed && faults.length === 0) return undefined;",
      },
    ],
    flags: VERTICAL,
  },
];

const REGISTRY_LOG = [...VERTICAL, "--logged", "yes"] as const;

/** The same wrong rules where the log is the registry's, and those who reconfigure others depend on it. */
const registryLog: readonly Mutant[] = [...vertical, ...HORIZONTAL]
  .filter(({ name }) => AS_REGISTRY.includes(name))
  .map((mutant) => ({ ...mutant, name: `${mutant.name}, as registry`, flags: REGISTRY_LOG }));

export const MUTANTS: readonly Mutant[] = [
  ...acceptor,
  ...leader,
  ...archive,
  ...TRUNCATION,
  ...clients,
  ...reads,
  ...witnesses,
  ...driver,
  ...vertical,
  ...endorsements,
  ...PROVISIONING,
  ...registryLog,
  ...HORIZONTAL,
];
