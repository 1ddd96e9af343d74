/**
 * Moments that random runs hardly ever meet, told step by step. Each is clean with the rules as they are;
 * with one of them wrong (mutants.ts) it is not.
 */
import { keyText, type PartKey, type Value, type Verb } from "../../shared/protocol/acceptor.ts";
import { FENCE_LANE, type Slot } from "../../shared/protocol/slot.ts";
import { partKeys } from "../../shared/protocol/snapshot.ts";
import { Script } from "./script.ts";

const isPromise = ({ verb }: Verb): boolean => verb === "promise";
const isVote = ({ verb }: Verb): boolean => verb === "vote";
const isAdvance = ({ verb }: Verb): boolean => verb === "advance";
const isPut = ({ verb }: Verb): boolean => verb === "put";
const isPartPut = ({ verb, key }: Verb): boolean => verb === "put" && key.kind === "part";
const isChunkDrop = ({ verb, key }: Verb): boolean => verb === "drop" && key.kind === "chunk";
const isPartRead = ({ verb, key }: Verb): boolean => verb === "read" && key.kind === "part";
const isChunkRead = ({ verb, key }: Verb): boolean => verb === "read" && key.kind === "chunk";
const isFencePromise = ({ verb, key }: Verb): boolean =>
  verb === "promise" && key.kind === "cell" && key.lane === FENCE_LANE;
const isFenceRead = ({ verb, key }: Verb): boolean => verb === "read" && key.kind === "cell";
const isVoteFor =
  (slot: number) =>
  (verb: Verb): boolean =>
    verb.verb === "vote" && verb.slot === slot;

type Scenario = (trace?: (line: string) => void) => void;

export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  /** A deposed leader sees its successor's Heads; its vote for slot 5 overtakes its vote for slot 3 (§4, §14). */
  overtaken(trace) {
    const script = new Script("majority3", { lanes: 2, chunkSlots: 1 }, trace);
    const old = script.first;
    script.lead(old);
    script.submit(old);
    script.hold({ of: old, verb: isAdvance });
    script.submit(old);
    const successor = script.start();
    const third = { on: [2] };
    const keptOut = [
      { of: successor, ...third, verb: isPromise },
      { of: successor, ...third, verb: isVote },
    ];
    script.hold({ of: old, verb: isAdvance }, { of: old, verb: isVote }, ...keptOut);
    script.submit(old);
    script.lead(successor);
    for (let slot = 3; slot <= 5; slot++) script.submit(successor);
    script.hold({ of: old, verb: isVote }, ...keptOut);
    script.release({ of: old, verb: isAdvance });
    script.submit(old);
    script.submit(old);
    script.release({ of: old, ...third, verb: isVoteFor(5) });
    script.release({ of: old, ...third, verb: isVoteFor(3) });
    script.end();
  },

  /** The Heads were read long before the promises were in, and a write quorum saw none of the votes (§4.3). */
  staleHeads(trace) {
    const script = new Script("readThreeWriteTwo", { lanes: 2, chunkSlots: 1 }, trace);
    const old = script.first;
    script.lead(old);
    const successor = script.start();
    const unseen = { of: old, on: [2, 3], verb: isVote };
    script.hold(unseen, { of: successor, verb: isPromise });
    script.lead(successor);
    for (let slot = 1; slot <= 5; slot++) script.submit(old);
    script.hold(unseen, { of: successor, verb: isVote }, { of: successor, on: [0], verb: isPromise });
    script.release({ of: successor, on: [1, 2, 3], verb: isPromise });
    script.release({ of: successor, on: [2, 3], verb: isVoteFor(1) });
    script.end();
  },

  /** A table is created again between the reading of its Head and of its chunks (§4.3). */
  missingChunk(trace) {
    const script = new Script("readThreeWriteTwo", { lanes: 2, chunkSlots: 1 }, trace);
    const old = script.first;
    script.lead(old);
    const unseen = { of: old, on: [2, 3], verb: isVote };
    script.hold(unseen);
    for (let slot = 1; slot <= 4; slot++) script.submit(old);
    script.hold(unseen, { of: old, on: [1, 2, 3], verb: isAdvance });
    script.submit(old);
    const successor = script.start();
    script.hold({ of: old }, { of: successor, verb: isChunkRead }, { of: successor, verb: isVote });
    script.lead(successor);
    script.recreate(0);
    script.release({ of: successor, verb: isChunkRead });
    script.release({ of: successor, on: [2, 3], verb: isVoteFor(1) });
    script.end();
  },

  /** One table's fence lane was never promised to the successor, and only that table is asked (§6). */
  oneUnfencedTable(trace) {
    const script = new Script("readOneWriteAll3", { lanes: 4, chunkSlots: 2 }, trace);
    const old = script.first;
    script.lead(old);
    script.submit(old);
    const successor = script.start();
    script.hold({ of: successor, on: [2], verb: isFencePromise }, { of: old, on: [0, 1], verb: isFenceRead });
    script.lead(successor);
    script.reply({ of: successor });
    script.submit(successor);
    script.read(old);
    script.end();
  },

  /** A read arrives while the check of an older one is under way, and after a successor has answered (§6). */
  checkUnderWay(trace) {
    const script = new Script("majority3", { lanes: 4, chunkSlots: 2 }, trace);
    const old = script.first;
    script.lead(old);
    script.submit(old);
    const successor = script.start();
    script.hold({ of: old, verb: isFenceRead });
    script.read(old);
    script.execute({ of: old, verb: isFenceRead });
    script.lead(successor);
    script.submit(successor);
    script.read(old);
    script.reply({ of: old, verb: isFenceRead });
    script.end();
  },

  /** A table that lost a vote is counted as one that never had it (§3). */
  forgottenVote(trace) {
    const script = new Script("majority3", { lanes: 2, chunkSlots: 1 }, trace);
    const old = script.first;
    script.lead(old);
    script.hold({ of: old, on: [2], verb: isVote }, { of: old, verb: isPut });
    script.submit(old);
    script.recreate(0);
    const successor = script.start();
    script.hold({ of: old }, { of: successor, on: [1], verb: isPromise });
    script.lead(successor);
    script.reply({ of: successor });
    script.submit(successor);
    script.end();
  },

  /** A deposed leader's vote reaches a table that has forgotten whom it promised (§3). */
  forgottenPromise(trace) {
    const script = new Script("majority3", { lanes: 2, chunkSlots: 1 }, trace);
    const old = script.first;
    script.lead(old);
    script.hold({ of: old, on: [0, 1], verb: isVote });
    script.submit(old);
    const successor = script.start();
    script.hold({ of: old, on: [0, 1], verb: isVote }, { of: successor, on: [2] });
    script.lead(successor);
    script.submit(successor);
    script.recreate(0);
    script.release({ of: old, on: [0], verb: isVote });
    script.end();
  },

  /** Two ballots' votes stand in one slot, and the lower one is seen first (§4.4). */
  twoBallots(trace) {
    const script = new Script("majority3", { lanes: 2, chunkSlots: 1 }, trace);
    const old = script.first;
    script.lead(old);
    script.hold({ of: old, on: [0, 1], verb: isVote });
    script.submit(old);
    const successor = script.start();
    script.hold(
      { of: old, on: [0, 1], verb: isVote },
      { of: successor, on: [2] },
      { of: successor, verb: isPut },
    );
    script.lead(successor);
    script.submit(successor);
    const third = script.start();
    script.hold({ of: old }, { of: successor }, { of: third, on: [0, 1], verb: isPromise });
    script.lead(third);
    script.release({ of: third, on: [0, 1], verb: isPromise });
    script.end();
  },

  /** A part is damaged before it is read back (§5.2). */
  damagedPart(trace) {
    const script = new Script("majority3", { lanes: 2, chunkSlots: 1 }, trace);
    const leader = script.first;
    script.lead(leader);
    script.submit(leader);
    script.submit(leader);
    const puts = { of: leader, on: [0], verb: isPartPut };
    script.hold(puts);
    const { name, parts } = script.truncate(leader);
    script.execute(puts);
    const { text, digest } = parts[0] as Value;
    const damaged = { text: text.replace(/.$/, (last) => (last === "A" ? "B" : "A")), digest };
    script.corrupt(0, partKeys(name)[0] as PartKey, damaged);
    script.reply(puts);
    script.expect(script.claimed(1) > 0, "a table is not truncated because another one is damaged");
    script.end();
  },

  /** A snapshot is replaced, and its parts deleted, while a new leader reads it (§4.3). */
  truncatedUnderReader(trace) {
    const script = new Script("majority3", { lanes: 2, chunkSlots: 1 }, trace);
    const old = script.first;
    script.lead(old);
    for (let slot = 1; slot <= 2; slot++) script.submit(old);
    script.truncate(old);
    for (let slot = 3; slot <= 4; slot++) script.submit(old);
    const successor = script.start();
    const reads = { of: successor, verb: isPartRead };
    script.hold(reads);
    script.lead(successor);
    script.truncate(old);
    script.release(reads);
    script.hold();
    script.release(reads);
    script.settle();
    script.expect(successor.host.serving, "the newer snapshot would have done");
    script.end();
  },

  /** A follower hears from the leader what a snapshot has that it is reading. */
  overtakenSnapshot(trace) {
    const script = new Script("majority3", { lanes: 2, chunkSlots: 1 }, trace);
    const leader = script.first;
    script.lead(leader);
    for (let slot = 1; slot <= 2; slot++) script.submit(leader);
    script.truncate(leader);
    const follower = script.start();
    script.hold({ of: follower, verb: isPartRead });
    script.catchUp(follower);
    for (const [index, text] of leader.host.log.range(1 as Slot, leader.host.replica.applied)?.entries() ??
      [])
      follower.enter(() => follower.host.learn((index + 1) as Slot, text));
    script.release({ of: follower });
    script.hold();
    script.release({ of: follower });
    script.expect(follower.host.replica.applied === 2, "it learned both ways what there is");
    script.end();
  },

  /** Truncated again and again, half-way once: what stays is the last snapshot, and the chunks after it (§5.3). */
  nothingIsLeft(trace) {
    const script = new Script("majority3", { lanes: 2, chunkSlots: 1 }, trace);
    const leader = script.first;
    script.lead(leader);
    for (let slot = 1; slot <= 2; slot++) script.submit(leader);
    script.truncate(leader);
    const dropped = { of: leader, verb: isChunkDrop };
    script.hold(dropped);
    for (let slot = 3; slot <= 6; slot++) script.submit(leader);
    script.truncate(leader);
    script.hold();
    for (let slot = 7; slot <= 8; slot++) script.submit(leader);
    const last = script.truncate(leader);
    for (let slot = 9; slot <= 10; slot++) script.submit(leader);
    for (const index of [0, 1, 2]) {
      const left = script.deletable(index);
      const expected = ["A#8", "A#9", ...partKeys(last.name).map(keyText)];
      script.expect(left.join() === expected.sort().join(), `table ${index} has ${left}`);
    }
    script.end();
  },

  /** A table's part is sound, and not the one that the snapshot's name says (§2). */
  foreignPart(trace) {
    const script = new Script("majority3", { lanes: 2, chunkSlots: 1 }, trace);
    const leader = script.first;
    script.lead(leader);
    script.submit(leader);
    script.submit(leader);
    const { name, parts } = script.truncate(leader);
    const second = partKeys(name)[1] as PartKey;
    script.corrupt(0, second, parts[0] as Value);
    const follower = script.start();
    script.catchUp(follower);
    script.expect(follower.host.replica.applied >= 2, "the other tables could have been learned from");
    script.corrupt(0, second, parts[1] as Value);
    script.end();
  },

  /** A rival is many rounds ahead: whoever is refused learns by how many (§4.2). */
  manyRounds(trace) {
    const script = new Script("majority3", { lanes: 2, chunkSlots: 1 }, trace);
    const busy = script.first;
    for (let round = 1; round <= 10; round++) {
      script.lead(busy);
      script.resign(busy);
    }
    const successor = script.start();
    script.lead(successor);
    script.lead(successor);
    script.expect(successor.host.serving, "the second attempt is beaten too");
    script.end();
  },
};
