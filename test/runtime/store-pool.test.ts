/** Where tables are comes from the registry, whose process may be newer than this one. */
import { once } from "node:events";
import { expect, test } from "vitest";
import { HEAD, UNKNOWN } from "../../shared/protocol/acceptor.ts";
import type { MachineId } from "../../shared/protocol/configuration.ts";
import type { AcceptorId } from "../../shared/protocol/quorum.ts";
import { StorePool } from "../../shared/runtime/store-pool.ts";
import { memoryStore } from "../../shared/storage/memory.ts";
import { openStore } from "../../shared/storage/open.ts";

const server = (id: string, kind: string) => ({
  id: id as AcceptorId,
  kind,
  location: "nowhere",
  incarnation: id,
});

test("a table that this version cannot open stops nobody: what becomes of its verbs is unknown, and the others are open", async () => {
  const pool = new StorePool((each) => (each.kind === "memory" ? memoryStore() : openStore(each)));
  const warned = once(process, "warning");
  pool.learn([server("new", "punched-cards"), server("old", "memory")]);
  expect(String(await warned)).toContain('of kind "punched-cards", which this version does not know');
  const machine = "tally/main" as MachineId;
  const verb = { verb: "read", key: HEAD } as const;
  expect(await pool.get("new" as AcceptorId)?.execute(machine, [verb, verb])).toEqual([UNKNOWN, UNKNOWN]);
  expect(await pool.get("old" as AcceptorId)?.execute(machine, [verb])).toEqual([{ outcome: "refused" }]);
  await pool.warm(machine, [server("new", "punched-cards")]);
  await pool.close();
});
