import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { lockFolder } from "../../cli/dev/lock.ts";
import { temporaryFolder } from "../support/temporary.ts";

const HOLDER = fileURLToPath(new URL("../support/hold-lock.ts", import.meta.url));

test("One holder at a time: the second is told who the first is, and what to do", () => {
  const dir = temporaryFolder();
  const lock = lockFolder(dir);
  expect(readFileSync(join(dir, "dev.pid"), "utf8")).toBe(`${process.pid}\n`);
  expect(() => lockFolder(dir)).toThrow(
    `${dir} is in use by another theseus dev (process ${process.pid}): stop it, or use another --dir`,
  );
  lock.release();
  expect(existsSync(join(dir, "dev.pid"))).toBe(false);
  lockFolder(dir).release();
});

test("A holder that was killed holds no longer, whatever its file says", async () => {
  const dir = temporaryFolder();
  const holder = spawn(process.execPath, [HOLDER, dir], { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => {
    holder.kill("SIGKILL");
  });
  await once(holder.stdout, "data");
  expect(() => lockFolder(dir)).toThrow(`process ${holder.pid}`);
  holder.kill("SIGKILL");
  await once(holder, "close");
  expect(readFileSync(join(dir, "dev.pid"), "utf8")).toBe(`${holder.pid}\n`);
  lockFolder(dir).release();
});

test("A lock file that is something else is named", () => {
  const dir = temporaryFolder();
  writeFileSync(
    join(dir, "dev.lock"),
    "not a database, and long enough to look like a file that somebody needs ".repeat(20),
  );
  expect(() => lockFolder(dir)).toThrow(/dev\.lock is not a lock: remove that file, or use another --dir/);
});

test("A process id that has become somebody else's does not lock", () => {
  const dir = temporaryFolder();
  writeFileSync(join(dir, "dev.pid"), `${process.ppid}\n`);
  lockFolder(dir).release();
});

test("A folder that does not exist is made; one that cannot be is named", () => {
  const dir = join(temporaryFolder(), "deep", "er");
  lockFolder(dir).release();
  const file = join(dir, "file");
  writeFileSync(file, "");
  expect(() => lockFolder(file)).toThrow(`the folder ${file} cannot be used: EEXIST`);
  expect(() => lockFolder(join(file, "below"))).toThrow(/cannot be used: ENOTDIR.*another --dir/);
});
