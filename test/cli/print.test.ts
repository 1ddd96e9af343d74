import { expect, test } from "vitest";
import type { DevEvent } from "../../cli/dev/events.ts";
import { jsonOf, textOf } from "../../cli/dev/print.ts";
import { table } from "../../cli/output.ts";

const part = { part: "leader-1", pid: 7 } as const;
const url = "http://127.0.0.1:7707";

test.each<[DevEvent, string]>([
  [{ event: "started", ...part, url }, `leader-1     started as process 7 at ${url}`],
  [{ event: "restarted", ...part, url }, `leader-1     started again as process 7 at ${url}`],
  [{ event: "died", ...part, code: null, signal: "SIGKILL" }, "leader-1     died (SIGKILL)"],
  [{ event: "died", ...part, code: 1, signal: null }, "leader-1     died (exit code 1)"],
  [{ event: "stopped", ...part }, "leader-1     stopped"],
  [{ event: "stopping", signal: "SIGTERM" }, "dev          stopping (SIGTERM)"],
  [
    { event: "tableMissing", acceptor: "a1-0", location: "/x/a1-0.sqlite" },
    "/x/a1-0.sqlite is not there: acceptor a1-0 is lost",
  ],
  [
    { event: "logged", ...part, line: { msg: "leads bank/main", event: "leads" } },
    "leader-1     leads bank/main",
  ],
  [{ event: "logged", ...part, line: { event: "error", err: { message: "no disk" } } }, "error: no disk"],
  [{ event: "logged", ...part, line: { msg: "no disk", err: { message: "no disk" } } }, "  no disk"],
  [{ event: "logged", ...part, line: {} }, "leader-1"],
])("An event is a line of words: %j", (event, words) => {
  expect(textOf(event)).toMatch(/^\d\d:\d\d:\d\d {2}\S[^\n]*$/);
  expect(textOf(event)).toContain(words);
});

test("Ready is an address, and a line to try", () => {
  const text = textOf({ event: "ready", url, dir: "/x", machines: ["bank", "lock"] });
  expect(text).toContain(`Theseus is ready at ${url}`);
  expect(text).toContain(
    `\n  curl ${url}/v1/machines/bank/main/commands -H 'content-type: application/json' -d '{"command":{}}'\n`,
  );
});

test("For programs an event is one line of JSON, its name first", () => {
  const text = jsonOf({ event: "ready", url, dir: "/x", machines: ["bank"] });
  expect(text).toMatch(/^{"event":"ready",/);
  expect(text).not.toContain("\n");
  expect(JSON.parse(text)).toEqual({
    event: "ready",
    time: expect.any(String),
    url,
    dir: "/x",
    machines: ["bank"],
  });
});

test("A table's columns are as wide as their widest cells", () => {
  expect(table([["A", "B"], ["long", "x"], []])).toBe("A     B\nlong  x\n");
});
