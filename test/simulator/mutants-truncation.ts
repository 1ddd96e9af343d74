/**
 * Wrong rules of snapshots, truncation and catching up by them (PROTOCOL §5), one each.
 */
import type { Edit, Mutant } from "./mutants.ts";

const ACCEPTOR = "shared/protocol/acceptor.ts";
const LEARNER = "shared/protocol/learner.ts";
const CONTENTS = "shared/protocol/contents.ts";
const COPYING = "shared/protocol/copying.ts";
const TRIMMING = "shared/protocol/trimming.ts";
const TRUNCATOR = "shared/protocol/truncation.ts";
const INBOX = "shared/protocol/inbox.ts";
const REPLICA = "shared/protocol/replica.ts";
const SESSION = "shared/protocol/session.ts";

const FEW_SESSIONS: Edit = { file: SESSION, find: "SESSIONS_MAX = 16_384", replace: "SESSIONS_MAX = 3" };

const TRUNCATING = ["--subject", "ledger", "--truncation", "yes"] as const;

export const TRUNCATION: readonly Mutant[] = [
  {
    name: "Head before its snapshot",
    rule: "§5.2 put parts, await, advance ss; invariant 4",
    edits: [
      { file: TRUNCATOR, find: "else this.#putParts(of);", replace: "else this.#advance(of, head);" },
      {
        file: TRUNCATOR,
        find: "    this.#requests.ask(\n      of,",
        replace:
          "    this.#contents.putParts(of, this.#options.snapshot, () => {});\n    this.#requests.ask(\n      of,",
      },
    ],
    flags: TRUNCATING,
  },
  {
    name: "Head before the last part is put",
    rule: "§5.2 put parts, await, advance ss; invariant 4",
    edits: [
      {
        file: CONTENTS,
        find: "if (from >= keyed.length) return done();",
        replace:
          "if (from + PARTS_PER_REQUEST >= keyed.length) done();\n      if (from >= keyed.length) return;",
      },
      {
        file: TRUNCATOR,
        find: "if (trouble === undefined) this.#verify(of);",
        replace: "if (trouble === undefined) this.#replaceSnapshot(of);",
      },
    ],
    flags: TRUNCATING,
  },
  {
    name: "Head before a copied part is put",
    rule: "§5.2 lagging and new tables catch up so; invariant 4",
    edits: [
      {
        file: COPYING,
        find: "if (copied === all) done(",
        replace: "if (underWay > 0 || copied === all) done(",
      },
    ],
    flags: TRUNCATING,
  },
  {
    name: "parts are not read back",
    rule: "a snapshot is verified by its digest before anything is trimmed",
    edits: [
      {
        file: TRUNCATOR,
        find: "if (trouble === undefined) this.#verify(of);",
        replace: "if (trouble === undefined) this.#replaceSnapshot(of);",
      },
    ],
    scenario: "damagedPart",
  },
  {
    name: "a part's digest is not compared",
    rule: "a snapshot is verified by its digest before anything is trimmed",
    edits: [
      {
        file: CONTENTS,
        find: "if (this.#options.digest(content.text) !== content.digest)",
        replace: 'if (key.kind === "chunk" && this.#options.digest(content.text) !== content.digest)',
      },
    ],
    scenario: "damagedPart",
  },
  {
    name: "a snapshot's name is not compared",
    rule: "§2 ref = slot + content hash",
    edits: [
      {
        file: CONTENTS,
        find: "if (nameOf(slotOf(snapshot), digests, this.#options.digest) === snapshot) return undefined;",
        replace:
          "if (nameOf(slotOf(snapshot), digests, this.#options.digest) !== undefined) return undefined;",
      },
    ],
    scenario: "foreignPart",
  },
  {
    name: "chunks dropped before the Head is acknowledged",
    rule: "§5.3 after the ack of advance on that table; invariant 4",
    edits: [
      {
        file: TRUNCATOR,
        find: "const head: Head = { kind",
        replace:
          "this.#trimming.trim(of, before, { ...before, snapshotSlot: slot }, () => {});\n    const head: Head = { kind",
      },
    ],
    flags: TRUNCATING,
  },
  {
    name: "chunks dropped beyond the snapshot",
    rule: "§5.3 drop its chunks ≤ ss; invariant 4",
    edits: [
      {
        file: TRIMMING,
        find: "const through = Math.min(now.snapshotSlot, before.covered) as Slot;",
        replace: "const through = before.covered;",
      },
    ],
    flags: TRUNCATING,
  },
  {
    name: "chunks of all tables dropped when one is truncated",
    rule: "§5.3 after the ack of advance on *that* table",
    edits: [
      {
        file: TRUNCATOR,
        find: "  #trim(of: AcceptorId, before: Head, now: Head): void {",
        replace:
          "  #trim(of: AcceptorId, before: Head, now: Head): void {\n    for (const other of this.#busy) if (other !== of) this.#trimming.trim(other, before, now, () => {});",
      },
    ],
    flags: TRUNCATING,
  },
  {
    name: "parts of the current snapshot dropped",
    rule: "§5.3 drop older parts; invariant 4",
    edits: [
      {
        file: TRIMMING,
        find: "partKeys(before.snapshot) : [];",
        replace: "partKeys(now.snapshot) : [];",
      },
    ],
    flags: TRUNCATING,
  },
  {
    name: "whoever comes second drops the snapshot of the first",
    rule: "§5 late or repeated requests leave garbage and nothing worse",
    edits: [
      {
        file: TRUNCATOR,
        find: "if (now.snapshot === name) this.#trim(of, now, now);\n    else ",
        replace: "",
      },
    ],
    flags: TRUNCATING,
  },
  {
    name: "Head raised past its snapshot",
    rule: "§5.2 advance ss, and si if behind; invariant 4",
    edits: [
      {
        file: TRUNCATOR,
        find: "Math.max(before.covered, slot) as",
        replace: "(Math.max(before.covered, slot) + this.#options.geometry.chunkSlots) as",
      },
    ],
    flags: TRUNCATING,
  },
  {
    name: "a copied snapshot stands for all that its source covers",
    rule: "§5 raise si only from a Head value of *that* table",
    edits: [
      {
        file: COPYING,
        find: 'done({ kind: "head", covered: snapshotSlot, snapshotSlot, snapshot });',
        replace: 'done({ kind: "head", covered: shown.covered, snapshotSlot, snapshot });',
      },
    ],
    flags: TRUNCATING,
  },
  {
    name: "a lagging table's chunks after a gap",
    rule: "§5.2 lagging and new tables catch up by a snapshot; invariant 4",
    edits: [
      {
        file: COPYING,
        find: "const first = (head.covered / geometry.chunkSlots) as ChunkNumber;\n    const through",
        replace:
          "const first = (Math.max(head.covered, shown.snapshotSlot) / geometry.chunkSlots) as ChunkNumber;\n    const through",
      },
      {
        file: COPYING,
        find: "if (shown.snapshotSlot >= next) this",
        replace: "if (shown.snapshotSlot < 0) this",
      },
    ],
    flags: TRUNCATING,
  },
  {
    name: "an older snapshot replaces a newer one",
    rule: "§3 advance: ss < :ss OR (ss = :ss AND ref = :ref)",
    edits: [
      {
        file: ACCEPTOR,
        find: "const newerSnapshot = item.snapshotSlot < head.snapshotSlot;",
        replace: "const newerSnapshot = true;",
      },
    ],
    flags: TRUNCATING,
  },
  {
    name: "another snapshot of the same slot replaces the first",
    rule: "§3 advance: ss < :ss OR (ss = :ss AND ref = :ref)",
    edits: [
      {
        file: ACCEPTOR,
        find: "item.snapshotSlot === head.snapshotSlot && item.snapshot === head.snapshot;",
        replace: "item.snapshotSlot === head.snapshotSlot;",
      },
    ],
    flags: TRUNCATING,
  },
  {
    name: "a truncated table is not seen as newer",
    rule: "§5 raise si only from a Head value of that table: as it is by now",
    edits: [
      {
        file: COPYING,
        find: "return head.covered > known.covered || head.snapshotSlot > known.snapshotSlot;",
        replace: "return head.covered > known.covered;",
      },
    ],
    flags: TRUNCATING,
  },
  {
    name: "a missing part is the end",
    rule: "§4.3 a missing chunk or part: conclude nothing",
    edits: [
      {
        file: LEARNER,
        find: "if (trouble !== undefined) return this.#look(of, head, trouble, done);",
        replace:
          'if (trouble !== undefined) return trouble.why === "missing" ? done() : this.#look(of, head, trouble, done);',
      },
    ],
    scenario: "truncatedUnderReader",
  },
  {
    name: "a table that was truncated meanwhile is called damaged",
    rule: "§4.3 a missing chunk or part means that truncation raced: re-read that Head",
    edits: [
      {
        file: LEARNER,
        find: "else if (isTruncatedSince(head, now)) this.learn(of, now, done);",
        replace: "",
      },
    ],
    scenario: "truncatedUnderReader",
  },
  {
    name: "a snapshot is installed over what is newer",
    rule: "invariant 10: what was executed is not forgotten",
    edits: [
      {
        file: LEARNER,
        find: "if (applied() < head.snapshotSlot)\n          installed(",
        replace: "installed(",
      },
    ],
    scenario: "overtakenSnapshot",
  },
  {
    name: "chunks stay for ever",
    rule: "a log that grows without bound is a defect",
    edits: [
      {
        file: TRIMMING,
        find: "this.drop(of, chunkKeys(geometry, oldest, through), done),",
        replace: "done(),",
      },
    ],
    scenario: "nothingIsLeft",
  },
  {
    name: "older parts stay for ever",
    rule: "§5.3 drop older parts",
    edits: [
      {
        file: TRIMMING,
        find: "before.snapshotSlot > 0 && isTruncatedSince(before, now) ?",
        replace: "before.snapshotSlot < 0 ?",
      },
    ],
    scenario: "nothingIsLeft",
  },
  {
    name: "what a crash left stays for ever",
    rule: "§5 a crash leaves garbage, and the next truncation finishes it",
    edits: [
      {
        file: TRIMMING,
        find: "if (isAnyThere) this.#walkDown(of, first, found);\n        else ",
        replace: "",
      },
    ],
    scenario: "nothingIsLeft",
  },
  {
    name: "chunks are read from the first one on",
    rule: "§2 snapshot ss and then chunks",
    edits: [
      {
        file: LEARNER,
        find: "else if (applied < head.snapshotSlot) this.#readSnapshot(of, head, done);",
        replace: "",
      },
    ],
    flags: TRUNCATING,
  },
  {
    name: "a snapshot says a later slot than its state",
    rule: "§5 only applied slots",
    edits: [
      {
        file: REPLICA,
        find: "      slot: this.#applied,\n      time: this.#time,",
        replace: "      slot: (this.#applied + 1) as Slot,\n      time: this.#time,",
      },
    ],
    flags: TRUNCATING,
  },
  {
    name: "sessions are not in the snapshot",
    rule: "§5.2 machine state and session table; invariant 10",
    edits: [{ file: REPLICA, find: "this.#sessions = Sessions.thaw(sessions);", replace: "" }],
    flags: TRUNCATING,
  },
  {
    name: "nonces are not in the snapshot",
    rule: "§5.2 machine state and session table; §6 a nonce still present returns its session",
    edits: [{ file: SESSION, find: "thawed.#byNonce.set(nonce, id);", replace: "" }],
    flags: TRUNCATING,
  },
  {
    name: "sessions are frozen in another order",
    rule: "§6 evict least recently used by log position",
    edits: [
      FEW_SESSIONS,
      {
        file: SESSION,
        find: "const sessions = [...this.#sessions].map(",
        replace: "const sessions = [...this.#sessions].toReversed().map(",
      },
    ],
    flags: TRUNCATING,
  },
  {
    name: "keys are not in the snapshot",
    rule: "§5.2 machine state and session table; invariant 10",
    edits: [
      { file: SESSION, find: "for (const [key, reply] of keys) thawed.#keys.set(key, reply);", replace: "" },
    ],
    flags: TRUNCATING,
  },
  {
    name: "inboxes are not in the snapshot",
    rule: "§5.2 a snapshot holds all that is replicated",
    edits: [{ file: REPLICA, find: "this.#inboxes = Inboxes.thaw(inboxes);", replace: "" }],
    flags: TRUNCATING,
  },
  {
    name: "messages are counted from one again after a snapshot",
    rule: "§5.2 a snapshot holds all that is replicated",
    edits: [{ file: INBOX, find: "thawed.#cursor = cursor;", replace: "" }],
    flags: TRUNCATING,
  },
  {
    name: "the logged time is not in the snapshot",
    rule: "the machine's time never runs backwards, on any replica",
    edits: [
      { file: REPLICA, find: "    this.#time = time;\n    this.#sessions", replace: "    this.#sessions" },
    ],
    flags: [...TRUNCATING, "--stress", "clockJump"],
  },
  {
    name: "a throw after a snapshot brings back the state before it",
    rule: "a command that throws leaves the state as it was",
    edits: [{ file: REPLICA, find: "    this.#checkpoint = state;\n", replace: "" }],
    flags: TRUNCATING,
  },
  {
    name: "a throw after a snapshot repeats what was before it",
    rule: "a command that throws leaves the state as it was",
    edits: [
      {
        file: REPLICA,
        find: "    this.#checkpoint = state;\n    this.#since = [];\n",
        replace: "    this.#checkpoint = state;\n",
      },
    ],
    flags: TRUNCATING,
  },
];
