import fc from "fast-check";
import { beforeEach, describe, expect, it, test } from "vitest";
import { bank } from "../../examples/bank.ts";
import { validateCommand } from "../../shared/machine.ts";
import { ReplicaOf } from "../support/replica-of.ts";

let replica: ReplicaOf;
beforeEach(() => {
  replica = new ReplicaOf(bank);
});

const deposit = (account: string, amount: number) => ({ type: "deposit", account, amount });
const withdraw = (account: string, amount: number) => ({ type: "withdraw", account, amount });
const transfer = (from: string, to: string, amount: number) => ({ type: "transfer", from, to, amount });
const ok = (response: string) => ({ response, refused: false });
const refused = (response: string) => ({ response, refused: true });

describe("the talk's bank", () => {
  test("Deposit $20 to Alice's account → OK", async () => {
    expect(await replica.send(deposit("alice", 2_000))).toEqual(ok("OK"));
    expect(replica.query("balance", "alice")).toBe(2_000);
  });

  test("Withdraw $100 from Bob's account → Insufficient Funds, and the state is the same", async () => {
    await replica.send(deposit("bob", 9_999));
    expect(await replica.send(withdraw("bob", 10_000))).toEqual(refused("Insufficient Funds"));
    expect(replica.query("balance", "bob")).toBe(9_999);
    expect(await replica.send(withdraw("bob", 9_999))).toEqual(ok("OK"));
    expect(replica.query("balance", "bob")).toBe(0);
  });

  test("Transfer $100 from Alice's account to Bob's → to Alice: Done; to Bob: $100 received from Alice", async () => {
    await replica.send(deposit("alice", 15_000));
    expect(await replica.send(transfer("alice", "bob", 10_000))).toEqual(ok("Done"));
    expect(replica.messages("bob")).toEqual(["$100 received from Alice"]);
    expect(replica.messages("alice")).toEqual([]);
    expect([replica.query("balance", "alice"), replica.query("balance", "bob")]).toEqual([5_000, 10_000]);
    expect(await replica.send(transfer("alice", "bob", 10_000))).toEqual(refused("Insufficient Funds"));
    expect(replica.messages("bob")).toHaveLength(1);
  });
});

it.each([
  [1, "$0.01"],
  [1_050, "$10.50"],
  [100_000, "$1000"],
])("writes %d cents as %s", async (amount, text) => {
  await replica.send(deposit("élodie", amount));
  await replica.send(transfer("élodie", "bob", amount));
  expect(replica.messages("bob")).toEqual([`${text} received from Élodie`]);
});

it("has no money in an account that it does not know", () => {
  expect(replica.query("balance", "nobody")).toBe(0);
});

it.each(["constructor", "__proto__", "toString", "hasOwnProperty", "\0", "💰", " "])(
  "takes %j for an account like another",
  async (account) => {
    expect(replica.query("balance", account)).toBe(0);
    expect(await replica.send(withdraw(account, 1))).toEqual(refused("Insufficient Funds"));
    await replica.send(deposit(account, 7));
    expect(await replica.send(transfer(account, "bob", 3))).toEqual(ok("Done"));
    expect([replica.query("balance", account), replica.query("total")]).toEqual([4, 7]);
    expect(replica.isReplayable).toBe(true);
  },
);

it("changes nothing when an account pays itself", async () => {
  await replica.send(deposit("alice", 5));
  expect(await replica.send(transfer("alice", "alice", 5))).toEqual(ok("Done"));
  expect(await replica.send(transfer("alice", "alice", 6))).toEqual(refused("Insufficient Funds"));
  expect(replica.query("balance", "alice")).toBe(5);
});

it("refuses a balance that a number could not hold exactly", async () => {
  const { MAX_SAFE_INTEGER } = Number;
  await replica.send(deposit("alice", MAX_SAFE_INTEGER));
  await replica.send(deposit("bob", 1));
  expect(await replica.send(deposit("alice", 1))).toEqual(refused("Balance Too Large"));
  expect(await replica.send(transfer("bob", "alice", 1))).toEqual(refused("Balance Too Large"));
  expect([replica.query("balance", "alice"), replica.query("balance", "bob")]).toEqual([MAX_SAFE_INTEGER, 1]);
});

it.each([
  deposit("alice", 0),
  deposit("alice", -5),
  deposit("alice", 0.5),
  deposit("alice", 2 ** 53),
  deposit("", 1),
  { type: "deposit", account: 5, amount: 1 },
  { type: "transfer", from: "alice", amount: 1 },
  { type: "rob", account: "alice", amount: 1 },
  {},
  null,
  "deposit",
])("does not accept %j", async (command) => {
  await expect(validateCommand(bank, command)).rejects.toMatchObject({ code: "invalid_command" });
});

test("money comes from deposits and goes by withdrawals only, on every replica alike", async () => {
  const account = fc.constantFrom("alice", "bob", "__proto__");
  const amount = fc.integer({ min: 1, max: 50 });
  const command = fc.oneof(
    fc.tuple(account, amount).map((args) => deposit(...args)),
    fc.tuple(account, amount).map((args) => withdraw(...args)),
    fc.tuple(account, account, amount).map((args) => transfer(...args)),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(command, { maxLength: 40 }), async (commands) => {
      const replica = new ReplicaOf(bank);
      let money = 0;
      for (const command of commands) {
        const { refused } = await replica.send(command);
        if (!refused && command.type === "deposit") money += command.amount;
        if (!refused && command.type === "withdraw") money -= command.amount;
        expect(replica.query("total")).toBe(money);
      }
      expect(replica.isReplayable).toBe(true);
    }),
  );
});
