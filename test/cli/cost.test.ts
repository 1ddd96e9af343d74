/** `theseus cost`, and that the documents say what it says. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { type CostInputs, type CostItem, monthOf } from "../../cli/cost/month.ts";
import { theseus } from "../support/cli.ts";

const INPUTS: CostInputs = { commandsPerSecond: 100, bytes: 200, acceptors: 3, leaders: 2, regions: 1 };

function itemOf(name: string, inputs: Partial<CostInputs> = {}): CostItem {
  const item = monthOf({ ...INPUTS, ...inputs }).find((each) => each.item === name);
  return item ?? expect.unreachable(`no ${name}`);
}

test("docs/aws.md and README.md have its figures", async () => {
  const { code, stdout } = await theseus(["cost"]);
  expect(code).toBe(0);
  expect(readFileSync("docs/aws.md", "utf8")).toContain(`\`\`\`\n${stdout}\`\`\`\n`);
  const json = await theseus(["cost", "--json"]);
  const { items, total, inputs, prices } = JSON.parse(json.stdout);
  expect({ items, inputs }).toEqual({ items: monthOf(INPUTS), inputs: INPUTS });
  expect(prices).toMatchObject({ region: "us-east-1", written: expect.stringMatching(/^\d{4}-\d\d-\d\d$/) });
  const [idle, load] = [total.idle, total.load].map((usd) => `$${Math.round(usd).toLocaleString("en-US")}`);
  expect(readFileSync("README.md", "utf8").replaceAll("\n", " ")).toContain(
    `about ${idle} a month idle and ${load} at 100 commands a second`,
  );
});

test("a deployment that nobody uses pays for no write, no call and no transfer", () => {
  const idle = monthOf(INPUTS).filter((item) => item.idle === 0);
  expect(idle.map(({ item }) => item)).toEqual([
    ...["votes", "archive", "truncation", "snapshots"].map((of) => `write units: ${of}`),
    "Lambda: gateway",
    "data between zones",
    "data between Regions",
  ]);
});

test("an item follows what it depends on, and nothing else", () => {
  const votes = itemOf("write units: votes").load;
  // 100 a second, each a slot of one unit in three tables, for 730 hours at $0.625 a million.
  expect(votes).toBeCloseTo((100 * 3 * 730 * 3_600 * 0.625) / 1e6, 6);
  expect(itemOf("write units: votes", { acceptors: 5 }).load).toBeCloseTo((votes * 5) / 3, 6);
  expect(itemOf("write units: votes", { leaders: 4, regions: 3 }).load).toBe(votes);
  expect(itemOf("Fargate: leaders", { leaders: 4, regions: 3 }).load).toBeCloseTo(
    6 * itemOf("Fargate: leaders").load,
    6,
  );
  // Many share slots: a hundred times as many commands cost much less than a hundred times as much.
  expect(itemOf("write units: votes", { commandsPerSecond: 10_000 }).load).toBeLessThan(30 * votes);
  expect(itemOf("data between Regions", { regions: 3 }).load).toBeGreaterThan(0);
});

test.each([
  ["--commands-per-second", "0"],
  ["--bytes", "40000"],
  ["--acceptors", "16"],
  ["--regions", "x"],
])("%s %s is a usage error", async (option, value) => {
  const { code, stderr } = await theseus(["cost", option, value]);
  expect([code, stderr]).toEqual([2, expect.stringContaining("Write a whole number from 1 to")]);
});
