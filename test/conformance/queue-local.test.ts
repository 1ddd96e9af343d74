import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import type { QueueOptions } from "../../shared/provision/queue.ts";
import { LocalQueue } from "../../shared/provision/queue-local.ts";
import { NODE_FLAGS } from "../support/cli.ts";
import { temporaryFolder } from "../support/temporary.ts";
import { queueConformance } from "./queue.ts";

const SENDER = fileURLToPath(new URL("../support/queue-sender.ts", import.meta.url));
const OPTIONS: QueueOptions = { visibilityMs: 60_000, receivesMax: 3 };

function open(path: string, options: QueueOptions): LocalQueue {
  const queue = new LocalQueue(path, options);
  onTestFinished(() => queue.close());
  return queue;
}

queueConformance(
  async (options) => {
    const path = join(temporaryFolder(), "queue.sqlite");
    return {
      open: async () => open(path, options),
      deadLetters: async () => open(path, options).deadLetters(),
    };
  },
  { visibilityMs: 100 },
);

test("what was sent survives the death of its sender", async () => {
  const path = join(temporaryFolder(), "queue.sqlite");
  const sender = spawn(process.execPath, [...NODE_FLAGS, SENDER, path], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = await once(sender.stdout, "data");
  sender.kill("SIGKILL");
  await once(sender, "close");
  const sent = Number(String(line).trim().split("\n").at(-1));
  const bodies = (await open(path, OPTIONS).receive(1_000_000, 0)).map(({ body }) => body);
  expect(bodies).toEqual(
    expect.arrayContaining(Array.from({ length: sent }, (_, index) => String(index + 1))),
  );
});

test("a damaged file is named, and the next move", () => {
  const path = join(temporaryFolder(), "queue.sqlite");
  writeFileSync(path, "no database".repeat(1_000));
  expect(() => new LocalQueue(path, OPTIONS)).toThrow(/is damaged: move that file away/);
});

test("a newer version's file is not touched", () => {
  const path = join(temporaryFolder(), "queue.sqlite");
  const database = new DatabaseSync(path);
  database.exec("PRAGMA user_version = 9");
  database.close();
  expect(() => new LocalQueue(path, OPTIONS)).toThrow(/has format 9, and this version reads 1/);
});
