/**
 * The seven verbs in SQL (PROTOCOL §3): each is one conditional statement, under the names that the
 * conditions have in protocol/acceptor.ts, and on refusal one read of what beat it.
 */
import type { DatabaseSync } from "node:sqlite";
import {
  type Cell,
  type Content,
  FIRST_HEAD,
  type Head,
  type Item,
  type Key,
  keyText,
  type Outcome,
  type Verb,
} from "../protocol/acceptor.ts";
import { type Ballot, birthBallot } from "../protocol/ballot.ts";
import type { MachineId } from "../protocol/configuration.ts";
import { NO_SLOT, type Slot } from "../protocol/slot.ts";

const THE_ITEM = "machine = :machine AND key = :key";
const NOT_PROMISED_AWAY = "promised <= :ballot";
const LANE_IS_FREE = "slot < :slot";
const SAME_SLOT = "slot = :slot";
const OLDER_VOTE = "vote < :ballot";
const SAME_VALUE = "digest = :digest";
const COVERS_MORE = "covered <= :covered";
const NEWER_SNAPSHOT = "snapshot_slot < :snapshotSlot";
const SAME_SNAPSHOT = "(snapshot_slot = :snapshotSlot AND snapshot = :snapshot)";

const APPLIED: Outcome = { outcome: "applied" };
const NO_SUCH_ITEM: Outcome = { outcome: "refused" };

type CellRow = {
  readonly promised: Ballot;
  readonly slot: Slot;
  readonly vote: Ballot | null;
  readonly digest: string;
  readonly text: string;
};
type HeadRow = { readonly covered: Slot; readonly snapshot_slot: Slot; readonly snapshot: string };
type ContentRow = { readonly digest: string; readonly text: string };

/** Prepares the statements once; the result carries out one verb inside the caller's transaction. */
export function sqliteVerbs(database: DatabaseSync): (machine: MachineId, verb: Verb) => Outcome {
  const createCell = database.prepare(
    "INSERT INTO cell (machine, key, promised, slot) VALUES (:machine, :key, :ballot, :slot) ON CONFLICT DO NOTHING",
  );
  const createHead = database.prepare(
    "INSERT INTO head VALUES (:machine, :covered, :snapshotSlot, :snapshot) ON CONFLICT DO NOTHING",
  );
  const promise = database.prepare(
    `UPDATE cell SET promised = :ballot WHERE ${THE_ITEM} AND ${NOT_PROMISED_AWAY}
     RETURNING promised, slot, vote, digest, text`,
  );
  const vote = database.prepare(
    `UPDATE cell SET promised = :ballot, slot = :slot, vote = :ballot, digest = :digest, text = :text
     WHERE ${THE_ITEM} AND ${NOT_PROMISED_AWAY}
       AND (${LANE_IS_FREE} OR (${SAME_SLOT} AND (${OLDER_VOTE} OR ${SAME_VALUE})))`,
  );
  const advance = database.prepare(
    `UPDATE head SET covered = :covered, snapshot_slot = :snapshotSlot, snapshot = :snapshot
     WHERE machine = :machine AND ${COVERS_MORE} AND (${NEWER_SNAPSHOT} OR ${SAME_SNAPSHOT})`,
  );
  const put = database.prepare(
    "INSERT INTO content VALUES (:machine, :key, :digest, :text) ON CONFLICT DO NOTHING",
  );
  const sameContent = database.prepare(`SELECT 1 FROM content WHERE ${THE_ITEM} AND ${SAME_VALUE}`);
  const drop = database.prepare(`DELETE FROM content WHERE ${THE_ITEM}`);
  const readCell = database.prepare(`SELECT promised, slot, vote, digest, text FROM cell WHERE ${THE_ITEM}`);
  const readHead = database.prepare(
    "SELECT covered, snapshot_slot, snapshot FROM head WHERE machine = :machine",
  );
  const readContent = database.prepare(`SELECT digest, text FROM content WHERE ${THE_ITEM}`);

  function itemAt(machine: MachineId, key: Key): Item | undefined {
    switch (key.kind) {
      case "cell":
        return cellOf(readCell.get({ machine, key: keyText(key) }) as CellRow | undefined);
      case "head":
        return headOf(readHead.get({ machine }) as HeadRow | undefined);
      case "chunk":
      case "part":
        return contentOf(readContent.get({ machine, key: keyText(key) }) as ContentRow | undefined);
    }
  }

  function refused(machine: MachineId, key: Key): Outcome {
    const by = itemAt(machine, key);
    return by === undefined ? NO_SUCH_ITEM : { outcome: "refused", by };
  }

  function read(machine: MachineId, key: Key): Outcome {
    const item = itemAt(machine, key);
    if (item !== undefined) return { outcome: "applied", item };
    return key.kind === "cell" || key.kind === "head" ? NO_SUCH_ITEM : APPLIED;
  }

  return (machine, verb) => {
    const key = keyText(verb.key);
    switch (verb.verb) {
      case "create": {
        if (verb.key.kind === "head") createHead.run({ machine, ...columnsOf(FIRST_HEAD) });
        else createCell.run({ machine, key, ballot: birthBallot(verb.key.configuration), slot: NO_SLOT });
        return APPLIED;
      }
      case "promise": {
        const item = cellOf(promise.get({ machine, key, ballot: verb.ballot }) as CellRow | undefined);
        return item === undefined ? refused(machine, verb.key) : { outcome: "applied", item };
      }
      case "vote": {
        const { changes } = vote.run({ machine, key, ballot: verb.ballot, slot: verb.slot, ...verb.value });
        return changes === 0 ? refused(machine, verb.key) : APPLIED;
      }
      case "advance": {
        const { changes } = advance.run({ machine, ...columnsOf(verb.head) });
        return changes === 0 ? refused(machine, verb.key) : { outcome: "applied", item: verb.head };
      }
      case "put": {
        const { changes } = put.run({ machine, key, ...verb.content });
        if (changes !== 0) return APPLIED;
        const { digest } = verb.content;
        return sameContent.get({ machine, key, digest }) === undefined ? refused(machine, verb.key) : APPLIED;
      }
      case "drop": {
        drop.run({ machine, key });
        return APPLIED;
      }
      case "read":
        return read(machine, verb.key);
    }
  };
}

function columnsOf({ covered, snapshotSlot, snapshot }: Head) {
  return { covered, snapshotSlot, snapshot };
}

function cellOf(row: CellRow | undefined): Cell | undefined {
  if (row === undefined) return undefined;
  const { promised, slot, vote, digest, text } = row;
  if (vote === null) return { kind: "cell", promised, slot };
  return { kind: "cell", promised, slot, vote: { ballot: vote, value: { text, digest } } };
}

function headOf(row: HeadRow | undefined): Head | undefined {
  if (row === undefined) return undefined;
  const { covered, snapshot_slot: snapshotSlot, snapshot } = row;
  return { kind: "head", covered, snapshotSlot, snapshot };
}

function contentOf(row: ContentRow | undefined): Content | undefined {
  return row === undefined ? undefined : { kind: "content", content: { text: row.text, digest: row.digest } };
}
