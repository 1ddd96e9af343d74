import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Worker } from "node:worker_threads";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { GONE, type Outcome, UNKNOWN, type Verb } from "../../shared/protocol/acceptor.ts";
import type { MachineId } from "../../shared/protocol/configuration.ts";
import { createSqliteTable, inspectSqliteTable, sqliteStore } from "../../shared/storage/sqlite.ts";
import type { AcceptorStore } from "../../shared/storage/store.ts";
import { acceptorStoreConformance } from "./acceptor-store.ts";
import {
  applied,
  b2,
  b3,
  bornCell,
  chunk,
  content,
  contentVerbs,
  createCell,
  createHead,
  readCell,
  value,
  vote,
  voted,
} from "./items.ts";

const BIRTH = "birth-one";
const CHILD = new URL("./sqlite-child.ts", import.meta.url).pathname;
const MACHINE = "conformance/voted" as MachineId;

acceptorStoreConformance("sqlite", async () => {
  const folder = mkdtempSync(join(tmpdir(), "theseus-"));
  const path = join(folder, "acceptor ü #1?.db");
  createSqliteTable(path, BIRTH);
  const store = sqliteStore(path, BIRTH);
  const second = sqliteStore(path, BIRTH);
  return {
    store,
    second,
    destroy: async () => remove(path),
    rebirth: async () => {
      remove(path);
      createSqliteTable(path, "birth-two");
      return sqliteStore(path, "birth-two");
    },
    cleanup: async () => {
      await Promise.all([store.close(), second.close()]);
      rmSync(folder, { recursive: true });
    },
  };
});

let folder: string;
let path: string;
let stores: AcceptorStore[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "theseus-"));
  path = join(folder, "acceptor.db");
  stores = [];
});
afterEach(async () => {
  vi.useRealTimers();
  await Promise.all(stores.map((store) => store.close()));
  rmSync(folder, { recursive: true });
});

function open(at = path, incarnation = BIRTH): AcceptorStore {
  const store = sqliteStore(at, incarnation);
  stores.push(store);
  return store;
}

async function say(store: AcceptorStore, verb: Verb): Promise<Outcome | undefined> {
  return (await store.execute(MACHINE, [verb]))[0];
}

describe("birth", () => {
  test("a table is one file, empty, and only its owner may open it", async () => {
    createSqliteTable(path, BIRTH);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(existsSync(`${path}-wal`)).toBe(false);
    expect(inspectSqliteTable(path, BIRTH)).toEqual({ state: "ok" });
    expect(await say(open(), readCell)).toEqual({ outcome: "refused" });
  });

  test("a file that is there is left alone", async () => {
    createSqliteTable(path, BIRTH);
    await say(open(), createCell);
    expect(() => createSqliteTable(path, "birth-two")).toThrow("EEXIST");
    expect(await say(open(), readCell)).toMatchObject({ outcome: "applied" });
  });

  test("opening never creates a file", async () => {
    expect(inspectSqliteTable(path, BIRTH)).toEqual(lostBecause("is not there"));
    expect(await say(open(), createCell)).toEqual(GONE);
    expect(existsSync(path)).toBe(false);
    createSqliteTable(path, BIRTH);
    expect(await say(stores[0] as AcceptorStore, createCell), "a file that comes later").toEqual(GONE);
  });

  test("a table that was half born is no table", async () => {
    writeFileSync(path, "");
    expect(inspectSqliteTable(path, BIRTH)).toEqual(lostBecause("is not a table of Theseus"));
    expect(await say(open(), createCell)).toEqual(GONE);
  });

  test("another birth stamp is a lost table", async () => {
    createSqliteTable(path, "birth-two");
    expect(inspectSqliteTable(path, BIRTH)).toEqual(lostBecause("was born as birth-two, not as birth-one"));
    expect(await say(open(), createCell)).toEqual(GONE);
  });

  test("a newer format is not touched", async () => {
    createSqliteTable(path, BIRTH);
    onFile((database) => database.exec("PRAGMA user_version = 2"));
    expect(inspectSqliteTable(path, BIRTH)).toEqual(lostBecause("has format 2"));
    expect(await say(open(), createCell)).toEqual(GONE);
  });

  test("another program's database is not touched", async () => {
    writeFileSync(path, "");
    onFile((database) => database.exec("CREATE TABLE cell (machine)"));
    expect(inspectSqliteTable(path, BIRTH)).toEqual(lostBecause("is not a table of Theseus"));
    expect(await say(open(), createCell)).toEqual(GONE);
  });
});

describe("damage", () => {
  test("a file that is no database is lost", async () => {
    writeFileSync(path, "not a database ".repeat(1_000));
    expect(inspectSqliteTable(path, BIRTH)).toEqual(lostBecause("is damaged"));
    expect(await say(open(), createCell)).toEqual(GONE);
  });

  test("a file that was cut is lost", async () => {
    await bornWithChunks(100);
    truncateSync(path, 40 * 4_096);
    expect(inspectSqliteTable(path, BIRTH)).toEqual(lostBecause("is damaged"));
  });

  test("a page of rubbish in the middle is found at inspection, and by the verb that meets it", async () => {
    await bornWithChunks(100);
    const bytes = readFileSync(path);
    writeFileSync(
      path,
      Buffer.concat([bytes.subarray(0, 4_096 * 4), Buffer.alloc(bytes.length - 4_096 * 4, 0xa5)]),
    );
    expect(inspectSqliteTable(path, BIRTH)).toEqual(lostBecause("is damaged"));
    const store = open();
    const reads = Array.from({ length: 100 }, (_, index): Verb => ({ verb: "read", key: chunk(index) }));
    expect(await store.execute(MACHINE, reads)).toEqual(reads.map(() => GONE));
    expect(await say(store, createHead), "lost for ever").toEqual(GONE);
  });
});

describe("loss while open", () => {
  test("a deleted file stays deleted", async () => {
    const store = await bornAndOpen();
    remove(path);
    expect(await say(store, vote(b2, 1, "late"))).toEqual(GONE);
    expect(existsSync(path)).toBe(false);
  });

  test("a copy in its place is not the table, and is left as it is", async () => {
    const store = await bornAndOpen();
    await store.close();
    copyFileSync(path, join(folder, "copy.db"));
    const copy = readFileSync(path);
    const reopened = open();
    expect(await say(reopened, vote(b2, 1, "promised to nobody"))).toEqual(applied());
    renameSync(join(folder, "copy.db"), path);
    expect(await say(reopened, vote(b2, 2, "late"))).toEqual(GONE);
    expect(await say(reopened, readCell)).toEqual(GONE);
    await reopened.close();
    expect(readFileSync(path).equals(copy)).toBe(true);
  });

  test("a file that was away and came back is lost to those who saw it, and unchanged for others", async () => {
    const store = await bornAndOpen();
    renameSync(path, join(folder, "away.db"));
    expect(await say(store, vote(b2, 1, "late"))).toEqual(GONE);
    renameSync(join(folder, "away.db"), path);
    expect(await say(store, readCell)).toEqual(GONE);
    expect(await say(open(), readCell)).toEqual(applied(bornCell));
    await store.close();
    expect(await say(store, readCell), "closing does not make it less lost").toEqual(GONE);
  });

  test("a table without its log is an older state of itself: lost", async () => {
    const store = await bornAndOpen();
    rmSync(`${path}-wal`);
    expect(await say(store, vote(b2, 1, "late"))).toEqual(GONE);
  });

  test("all requests under way hear of the loss", async () => {
    const store = await bornAndOpen();
    remove(path);
    const outcomes = await Promise.all(Array.from({ length: 50 }, () => say(store, readCell)));
    expect(outcomes).toEqual(outcomes.map(() => GONE));
  });
});

describe("trouble that may pass", () => {
  test("a lock that is held too long leaves the outcome unknown; afterwards the same verb is applied", async () => {
    const store = await bornAndOpen();
    const holder = new DatabaseSync(path);
    holder.exec("BEGIN IMMEDIATE");
    expect(await say(store, vote(b2, 1, "value"))).toEqual(UNKNOWN);
    holder.exec("ROLLBACK");
    holder.close();
    expect(await say(store, vote(b2, 1, "value"))).toEqual(applied());
  });

  test("a lock that is held for a moment is waited for", async () => {
    const store = await bornAndOpen();
    const holder = new DatabaseSync(path);
    holder.exec("BEGIN IMMEDIATE");
    const outcome = say(store, vote(b2, 1, "value"));
    const quick = await Promise.race([outcome, new Promise((resolve) => setTimeout(resolve, 50, "waits"))]);
    expect(quick).toBe("waits");
    holder.exec("COMMIT");
    holder.close();
    expect(await outcome).toEqual(applied());
  });

  test("without the right to write, outcomes are unknown and nothing is lost", async () => {
    await (await bornAndOpen()).close();
    const before = readFileSync(path);
    chmodSync(path, 0o400);
    const { lines } = await finished(startChild("reader", 1, 0, { maySkipRights: false }));
    expect(lines).toEqual(["unusable", "unknown"]);
    chmodSync(path, 0o600);
    expect(readFileSync(path).equals(before)).toBe(true);
    expect(inspectSqliteTable(path, BIRTH)).toEqual({ state: "ok" });
  });

  test("a full disk leaves the outcome unknown, and nothing acknowledged is lost", async () => {
    createSqliteTable(path, BIRTH);
    const { lines } = await finished(startChild("full", 4, 0, { fileBlocksMax: 3_000 }));
    expect(lines).toContain("unknown");
    await expectAllKept(lines);
    expect(await say(open(), contentVerbs(chunk(1_000_000), value("later")).put)).toEqual(applied());
  });

  test("an answer that does not come is an unknown outcome", async () => {
    const store = await bornAndOpen();
    const holder = new DatabaseSync(path);
    holder.exec("BEGIN IMMEDIATE");
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const outcome = say(store, vote(b2, 1, "value"));
    vi.runAllTimers();
    vi.useRealTimers();
    holder.exec("ROLLBACK");
    holder.close();
    expect(await outcome).toEqual(UNKNOWN);
    expect(await say(store, vote(b2, 1, "value"))).toEqual(applied());
  });

  test("a worker that crashed leaves outcomes unknown, and another one takes its place", async () => {
    const store = await bornAndOpen();
    const nonsense = { verb: "vote", key: createCell.key, ballot: b3, slot: 1, value: {} } as unknown as Verb;
    // With no timer to help, only the crash itself can answer.
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const warned = once(process, "warning");
    const outcomes = Promise.all([say(store, nonsense), say(store, vote(b2, 1, "value"))]);
    expect(await outcomes).toEqual([UNKNOWN, UNKNOWN]);
    expect(String(await warned)).toContain("CHECK constraint failed");
    vi.useRealTimers();
    let outcome = await say(store, vote(b2, 1, "value"));
    while (outcome?.outcome === "unknown") {
      await new Promise((resolve) => setTimeout(resolve, 10));
      outcome = await say(store, vote(b2, 1, "value"));
    }
    expect(outcome).toEqual(applied());
  });

  test("closing answers what is under way, and leaves one file", async () => {
    const store = await bornAndOpen();
    const votes = Array.from({ length: 20 }, (_, index) => say(store, vote(b2, index + 1, `value ${index}`)));
    await store.close();
    expect(await Promise.all(votes)).toEqual(votes.map(() => applied()));
    expect(existsSync(`${path}-wal`)).toBe(false);
    expect(await say(store, readCell)).toEqual(UNKNOWN);
    expect(await say(open(), readCell)).toEqual(applied(voted(b2, 20, "value 19")));
  });
});

describe("processes", () => {
  test("what was acknowledged before a SIGKILL is in the file", async () => {
    createSqliteTable(path, BIRTH);
    const lines: string[] = [];
    for (let round = 1; round <= 5; round++) {
      const child = startChild(`round${round}-`, 8, 1_000_000);
      const said = await finished(child, (soFar) => {
        if (soFar.length === 100 * round) child.kill("SIGKILL");
      });
      expect(said.signal).toBe("SIGKILL");
      expect(said.lines.length).toBeGreaterThanOrEqual(100 * round);
      lines.push(...said.lines);
      await expectAllKept(lines);
    }
  });

  test("two processes vote on one file: one winner in each slot, and both get their turn", async () => {
    createSqliteTable(path, BIRTH);
    const both = await Promise.all(["a", "b"].map((name) => finished(startChild(name, 4, 400))));
    for (const { code } of both) expect(code).toBe(0);
    const lines = both.flatMap((child) => child.lines);
    const slots = lines.filter((line) => line.startsWith("won ")).map((line) => Number(line.split(" ")[1]));
    expect(slots.sort((one, other) => one - other)).toEqual(
      Array.from({ length: 400 }, (_, index) => index + 1),
    );
    for (const { lines } of both) expect(lines.some((line) => line.startsWith("won "))).toBe(true);
    await expectAllKept(lines);
  });

  test("a table that is deleted while nobody asks for it is let go of, file and thread", async () => {
    createSqliteTable(path, BIRTH);
    const started = once(process, "worker");
    const store = open();
    expect(await say(store, createCell)).toMatchObject({ outcome: "applied" });
    const [worker] = (await started) as [Worker];
    for (const suffix of ["", "-wal", "-shm"]) rmSync(path + suffix);
    await once(worker, "exit");
    expect(await say(store, readCell)).toEqual(GONE);
  });

  test("a process sees that another one deleted the table", async () => {
    createSqliteTable(path, BIRTH);
    const child = startChild("victim", 2, 1_000_000);
    const { lines, code } = await finished(child, (soFar) => {
      if (soFar.length === 50) remove(path);
    });
    expect(code).toBe(0);
    expect(lines).toContain("lost");
    expect(existsSync(path)).toBe(false);
  });
});

/** Every win and every archived slot that was printed is what the file holds. */
async function expectAllKept(lines: readonly string[]): Promise<void> {
  const store = sqliteStore(path, BIRTH);
  try {
    const said = lines.map((line) => line.split(" ") as [string, string, string]);
    const won = said.filter(([what]) => what === "won").map(([, slot]) => Number(slot));
    const archived = said.filter(([what]) => what === "archived");
    expect(archived.length).toBeGreaterThan(0);
    const reads = archived.map(([, slot]): Verb => ({ verb: "read", key: chunk(Number(slot)) }));
    for (const [index, outcome] of (await store.execute(MACHINE, reads)).entries()) {
      const [, slot, writer] = archived[index] as [string, string, string];
      const text = (outcome as { item?: { content: { text: string } } }).item?.content.text;
      expect(text?.split(" ")[0], `chunk ${slot}`).toBe(writer);
      expect(outcome).toEqual(applied(content(text as string)));
    }
    const cell = await say(store, readCell);
    expect((cell as { item: { slot: number } }).item.slot).toBeGreaterThanOrEqual(Math.max(...won));
  } finally {
    await store.close();
  }
}

interface ChildLimits {
  /** False: the rights of files bind the child although root started it. */
  readonly maySkipRights?: false;
  /** Largest size of a file that it may write, in blocks of 1 KB: a disk that is full for one process. */
  readonly fileBlocksMax?: number;
}

function startChild(name: string, writers: number, last: number, limits: ChildLimits = {}): ChildProcess {
  const program = [process.execPath, CHILD, path, BIRTH, name, `${writers}`, `${last}`];
  if (limits.maySkipRights === false && process.getuid?.() === 0)
    program.unshift("setpriv", "--bounding-set=-dac_override");
  const limit = limits.fileBlocksMax === undefined ? "" : `trap "" XFSZ; ulimit -f ${limits.fileBlocksMax};`;
  return spawn("bash", ["-c", `${limit} exec "$@"`, "bash", ...program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
}

/** What a child printed, in whole lines, when it has ended. */
async function finished(child: ChildProcess, onLine: (soFar: readonly string[]) => void = () => {}) {
  const lines: string[] = [];
  let rest = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    const parts = (rest + text).split("\n");
    rest = parts.pop() ?? "";
    for (const line of parts) {
      lines.push(line);
      onLine(lines);
    }
  });
  const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
  return { lines, code, signal };
}

async function bornAndOpen(): Promise<AcceptorStore> {
  createSqliteTable(path, BIRTH);
  const store = open();
  await store.execute(MACHINE, [createCell, createHead]);
  return store;
}

async function bornWithChunks(chunks: number): Promise<void> {
  const store = await bornAndOpen();
  const texts = Array.from({ length: chunks }, (_, index) => `content ${index} `.repeat(500));
  await store.execute(
    MACHINE,
    texts.map((text, index) => contentVerbs(chunk(index), value(text)).put),
  );
  await store.close();
}

function lostBecause(reason: string) {
  return { state: "lost", reason: expect.stringContaining(reason) };
}

/** As another program, when no store has the file open. */
function onFile(change: (database: DatabaseSync) => void): void {
  const database = new DatabaseSync(path);
  change(database);
  database.close();
}

function remove(file: string): void {
  for (const suffix of ["", "-wal", "-shm"]) rmSync(file + suffix, { force: true });
}
