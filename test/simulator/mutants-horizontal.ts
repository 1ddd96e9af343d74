/**
 * Wrong rules of horizontal reconfiguration (PROTOCOL §8), one each.
 */
import type { Mutant } from "./mutants.ts";

const LEADER = "shared/protocol/leader.ts";
const EPOCH = "shared/protocol/epoch.ts";
const SUCCESSION = "shared/protocol/horizontal.ts";
const FENCE = "shared/protocol/fence.ts";
const HOST = "shared/runtime/host.ts";
const BOOTSTRAP = "test/simulator/bootstrap.ts";
const PROCESS = "test/simulator/process.ts";

const EPOCHS = ["--horizontal", "epoch"] as const;
const ALPHA = ["--horizontal", "alpha"] as const;

export const HORIZONTAL: readonly Mutant[] = [
  {
    name: "a vote before what the epoch inherits is installed",
    rule: "§8 U with Heads ≥ max(j−K, F−1)",
    edits: [
      { file: LEADER, find: "return this.#isInstalled && epoch.admits(", replace: "return epoch.admits(" },
    ],
    flags: EPOCHS,
  },
  {
    name: "a vote before what the epoch inherits is installed (α)",
    rule: "§8 U with Heads ≥ max(j−K, F−1)",
    edits: [
      { file: LEADER, find: "return this.#isInstalled && epoch.admits(", replace: "return epoch.admits(" },
    ],
    flags: ALPHA,
  },
  {
    name: "an epoch inherits nothing",
    rule: "§8 the first vote waits until F−1 is installed",
    edits: [
      {
        file: EPOCH,
        find: "return (this.#succession.current.first - 1) as Slot;",
        replace: "return 0 as Slot;",
      },
    ],
    flags: EPOCHS,
  },
  {
    name: "the next configuration is current at once",
    rule: "§8 applying F−1 makes it current",
    edits: [
      {
        file: SUCCESSION,
        find: "if (next === undefined || slot !== next.first - 1) return succession;",
        replace: "if (next === undefined) return succession;",
      },
    ],
    flags: ALPHA,
  },
  {
    name: "no-ops are not proposed",
    rule: "§8 with the Reconfigure the leader proposes the no-ops through F−1 at once",
    edits: [
      {
        file: EPOCH,
        find: "return slot <= Math.max(this.#fillThrough, next === undefined ? 0 : next.first - 1);",
        replace: "return next !== undefined && slot < 0;",
      },
    ],
    flags: [...ALPHA, "--subject", "ledger"],
  },
  {
    name: "a void slot is executed",
    rule: "§8 void even if chosen: never applied; invariant 9",
    edits: [
      {
        file: LEADER,
        find: "this.#execute(slot, proposal.value.text);\n      if (this.#epoch !== undefined && this.#movesOn(this.#epoch)) return;",
        replace: "this.#execute(slot, proposal.value.text);",
      },
    ],
    flags: EPOCHS,
  },
  {
    name: "a void slot is answered",
    rule: "§8 void even if chosen: never acked; invariant 9",
    edits: [
      {
        file: HOST,
        find: "this.#pump.putBack(isVoid);",
        replace:
          'for (const { done } of isVoid) done({ reply: "response", slot: (this.replica.applied + 1) as Slot, response: "null" });',
      },
    ],
    flags: EPOCHS,
  },
  {
    name: "reads by the old fence",
    rule: "§8 serve reads only while leading cur, by its fence cells",
    edits: [
      {
        file: LEADER,
        find: "this.#execute(slot, proposal.value.text);\n      if (this.#epoch !== undefined && this.#movesOn(this.#epoch)) return;",
        replace:
          "this.#execute(slot, proposal.value.text);\n      if (this.#epoch?.elsewhere !== undefined) return;",
      },
      {
        file: LEADER,
        find: "return this.#isInstalled && epoch.admits(",
        replace: "return epoch.elsewhere === undefined && this.#isInstalled && epoch.admits(",
      },
    ],
    flags: [...EPOCHS, "--stress", "lead"],
  },
  {
    name: "old tables are deleted before the epoch is installed",
    rule: "§8 retirement",
    edits: [
      {
        file: BOOTSTRAP,
        find: "number >= this.#pointer.number",
        replace: "number >= current.number",
      },
    ],
    flags: EPOCHS,
  },
  {
    name: "the pointer is moved before the epoch is installed",
    rule: "§8 retirement: once Heads ≥ F−1 meet every read quorum",
    edits: [
      {
        file: HOST,
        find: "this.#pump.open(leader);",
        replace:
          "this.#pump.open(leader);\n        this.#options.events.epochInstalled(this.#configuration as Configuration);",
      },
    ],
    flags: EPOCHS,
  },
  {
    name: "slots of the next configuration are voted in this one",
    rule: "§8 slots ≥ F belong to next; invariant 12",
    edits: [{ file: EPOCH, find: "return slot <= this.last && (alpha", replace: "return (alpha" }],
    flags: ALPHA,
  },
  {
    name: "slot j − α is not awaited",
    rule: "§8 α form: slot j is voted only once j−α is applied",
    edits: [
      {
        file: EPOCH,
        find: "(alpha === undefined || applied >= slot - alpha)",
        replace: "(alpha === undefined || applied >= 0)",
      },
    ],
    flags: ALPHA,
  },
  {
    name: "expect is not looked at",
    rule: "§8 Reconfigure is void unless expect = cur",
    edits: [{ file: SUCCESSION, find: "if (expect !== number) return", replace: "if (expect < 0) return" }],
    flags: EPOCHS,
  },
  {
    name: "a second reconfiguration replaces the first",
    rule: "§8 void unless no next is pending",
    edits: [
      {
        file: SUCCESSION,
        find: "if (next !== undefined) return",
        replace: "if (next !== undefined && expect < 0) return",
      },
    ],
    flags: EPOCHS,
  },
  {
    name: "a horizontal configuration has witnesses",
    rule: "§8 horizontal configurations have no witness",
    edits: [
      {
        file: SUCCESSION,
        find: "if (quorums.witnesses.length > 0)",
        replace: "if (quorums.witnesses.length < 0)",
      },
    ],
    flags: EPOCHS,
  },
  {
    name: "an epoch ends within a chunk",
    rule: "§8 F−1 is rounded up to a multiple of C",
    edits: [
      {
        file: SUCCESSION,
        find: "return roundUpToChunk(geometry, (slot + alpha - 1) as Slot);",
        replace: "return (slot + Math.min(alpha, geometry.lanes) - 1) as Slot;",
      },
      {
        file: SUCCESSION,
        find: "import { type Geometry, roundUpToChunk, type Slot }",
        replace: "import { type Geometry, type Slot }",
      },
    ],
    flags: EPOCHS,
  },
  {
    name: "a reconfiguration takes effect without α",
    rule: "§8 F−1 = s+α−1",
    edits: [
      { file: SUCCESSION, find: "{ alpha = 1 }: Horizontal, geometry", replace: "_: Horizontal, geometry" },
      { file: SUCCESSION, find: "(slot + alpha - 1) as Slot)", replace: "slot)" },
    ],
    flags: ALPHA,
  },
  {
    name: "no phase one in the next configuration",
    rule: "§8 §4 step 2 there, with ⟨c+1, r, p⟩",
    edits: [
      {
        file: FENCE,
        find: 'return { verb: "promise", key, ballot: this.#ballot };',
        replace:
          'return this.#configuration.number > 1 ? { verb: "read", key } : { verb: "promise", key, ballot: this.#ballot };',
      },
    ],
    flags: EPOCHS,
  },
  {
    name: "a configuration is led that is over",
    rule: "§8 if the state's cur is later, conclude nothing from its cells and walk on",
    edits: [
      {
        file: EPOCH,
        find: "return configuration.number === this.#options.configuration.number ? undefined : configuration;",
        replace:
          "return configuration.number >= this.#options.configuration.number ? undefined : configuration;",
      },
    ],
    flags: EPOCHS,
  },
  {
    name: "a configuration is led that is not installed",
    rule: "§8 if the state's cur is earlier, go back to it",
    edits: [
      {
        file: EPOCH,
        find: "return configuration.number === this.#options.configuration.number ? undefined : configuration;",
        replace:
          "return configuration.number <= this.#options.configuration.number ? undefined : configuration;",
      },
    ],
    flags: EPOCHS,
  },
  {
    name: "what is about to be led is not founded",
    rule: "§8 create its lanes",
    edits: [
      {
        file: LEADER,
        find: "if (this.#options.horizontal?.isUnfounded === true) this.#found();",
        replace: "if (this.#options.horizontal?.isUnfounded === undefined) this.#found();",
      },
    ],
    flags: EPOCHS,
  },
  {
    name: "old tables are no sources",
    rule: "§8 raise Heads: what the new tables lack is on the old ones",
    edits: [
      {
        file: LEADER,
        find: "if (this.#epoch !== undefined) this.#findSources(this.#epoch);",
        replace: "",
      },
    ],
    flags: EPOCHS,
  },
  {
    name: "a table that was created again is founded by who walks on",
    rule: "§11 names are never reused",
    edits: [
      {
        file: PROCESS,
        find: "isFounding ? REGISTERED_INCARNATION : incarnation",
        replace: "isFounding ? incarnation : incarnation",
      },
    ],
    flags: [...EPOCHS, "--stress", "tableRecreated"],
  },
  {
    name: "a snapshot forgets the succession",
    rule: "§5.2 a snapshot holds all of the state; §8 the configuration is part of it",
    edits: [
      {
        file: "shared/protocol/replica.ts",
        find: "...(this.#succession && { succession: this.#succession }),",
        replace: "",
      },
    ],
    flags: [...EPOCHS, "--truncation", "yes"],
  },
  {
    name: "a leader does not know what a snapshot says of the succession",
    rule: "§8 if the state's cur is not the configuration that is recovered, conclude nothing from its cells",
    edits: [{ file: LEADER, find: "this.#epoch?.installed(successionOf(snapshot.frozen));", replace: "" }],
    flags: [...EPOCHS, "--truncation", "yes"],
  },
];
