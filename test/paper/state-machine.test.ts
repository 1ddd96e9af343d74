/** Slides "State Machines" and "A Toy Banking System". */
import { describe, expect, it } from "vitest";
import { bank } from "../../examples/bank.ts";
import { machineCode } from "../../shared/machine.ts";
import { type Context, Refusal } from "../../shared/protocol/replica.ts";
import type { Slot } from "../../shared/protocol/slot.ts";
import { ReplicaOf } from "../support/replica-of.ts";

const deposit = (account: string, amount: number) => ({ type: "deposit", account, amount });
const withdraw = (account: string, amount: number) => ({ type: "withdraw", account, amount });
const transfer = (from: string, to: string, amount: number) => ({ type: "transfer", from, to, amount });

/** ⟨Command, OldState⟩ → ⟨Response, NewState⟩: the states as copies, so that neither can be the other. */
function map(command: unknown, oldState: unknown) {
  const code = machineCode(bank);
  const state = code.thaw(code.freeze(oldState));
  const messages: [string, unknown][] = [];
  const context: Context = {
    slot: 1 as Slot,
    time: 0,
    random: () => 0,
    notify: (client, message) => messages.push([client, message]),
  };
  const response = code.apply(state, command, context);
  return { response: response instanceof Refusal ? response.reason : response, newState: state, messages };
}

/** "State: The balance of each depositor's account", in cents. */
const balances = (of: Record<string, number>) => ({ balances: new Map(Object.entries(of)) });

describe('"A state machine is a mapping: ⟨Command, OldState⟩ → ⟨Response, NewState⟩"', () => {
  it("\"Deposit $20 to Alice's account. Response: OK. NewState = OldState with $20 added to Alice's account\"", () => {
    expect(map(deposit("alice", 2_000), balances({ alice: 500, bob: 700 }))).toEqual({
      response: "OK",
      newState: balances({ alice: 2_500, bob: 700 }),
      messages: [],
    });
  });

  it('"Withdraw $100 from Bob\'s account. Response: Insufficient Funds. NewState = OldState"', () => {
    const oldState = balances({ alice: 99_999, bob: 9_999 });
    expect(map(withdraw("bob", 10_000), oldState)).toEqual({
      response: "Insufficient Funds",
      newState: oldState,
      messages: [],
    });
  });

  it("\"Transfer $100 from Alice's account to Bob's account. Response: To Alice: Done. To Bob: $100 received from Alice\"", () => {
    expect(map(transfer("alice", "bob", 10_000), balances({ alice: 10_000, bob: 1 }))).toEqual({
      response: "Done",
      newState: balances({ alice: 0, bob: 10_001 }),
      messages: [["bob", "$100 received from Alice"]],
    });
  });

  it('"It just has to be deterministic": the same commands give the same responses and states on any replica', () => {
    const commands = [
      deposit("alice", 15_000),
      withdraw("bob", 1),
      transfer("alice", "bob", 10_000),
      transfer("alice", "bob", 10_000),
    ];
    const [one, other] = [new ReplicaOf(bank), new ReplicaOf(bank)];
    const replies = commands.map((command) => one.execute({ command }));
    expect(other.execute(...commands.map((command) => ({ command })))).toMatchObject(
      replies.flat().map((reply) => ({ ...reply, slot: 1 })),
    );
    expect(other.replica.state).toEqual(one.replica.state);
    expect(replies.flat()).toMatchObject([
      { response: '"OK"' },
      { response: '"Insufficient Funds"', refused: true },
      { response: '"Done"' },
      { response: '"Insufficient Funds"', refused: true },
    ]);
  });

  it('"No concurrency/distribution": a response depends on the command and the state alone, not on when or where', () => {
    const [early, late] = [new ReplicaOf(bank), new ReplicaOf(bank)];
    late.time = 9_000;
    late.execute();
    late.execute();
    for (const replica of [early, late]) replica.execute({ command: deposit("alice", 1) });
    expect(late.replica.applied).not.toBe(early.replica.applied);
    expect(late.replica.state).toEqual(early.replica.state);
  });
});
