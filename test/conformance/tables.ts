/** What every adapter of the tables port must do. */
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { GONE } from "../../shared/protocol/acceptor.ts";
import type { MachineId } from "../../shared/protocol/configuration.ts";
import type { AcceptorServer } from "../../shared/protocol/pool.ts";
import type { AcceptorId } from "../../shared/protocol/quorum.ts";
import type { Tables } from "../../shared/provision/tables.ts";
import { registryCommandOf } from "../../shared/runtime/registry/registry-commands.ts";
import type { AcceptorStore } from "../../shared/storage/store.ts";
import { applied, bornCell, createCell, readCell } from "./items.ts";

export interface TablesSubject {
  /** Of the same deployment, as another process has them. */
  readonly open: () => Tables;
  readonly store: (acceptor: AcceptorServer) => AcceptorStore;
  /** Makes a table that looks like one of these, and has not the tag. */
  readonly stranger: () => Promise<AcceptorId>;
}

const MACHINE = "bank/main" as MachineId;
const NONE: ReadonlySet<AcceptorId> = new Set();
const POLL_MS = 20;
const READY_MS_MAX = 20_000;
/** Clocks are not the same everywhere. */
const CLOCK_MS = 5_000;

/** `make`: a new deployment, without tables. */
export function tablesConformance(name: string, make: () => Promise<TablesSubject>): void {
  describe(`tables of ${name}`, () => {
    test("are made empty, and can be used once they are ready", async () => {
      const { open, store } = await make();
      const tables = open();
      const table = await tables.create([]);
      await untilReady(tables, table);
      const opened = store(table);
      try {
        expect(await opened.execute(MACHINE, [readCell])).toEqual([{ outcome: "refused" }]);
        expect(await opened.execute(MACHINE, [createCell])).toEqual([applied()]);
        expect(await opened.execute(MACHINE, [readCell])).toEqual([applied(bornCell)]);
      } finally {
        await opened.close();
      }
    });

    test("are never the same, and of a form that the registry takes", async () => {
      const { open } = await make();
      const made = await Promise.all(Array.from({ length: 4 }, () => open().create([])));
      for (const field of ["id", "location", "incarnation"] as const)
        expect(new Set(made.map((each) => each[field])).size).toBeGreaterThanOrEqual(
          field === "incarnation" ? 1 : 4,
        );
      for (const acceptor of made) {
        expect(acceptor.id).toMatch(/^p-[0-9a-f]{32}$/);
        const command = { type: "provisioned", request: "o1", acceptor };
        expect(registryCommandOf(command)).toEqual(command);
      }
    });

    test("are listed with their ages by everybody, but for those that need not be, and strangers", async () => {
      const { open, stranger } = await make();
      expect(await open().list(NONE)).toEqual([]);
      const made = [await open().create([]), await open().create([])] as const;
      const unknown = await stranger();
      const listed = await open().list(NONE);
      expect(listed.map(({ id }) => id).sort()).toEqual(made.map(({ id }) => id).sort());
      expect(listed.map(({ id }) => id)).not.toContain(unknown);
      for (const { id, location, ageMs } of listed) {
        expect(location).toBe(made.find((each) => each.id === id)?.location);
        expect(ageMs).toBeGreaterThan(-CLOCK_MS);
      }
      expect((await open().list(new Set([made[0].id]))).map(({ id }) => id)).toEqual([made[1].id]);
    });

    test("are gone for good when they are deleted, and deleting one again is harmless", async () => {
      const { open, store } = await make();
      const tables = open();
      const [table, other] = [await tables.create([]), await tables.create([])];
      await untilReady(tables, table);
      expect(await open().has(table)).toBe(true);
      const before = store(table);
      await before.execute(MACHINE, [createCell]);
      for (let again = 0; again < 2; again++) {
        await tables.delete(table);
        expect([await open().has(table), await open().isReady(table)]).toEqual([false, false]);
      }
      expect((await open().list(NONE)).map(({ id }) => id)).toEqual([other.id]);
      expect(await before.execute(MACHINE, [readCell])).toEqual([GONE]);
      await before.close();
    });
  });
}

export async function untilReady(tables: Tables, table: AcceptorServer): Promise<void> {
  const deadline = performance.now() + READY_MS_MAX;
  while (!(await tables.isReady(table))) {
    expect(performance.now(), `${table.location} is ready in time`).toBeLessThan(deadline);
    await sleep(POLL_MS);
  }
}
