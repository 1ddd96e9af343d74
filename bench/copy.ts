/**
 * `copy`: how fast a reconfiguration copies a table to a new one (TARGETS: catch-up ≥ 50 MB/s): as a snapshot, as
 * chunks of large values, and as chunks of small ones. The store is the local one, with its durable writes.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HEAD, type Verb } from "../shared/protocol/acceptor.ts";
import type { ConfigurationNumber } from "../shared/protocol/ballot.ts";
import type { Configuration, MachineId } from "../shared/protocol/configuration.ts";
import { Handover, type HandoverInput } from "../shared/protocol/handover.ts";
import { RecentLog } from "../shared/protocol/log.ts";
import { type AcceptorId, majority } from "../shared/protocol/quorum.ts";
import { type ChunkNumber, MACHINE_GEOMETRY, type Slot } from "../shared/protocol/slot.ts";
import { partKeys, snapshotOf } from "../shared/protocol/snapshot.ts";
import { encodeChunk } from "../shared/protocol/value.ts";
import { carryOut } from "../shared/runtime/carry-out.ts";
import { found } from "../shared/runtime/found.ts";
import { productionPorts, sha256 } from "../shared/runtime/ports-production.ts";
import { createSqliteTable, sqliteStore } from "../shared/storage/sqlite.ts";
import type { AcceptorStore } from "../shared/storage/store.ts";
import { median, spread } from "./statistics.ts";

const MACHINE = "bench/copy" as MachineId;
const MB = 1024 * 1024;
const BYTES = 32 * MB;
const ROUNDS = 5;
const TARGET_MB_PER_SECOND = 50;
const { chunkSlots } = MACHINE_GEOMETRY;
const INCARNATION = "bench";

/** What the old table holds, as verbs that put it there, and how large it is. */
interface Side {
  readonly name: string;
  readonly verbs: readonly Verb[];
  readonly bytes: number;
}

export async function copy(): Promise<void> {
  const sides = [
    snapshotSide(),
    chunkSide("chunks of 16 KB values", 16 * 1024),
    chunkSide("chunks of 1 KB values", 1024),
  ];
  const speeds = sides.map(() => ({ copied: [] as number[], put: [] as number[] }));
  for (let round = 0; round < ROUNDS; round++)
    for (const [index, side] of sides.entries()) {
      const speed = await speedOf(side);
      speeds[index]?.copied.push(speed.copied);
      speeds[index]?.put.push(speed.put);
    }
  console.log(
    `copy: ${BYTES / MB} MB from one table to a new one, ${ROUNDS} rounds; median (lowest … highest)`,
  );
  console.table(
    sides.map(({ name }, index) => ({
      copied: name,
      "MB/s": spread(speeds[index]?.copied ?? [], 1),
      "raw puts, MB/s": spread(speeds[index]?.put ?? [], 1),
    })),
  );
  const slowest = Math.min(...speeds.map(({ copied }) => median(copied)));
  console.log(
    `slowest: ${slowest.toFixed(1)} MB/s (target ≥ ${TARGET_MB_PER_SECOND}): ${slowest >= TARGET_MB_PER_SECOND ? "met" : "missed"}`,
  );
}

function snapshotSide(): Side {
  const slot = chunkSlots as Slot;
  const { name, parts } = snapshotOf(slot, new Uint8Array(BYTES), sha256);
  const puts = partKeys(name).map((key, part): Verb => ({ verb: "put", key, content: parts[part] as never }));
  const head = { kind: "head", covered: slot, snapshotSlot: slot, snapshot: name } as const;
  return { name: "a snapshot", verbs: [...puts, { verb: "advance", key: HEAD, head }], bytes: BYTES };
}

function chunkSide(name: string, valueBytes: number): Side {
  const value = "v".repeat(valueBytes);
  const chunks = Math.ceil(BYTES / (chunkSlots * valueBytes));
  const puts = Array.from({ length: chunks }, (_, index): Verb => {
    const chunk = index as ChunkNumber;
    const text = encodeChunk(chunk, Array<string>(chunkSlots).fill(value));
    return { verb: "put", key: { kind: "chunk", chunk }, content: { text, digest: sha256(text) } };
  });
  const covered = (chunks * chunkSlots) as Slot;
  const head = { kind: "head", covered, snapshotSlot: 0 as Slot, snapshot: "-" } as const;
  return { name, verbs: [...puts, { verb: "advance", key: HEAD, head }], bytes: BYTES };
}

/** MB/s of copying; and, as a yardstick, of putting the same into the old table, one item after another. */
async function speedOf({ verbs, bytes }: Side): Promise<{ readonly copied: number; readonly put: number }> {
  const dir = await mkdtemp(join(tmpdir(), "theseus-bench-"));
  const stores = new Map<AcceptorId, AcceptorStore>();
  for (const id of ["old", "new"] as AcceptorId[]) {
    createSqliteTable(join(dir, id), INCARNATION);
    stores.set(id, sqliteStore(join(dir, id), INCARNATION));
  }
  const ports = productionPorts((acceptor) => stores.get(acceptor));
  const [from, to] = [configurationOf(1, "old"), configurationOf(2, "new")];
  for (const each of [from, to]) await found(ports, MACHINE, each, MACHINE_GEOMETRY);
  const perSecond = async (work: () => Promise<void>): Promise<number> => {
    const began = performance.now();
    await work();
    return (1_000 * bytes) / MB / (performance.now() - began);
  };
  const put = await perSecond(async () => {
    for (const verb of verbs) await stores.get("old" as AcceptorId)?.execute(MACHINE, [verb]);
  });
  const speed = await perSecond(() => copied(from, to, ports));
  for (const store of stores.values()) await store.close();
  await rm(dir, { recursive: true });
  return { copied: speed, put };
}

function configurationOf(number: number, acceptor: string): Configuration {
  const quorums = majority([acceptor as AcceptorId]);
  return { number: number as ConfigurationNumber, previous: number - 1, quorums };
}

function copied(
  from: Configuration,
  to: Configuration,
  ports: ReturnType<typeof productionPorts>,
): Promise<void> {
  const log = new RecentLog(MACHINE_GEOMETRY);
  const options = {
    from,
    to,
    geometry: MACHINE_GEOMETRY,
    digest: ports.digest,
    log,
    distrusted: new Set<AcceptorId>(),
  };
  const handover = new Handover(options);
  return new Promise((resolve, reject) => {
    const step = (input: HandoverInput): void => {
      for (const effect of handover.step(input)) {
        if (effect.effect === "ask" || effect.effect === "retry") carryOut(ports, MACHINE, effect, step);
        else if (effect.effect === "copied") resolve();
        else if (effect.effect === "failed") reject(new Error(JSON.stringify(effect.failure)));
      }
    };
    step({ input: "copy" });
  });
}
