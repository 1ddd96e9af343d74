import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { z } from "zod";
import { defineMachine, machineCode, refuse } from "../shared/machine.ts";
import { birthBallot, type ConfigurationNumber } from "../shared/protocol/ballot.ts";
import { INBOX_MESSAGES_MAX, INBOXES_MAX, Inboxes } from "../shared/protocol/inbox.ts";
import { type Context, Replica } from "../shared/protocol/replica.ts";
import { KEYS_MAX, type Reply, SESSIONS_MAX } from "../shared/protocol/session.ts";
import type { Slot } from "../shared/protocol/slot.ts";
import { type Command, encodeBatch, type Sequence, type SessionId } from "../shared/protocol/value.ts";
import { ReplicaOf } from "./support/replica-of.ts";

/** What a test's machine remembers. */
interface Notes {
  executed: unknown[];
}
type Apply = (state: Notes, command: unknown, context: Context) => object | string | number | undefined;

const note: Apply = (state, command) => {
  state.executed.push(command);
  return state.executed.length;
};

/** Notes each command; "throw" changes the state by half and then throws. */
const noteOrThrow: Apply = (state, command, context) => {
  const length = note(state, command, context);
  if (command !== "throw") return length;
  state.executed.splice(0, 1, "damage");
  context.notify("bob", "never");
  throw new Error("half-way");
};

function machineOf(apply: Apply = note) {
  return defineMachine({
    name: "notes",
    version: 1,
    command: z.unknown(),
    init: (): Notes => ({ executed: [] }),
    apply,
    queries: {},
  });
}

const replicaOf = (apply?: Apply) => new ReplicaOf(machineOf(apply));
const executed = ({ replica }: ReplicaOf) => (replica.state as Notes).executed;
const inSession = (session: SessionId, sequence: number, command: unknown): Command => ({
  session,
  sequence: sequence as Sequence,
  command,
});
const responses = (replies: readonly Reply[]) =>
  replies.map((reply) => (reply.reply === "response" ? JSON.parse(reply.response) : reply.reply));

function open(replica: ReplicaOf, nonce: string): SessionId {
  const [reply] = replica.execute({ open: nonce });
  if (reply?.reply !== "opened") throw new Error(`no session but ${JSON.stringify(reply)}`);
  return reply.session;
}

/** In few slots, since each is a line of JSON. */
function openMany(replica: ReplicaOf, count: number): SessionId[] {
  const nonces = Array.from({ length: count }, (_, index) => ({ open: `many-${index}` }));
  return replica.execute(...nonces).map((reply) => {
    if (reply.reply !== "opened") throw new Error(reply.reply);
    return reply.session;
  });
}

describe("slots", () => {
  it("executes a slot's commands in order and answers each", () => {
    const replica = replicaOf();
    expect(replica.replica.applied).toBe(0);
    expect(responses(replica.execute({ command: "a" }, { command: "b" }))).toEqual([1, 2]);
    expect(replica.execute()).toEqual([]);
    expect(replica.execute({ command: { c: [null] } })).toEqual([
      { reply: "response", slot: 3, response: "3" },
    ]);
    expect(executed(replica)).toEqual(["a", "b", { c: [null] }]);
    expect(replica.replica.applied).toBe(3);
  });

  it.each([0, 2, 4, -1, 1.5, Number.NaN])("throws when slot %d comes after slot 2", (next) => {
    const { replica, log } = replicaOf();
    const text = encodeBatch(birthBallot(1 as ConfigurationNumber), 1, ['{"command":1}']);
    replica.execute(1 as Slot, text);
    replica.execute(2 as Slot, text);
    expect(() => replica.execute(next as Slot, text)).toThrow(RangeError);
    expect(replica.applied).toBe(2);
    expect(replica.state).toEqual({ executed: [1, 1] });
    expect(log).toEqual([]);
  });

  it.each([
    ['{"format":2,"ballot":"","time":1,"commands":[{"command":1}]}', "format 2"],
    ['{"ballot":"","time":1,"commands":[{"command":1}]}', "format undefined"],
  ])("throws at a value of another format, before anything is executed: %s", (text, message) => {
    const { replica } = replicaOf();
    expect(() => replica.execute(1 as Slot, text)).toThrow(message);
    expect(replica.applied).toBe(0);
    expect(replica.state).toEqual({ executed: [] });
  });
});

describe("responses", () => {
  it("are JSON text, null when apply returns nothing", () => {
    const replica = replicaOf((_, command) => (command === 1 ? undefined : { of: [command] }));
    expect(responses(replica.execute({ command: 1 }, { command: 2 }))).toEqual([null, { of: [2] }]);
  });

  it("say when they are refusals, made by any copy of the package", () => {
    const other = { [Symbol.for("theseus.refusal")]: true, reason: "Elsewhere" };
    const replica = replicaOf((_, command) => (command === 1 ? refuse({ short: 3 }) : other));
    expect(replica.execute({ command: 1 }, { command: 2 })).toEqual([
      { reply: "response", slot: 1, response: '{"short":3}', refused: true },
      { reply: "response", slot: 1, response: '"Elsewhere"', refused: true },
    ]);
  });
});

describe("sessions (invariant 10)", () => {
  it("are named by the log position that opened them; a nonce gets its session again", () => {
    const replica = replicaOf();
    expect(open(replica, "a")).toBe("1-0");
    expect(replica.execute({ command: 0 }, { open: "b" }, { open: "a" })).toMatchObject([
      {},
      { session: "2-1" },
      { session: "1-0" },
    ]);
  });

  it("execute a sequence once, whatever its repetition says, and answer it the same", () => {
    const replica = replicaOf();
    const session = open(replica, "a");
    const [first, again] = replica.execute(inSession(session, 1, "x"), inSession(session, 1, "x"));
    const [later] = replica.execute(inSession(session, 1, "other"));
    expect(first).toEqual({ reply: "response", slot: 2, response: "1" });
    expect(again).toEqual(first);
    expect(later).toEqual(first);
    expect(executed(replica)).toEqual(["x"]);
  });

  it("ignore a sequence below the last one", () => {
    const replica = replicaOf();
    const session = open(replica, "a");
    replica.execute(inSession(session, 5, "five"));
    for (const sequence of [4, 1, 0])
      expect(replica.execute(inSession(session, sequence, "late"))).toMatchObject([
        { reply: "staleSequence" },
      ]);
    expect(responses(replica.execute(inSession(session, 9, "nine")))).toEqual([2]);
    expect(executed(replica)).toEqual(["five", "nine"]);
  });

  it("never execute when unknown", () => {
    const replica = replicaOf();
    const command = inSession("1-0" as SessionId, 1, "x");
    expect(replica.execute(command, command)).toEqual(Array(2).fill({ reply: "unknownSession", slot: 1 }));
    expect(executed(replica)).toEqual([]);
  });

  it("do not execute again what was refused or what threw", () => {
    let calls = 0;
    const replica = replicaOf((_, command) => {
      calls++;
      if (command === "throw") throw new Error("no");
      return refuse("No");
    });
    const session = open(replica, "a");
    for (const [sequence, command] of ["refuse", "throw"].entries()) {
      const first = replica.execute(inSession(session, sequence + 1, command));
      calls = 0;
      expect(replica.execute(inSession(session, sequence + 1, command))).toEqual(first);
      expect(calls).toBe(0);
    }
  });

  it("settle a command that needs no slot, and only that", () => {
    const replica = replicaOf();
    const session = open(replica, "a");
    const [reply] = replica.execute(inSession(session, 2, "x"));
    const settled = (command: Command) => replica.replica.settled(command);
    expect(settled(inSession(session, 2, "x"))).toBe(reply);
    expect(settled(inSession(session, 1, "x"))).toMatchObject({ reply: "staleSequence" });
    expect(settled(inSession("9-9" as SessionId, 1, "x"))).toMatchObject({ reply: "unknownSession" });
    for (const unsettled of [
      inSession(session, 3, "x"),
      { command: "x" },
      { open: "a" },
      { key: "k", command: 1 },
    ])
      expect(settled(unsettled)).toBeUndefined();
  });
});

describe("forgetting sessions", () => {
  /** For each session whether it is known, asked without using it. */
  const known = ({ replica }: ReplicaOf, sessions: readonly SessionId[]) =>
    sessions.map((session) => replica.settled(inSession(session, 1, 0))?.reply !== "unknownSession");

  it("takes the least recently used one, and its nonce opens another", () => {
    const replica = replicaOf();
    const [first, second, third] = ["first", "second", "third"].map((nonce) => open(replica, nonce)) as [
      SessionId,
      SessionId,
      SessionId,
    ];
    openMany(replica, SESSIONS_MAX - 3);
    expect(known(replica, [first, second, third])).toEqual([true, true, true]);
    replica.execute(inSession(first, 1, "used"));
    expect(open(replica, "second")).toBe(second);
    open(replica, "one more");
    expect(known(replica, [first, second, third])).toEqual([true, true, false]);
    expect(replica.execute(inSession(third, 1, "never"))).toMatchObject([{ reply: "unknownSession" }]);
    expect(executed(replica)).toEqual(["used"]);
    expect(open(replica, "third")).not.toBe(third);
  });

  it("does not hang on a clock, and is the same on two replicas", () => {
    const replica = replicaOf();
    const old = open(replica, "old");
    replica.time += 100 * 365 * 24 * 3_600_000;
    const [kept] = openMany(replica, SESSIONS_MAX - 1) as [SessionId];
    replica.execute(inSession(kept, 1, "x"));
    expect(known(replica, [old])).toEqual([true]);
    const others = Array.from({ length: 100 }, (_, index) => open(replica, `other-${index}`));

    const second = replicaOf();
    for (const text of replica.log) second.replica.execute((second.replica.applied + 1) as Slot, text);
    const all = [
      old,
      ...Array.from({ length: SESSIONS_MAX - 1 }, (_, index) => `2-${index}` as SessionId),
      ...others,
    ];
    expect(known(second, all)).toEqual(known(replica, all));
    expect(known(second, all).filter((isKnown) => !isKnown)).toHaveLength(100);
    expect(known(second, [old, kept])).toEqual([false, true]);
  });
});

describe("idempotency keys", () => {
  it("execute once within their window of keyed commands, refusals too", () => {
    const replica = replicaOf((state, command, context) => {
      note(state, command, context);
      return refuse(state.executed.length);
    });
    const [first, again] = replica.execute({ key: "k", command: "a" }, { key: "k", command: "b" });
    expect(again).toEqual(first);
    replica.execute(...Array.from({ length: KEYS_MAX - 1 }, (_, index) => ({ key: `${index}`, command: 0 })));
    replica.execute(...Array.from({ length: 50 }, () => ({ command: 0 })));
    expect(replica.replica.settled({ key: "k", command: 0 })).toEqual(first);
    expect(replica.execute({ key: "k", command: "c" })).toEqual([first]);
    replica.execute({ key: "one more", command: 0 });
    expect(replica.replica.settled({ key: "k", command: 0 })).toBeUndefined();
    replica.execute({ key: "k", command: "again" });
    expect(executed(replica).at(-1)).toBe("again");
  });
});

describe("an apply that throws", () => {
  it("leaves the state as it was, between commands of one batch and across slots", () => {
    const replica = replicaOf(noteOrThrow);
    replica.execute({ command: "a" });
    const replies = replica.execute(
      { command: "b" },
      { command: "throw" },
      { command: "c" },
      { command: "throw" },
      { command: "d" },
    );
    expect(replies[1]).toEqual({ reply: "failed", slot: 2, error: "half-way" });
    expect(responses(replies)).toEqual([2, "failed", 3, "failed", 4]);
    expect(responses(replica.execute({ command: "throw" }, { command: "e" }))).toEqual(["failed", 5]);
    expect(executed(replica)).toEqual(["a", "b", "c", "d", "e"]);
    expect(replica.isReplayable).toBe(true);
  });

  it("does not undo by replaying a command that another kept and changed", () => {
    const replica = replicaOf((state, command, context) => {
      const kept = state.executed[0] as { words: string[] } | undefined;
      if (command === "throw") {
        kept?.words.push("damage");
        throw new Error("no");
      }
      if (kept === undefined) return note(state, command, context);
      kept.words.push(command as string);
      return undefined;
    });
    replica.execute({ command: { words: ["first"] } }, { command: "second" });
    replica.execute({ command: "throw" });
    expect(executed(replica)).toEqual([{ words: ["first", "second"] }]);
  });

  it("delivers no message of its own, and no earlier one again", () => {
    const replica = replicaOf((state, command, context) => {
      if (command !== "throw") context.notify("bob", command);
      return noteOrThrow(state, command, context);
    });
    replica.execute({ command: "hello" }, { command: "throw" }, { command: "again" });
    expect(replica.messages("bob")).toEqual(["hello", "again"]);
    expect(replica.replica.inbox("bob", 0).map(({ cursor }) => cursor)).toEqual([1, 2]);
  });

  it("gives back exactly the chance, time and complaints that commands had before", () => {
    const replica = replicaOf((state, command, context) => {
      if (command === "throw") return noteOrThrow(state, command, context);
      let complaint = "";
      try {
        context.notify("bob", 1n);
      } catch {
        complaint = "no JSON";
      }
      return note(state, [context.slot, context.time, context.random(), complaint], context);
    });
    replica.execute({ command: 1 }, { command: 2 });
    replica.time += 5;
    replica.execute({ command: 3 });
    const before = structuredClone(executed(replica));
    replica.time += 5;
    expect(responses(replica.execute({ command: "throw" }))).toEqual(["failed"]);
    expect(executed(replica)).toEqual(before);
    expect(executed(replica)[0]).toEqual([1, 1_000, expect.any(Number), "no JSON"]);
  });

  it.each<[string, unknown, string]>([
    ["a string", "plain", "plain"],
    ["null", null, "null"],
    ["what has no text", Object.create(null), "apply threw something without a text"],
    ["an error whose message is none", Object.assign(new Error("x"), { message: 7 }), "7"],
  ])("may throw %s", (_, thrown, error) => {
    const replica = replicaOf(() => {
      throw thrown;
    });
    expect(replica.execute({ command: 1 })).toEqual([{ reply: "failed", slot: 1, error }]);
  });

  it.each<[string, Apply]>([
    ["a BigInt", (state) => ({ count: BigInt(state.executed.push("damage")) })],
    ["a cycle", (state) => Object.assign(state.executed, { 0: state.executed })],
    ["a promise", async (state) => void state.executed.push("damage")],
  ])("is also one whose response is %s", (_, apply) => {
    const replica = replicaOf(apply);
    expect(replica.execute({ command: 1 })).toMatchObject([{ reply: "failed" }]);
    expect(executed(replica)).toEqual([]);
  });

  test("leaves what the commands that did not throw come to, for any of them", () => {
    const command = fc.oneof(fc.constant("throw"), fc.jsonValue({ maxDepth: 1 }));
    fc.assert(
      fc.property(fc.array(fc.array(command, { maxLength: 4 }), { maxLength: 12 }), (batches) => {
        const replica = replicaOf(noteOrThrow);
        for (const batch of batches) replica.execute(...batch.map((command) => ({ command })));
        const expected = JSON.parse(JSON.stringify(batches.flat().filter((command) => command !== "throw")));
        expect(executed(replica)).toEqual(expected);
      }),
    );
  });
});

describe("context", () => {
  const roll: Apply = (_, count, { random }) => Array.from({ length: count as number }, random);

  it("has the same random numbers on every replica, others for each command", () => {
    const replicas = [replicaOf(roll), replicaOf(roll)];
    const [one, two] = replicas.map((replica) => [
      ...responses(replica.execute({ command: 50 }, { command: 50 })),
      ...responses(replica.execute({ command: 50 })),
    ]);
    expect(one).toEqual(two);
    const numbers = (one as number[][]).flat();
    expect(new Set(numbers).size).toBe(150);
    expect(numbers.every((number) => number >= 0 && number < 1)).toBe(true);
  });

  it("draws numbers that lie everywhere", () => {
    const [numbers] = responses(replicaOf(roll).execute({ command: 10_000 })) as [number[]];
    const tenths = Array<number>(10).fill(0);
    for (const number of numbers) tenths[Math.floor(number * 10)]!++;
    for (const count of tenths) expect(count).toBeGreaterThan(850);
  });

  it("keeps the promise of its first numbers: replicas of all versions must agree", () => {
    expect(responses(replicaOf(roll).execute({ command: 3 }))).toMatchInlineSnapshot(`
      [
        [
          0.13681382243521512,
          0.6587390021886677,
          0.6970008723437786,
        ],
      ]
    `);
  });

  it("has a time that never runs backwards, whoever leads", () => {
    const replica = replicaOf((_, __, { time }) => time);
    const times = [1_000, 900, 1_001, 0, 2_000].map((time) => {
      replica.time = time;
      return responses(replica.execute({ command: 1 }))[0];
    });
    expect(times).toEqual([1_000, 1_000, 1_001, 1_001, 2_000]);
  });

  it("knows its slot, and a message counts from the moment that apply returns", () => {
    const contexts: Context[] = [];
    const replica = replicaOf((_, __, context) => {
      contexts.push(context);
      context.notify("bob", { at: context.slot });
      return undefined;
    });
    replica.execute({ command: 1 });
    contexts[0]?.notify("bob", "too late");
    replica.execute({ command: 1 });
    expect(replica.messages("bob")).toEqual([{ at: 1 }, { at: 2 }]);
  });
});

describe("checkpoints", () => {
  it("bound what is executed again after a throw, and lose nothing", () => {
    let calls = 0;
    let frozen = 0;
    const code = machineCode(
      machineOf((state, command, context) => {
        calls++;
        return noteOrThrow(state, command, context);
      }),
    );
    const counting = {
      ...code,
      freeze: (state: unknown) => {
        frozen++;
        return code.freeze(state);
      },
    };
    const replica = new Replica(counting);
    const ballot = birthBallot(1 as ConfigurationNumber);
    const execute = (command: string) =>
      replica.execute((replica.applied + 1) as Slot, encodeBatch(ballot, 1, [JSON.stringify({ command })]));

    const large = (index: number) => `${index}:`.padEnd(10_000, "x");
    for (let index = 0; index < 130; index++) execute(large(index));
    expect(frozen).toBe(2); // at the start, and after one million characters
    calls = 0;
    expect(execute("throw")).toMatchObject([{ reply: "failed" }]);
    expect(calls).toBeGreaterThan(1);
    expect(calls).toBeLessThan(50);
    calls = 0;
    expect(execute("throw")).toMatchObject([{ reply: "failed" }]);
    expect(calls).toBe(1); // the throw before took a checkpoint
    execute("last");
    expect(replica.state).toEqual({
      executed: [...Array.from({ length: 130 }, (_, index) => large(index)), "last"],
    });
  });

  it("come after as much log as the state is large", () => {
    let frozen = 0;
    const code = machineCode(machineOf());
    const replica = new Replica({
      ...code,
      freeze: (state) => {
        frozen++;
        return code.freeze(state);
      },
    });
    const ballot = birthBallot(1 as ConfigurationNumber);
    const text = encodeBatch(ballot, 1, [JSON.stringify({ command: "x".repeat(100_000) })]);
    for (let index = 1; index <= 100; index++) replica.execute(index as Slot, text);
    // After 1 MB, then at 2, 4 and 8 MB or so: each copy is as large as all the log before it.
    expect(frozen).toBeGreaterThanOrEqual(4);
    expect(frozen).toBeLessThanOrEqual(6);
  });
});

describe("inboxes", () => {
  it("are read from a cursor on", () => {
    const inboxes = new Inboxes();
    for (const [client, message] of ["a1", "b1", "a2"].map((text) => text.split("") as [string, string]))
      inboxes.deliver(client, message);
    expect(inboxes.read("a", 0)).toEqual([
      { cursor: 1, message: "1" },
      { cursor: 3, message: "2" },
    ]);
    expect(inboxes.read("a", 1)).toEqual([{ cursor: 3, message: "2" }]);
    expect(inboxes.read("a", 3)).toEqual([]);
    expect(inboxes.read("nobody", 0)).toEqual([]);
  });

  it("forget a client's oldest messages first", () => {
    const inboxes = new Inboxes();
    for (let index = 0; index < INBOX_MESSAGES_MAX + 5; index++) inboxes.deliver("a", `${index}`);
    const messages = inboxes.read("a", 0);
    expect(messages).toHaveLength(INBOX_MESSAGES_MAX);
    expect(messages[0]).toEqual({ cursor: 6, message: "5" });
  });

  it("forget the client that was written to least recently", () => {
    const inboxes = new Inboxes();
    inboxes.deliver("a", "1");
    for (let index = 0; index < INBOXES_MAX - 1; index++) inboxes.deliver(`${index}`, "1");
    inboxes.deliver("a", "2");
    inboxes.deliver("new", "1");
    expect(inboxes.read("a", 0)).toHaveLength(2);
    expect(inboxes.read("0", 0)).toEqual([]);
    expect(inboxes.read("1", 0)).toHaveLength(1);
  });
});
