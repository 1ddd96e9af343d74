/** Wrong rules of the pool, the outbox and whoever carries it out (PROTOCOL §9, §11). */
import type { Mutant } from "./mutants.ts";

const POOL = "shared/protocol/pool.ts";
const TABLE = "test/simulator/table.ts";
const PROVISIONER = "test/simulator/provisioner.ts";
const VERTICAL = ["--subject", "ledger", "--vertical", "yes"] as const;

export const PROVISIONING: readonly Mutant[] = [
  {
    name: "provisioning is run again under the same name",
    rule: "§11 each attempt draws fresh names; names are never reused",
    edits: [
      {
        file: PROVISIONER,
        find: "const table = this.#world.unregisteredTable();",
        replace:
          "const named = (each: Table) => (each as { request?: string }).request === request;\n    const table = this.#made.find(named) ?? Object.assign(this.#world.unregisteredTable(), { request });\n    if (table.isLost) table.recreate();",
      },
      {
        file: PROVISIONER,
        find: "acceptor: serverNamed(table.id) }",
        replace: "acceptor: { ...serverNamed(table.id), incarnation: String(this.#random.fraction()) } }",
      },
    ],
    flags: VERTICAL,
  },
  {
    name: "a report that is said again is told that it came too late",
    rule: "§9 said again, a command has the same answer",
    edits: [
      {
        file: POOL,
        find: "recorded: state.acceptors.get(id)?.incarnation === acceptor.incarnation",
        replace: "recorded: isWanted",
      },
    ],
    flags: VERTICAL,
  },
  {
    name: "a table is recorded that was disowned",
    rule: "§11 unrecorded ones are deleted, and can get no record from then on",
    edits: [
      { file: POOL, find: "  state.former.add(id);\n  return { disowned", replace: "  return { disowned" },
    ],
    flags: VERTICAL,
  },
  {
    name: "a table is disowned that is on record",
    rule: "§11 unrecorded ones are deleted, and no others",
    edits: [
      {
        file: POOL,
        find: "if (state.acceptors.has(id)) return { disowned: false };",
        replace: "if (state.former.has(id)) return { disowned: false };",
      },
    ],
    flags: VERTICAL,
  },
  {
    name: "a table is proposed that is being deleted",
    rule: "§11 names are never reused; §7 retirement",
    edits: [
      {
        file: POOL,
        find: 'if (record.state === "retired") return',
        replace: 'if (record.state !== "retired" && id === "") return',
      },
    ],
    flags: VERTICAL,
  },
  {
    name: "what is suspected is deleted at once",
    rule: "§7 retirement: not before no configuration has it",
    edits: [
      {
        file: POOL,
        find: "if (!hadItsDay || needed.has(record.id)) continue;",
        replace: 'if (!hadItsDay || (needed.has(record.id) && record.state !== "suspected")) continue;',
      },
    ],
    flags: VERTICAL,
  },
  {
    name: "a table that was rolled back is in use again",
    rule: "§11 a file that was rolled back is a lost acceptor",
    edits: [
      {
        file: TABLE,
        find: "  isLost = false;\n  /**",
        replace: "  isLost = false;\n  #writes = 0;\n  #copy = new Map<string, Item>();\n  /**",
      },
      {
        file: TABLE,
        find: "if (next !== undefined) this.#watch(",
        replace:
          "if (++this.#writes % 40 === 0) this.#copy = new Map(this.items);\n    if (next !== undefined) this.#watch(",
      },
      {
        file: TABLE,
        find: "this.incarnation++;\n    this.items.clear();",
        replace:
          "this.items.clear();\n    for (const [name, item] of this.#copy) this.items.set(name, item);",
      },
      {
        file: "test/simulator/nemesis.ts",
        find: "table.recreate();\n    this.#world.tableChecks.forgot(table);",
        replace: "table.recreate();",
      },
    ],
    flags: ["--stress", "tableRecreated"],
  },
];
