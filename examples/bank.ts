/**
 * The toy bank of Lamport's talk. "State: the balance of each depositor's account."
 *
 *   Deposit $20 to Alice's account          → "OK"
 *   Withdraw $100 from Bob's account        → "OK", or "Insufficient Funds"
 *   Transfer $100 from Alice's to Bob's     → to Alice: "Done"; to Bob: "$100 received from Alice"
 *
 * Run it: `theseus dev examples/bank.ts`.
 */
import { defineMachine, refuse } from "theseus";
import { z } from "zod";

const cents = z.int().positive();
const account = z.string().min(1);

export const bank = defineMachine({
  name: "bank",
  version: 1,
  command: z.discriminatedUnion("type", [
    z.object({ type: z.literal("deposit"), account, amount: cents }),
    z.object({ type: z.literal("withdraw"), account, amount: cents }),
    z.object({ type: z.literal("transfer"), from: account, to: account, amount: cents }),
  ]),
  // A Map, since accounts may have any name: "constructor" is a property of every object.
  init: () => ({ balances: new Map<string, number>() }),
  apply({ balances }, command, context) {
    const balance = (of: string) => balances.get(of) ?? 0;
    const { amount } = command;
    switch (command.type) {
      case "deposit":
        if (balance(command.account) + amount > Number.MAX_SAFE_INTEGER) return refuse("Balance Too Large");
        balances.set(command.account, balance(command.account) + amount);
        return "OK";
      case "withdraw":
        if (balance(command.account) < amount) return refuse("Insufficient Funds");
        balances.set(command.account, balance(command.account) - amount);
        return "OK";
      case "transfer":
        if (balance(command.from) < amount) return refuse("Insufficient Funds");
        if (balance(command.to) + amount > Number.MAX_SAFE_INTEGER) return refuse("Balance Too Large");
        balances.set(command.from, balance(command.from) - amount);
        balances.set(command.to, balance(command.to) + amount);
        context.notify(command.to, `${dollars(amount)} received from ${capitalized(command.from)}`);
        return "Done";
    }
  },
  queries: {
    balance: ({ balances }, account: string) => balances.get(account) ?? 0,
    /** All the money there is, in cents: a transfer never changes it. */
    total: ({ balances }) => balances.values().reduce((sum, balance) => sum + balance, 0),
  },
});

/** 10000 → "$100", 1050 → "$10.50". */
function dollars(cents: number): string {
  const rest = cents % 100;
  return `$${(cents - rest) / 100}${rest === 0 ? "" : `.${String(rest).padStart(2, "0")}`}`;
}

function capitalized(name: string): string {
  const [initial = "", ...rest] = name;
  return initial.toUpperCase() + rest.join("");
}
