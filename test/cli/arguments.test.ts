import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import * as args from "../../cli/arguments.ts";
import { theseus } from "../support/cli.ts";

const USAGE = 2;

test("A machine's address is a name and an id", () => {
  expect(args.address("bank/main")).toEqual({ machine: "bank", id: "main" });
  for (const text of [
    "",
    "bank",
    "bank/",
    "/main",
    "bank/main/",
    "a/b/c",
    "Bank/main",
    "bank/..",
    "bank/ü",
    "bank/a b",
  ])
    expect(() => args.address(text), text).toThrow("as in bank/main");
});

test("Numbers have their ranges", () => {
  expect([args.port("0"), args.port("65535"), args.leaderCount("3"), args.slotNumber("1")]).toEqual([
    0, 65_535, 3, 1,
  ]);
  for (const text of ["-1", "65536", "7.5", "0x10", "1e3", "", " 1", "port", "Infinity"])
    expect(() => args.port(text), text).toThrow("whole number from 0 to 65535");
  for (const text of ["0", "17", "NaN"]) expect(() => args.leaderCount(text), text).toThrow("from 1 to 16");
  for (const text of ["0", "9007199254740992"])
    expect(() => args.slotNumber(text), text).toThrow("whole number");
});

test("A query's argument is JSON, or else a plain word", () => {
  expect(args.jsonOrText("alice")).toBe("alice");
  expect(args.jsonOrText('"alice"')).toBe("alice");
  expect(args.jsonOrText("7")).toBe(7);
  expect(args.jsonOrText('{"a":[null]}')).toEqual({ a: [null] });
  expect(args.jsonOrText("{a")).toBe("{a");
});

test("An address is an http URL", () => {
  expect(args.serverUrl("http://127.0.0.1:7707/v1/")).toBe("http://127.0.0.1:7707");
  for (const text of ["", "127.0.0.1:7707", "ftp://x", "nonsense"])
    expect(() => args.serverUrl(text), text).toThrow("http URL");
});

test.each([
  [["bogus"], "unknown command 'bogus'"],
  [["send", "bank/main"], "missing required argument 'command'"],
  [["send", "bank", "{}"], "Write a machine's name and an id"],
  [["send", "bank/main", "{"], "It must be JSON"],
  [["send", "bank/main", "{}", "--key", "ü"], "visible ASCII"],
  [["query", "bank/main"], "missing required argument 'query'"],
  [["query", "bank/main", "total", "1", "2"], "too many arguments"],
  [["log", "bank/main", "--from", "0"], "whole number"],
  [["dev"], "missing required argument 'file'"],
  [["dev", "x.ts", "--port", "99999"], "whole number"],
  [["dev", "x.ts", "--leaders", "0"], "whole number"],
  [["dev", "x.ts", "--endorsements", "0"], "whole number"],
  [["status", "--bogus"], "unknown option '--bogus'"],
  [["status", "--url", "nonsense"], "http URL"],
])("A wrong command line is one sentence and exit code 2: %j", async (words, sentence) => {
  const { code, stdout, stderr } = await theseus(words);
  expect([code, stdout]).toEqual([USAGE, ""]);
  expect(stderr).toMatch(/^theseus: [^\n]*\n$/);
  expect(stderr).toContain(sentence);
});

test("With --json a wrong command line is a problem document", async () => {
  const { code, stdout, stderr } = await theseus(["send", "bank", "{}", "--json"]);
  expect([code, stdout]).toEqual([USAGE, ""]);
  expect(JSON.parse(stderr)).toMatchObject({ code: "invalid_request", retryable: false });
});

test("Without arguments the help is shown, as a usage error", async () => {
  const { code, stdout, stderr } = await theseus([]);
  expect([code, stdout]).toEqual([USAGE, ""]);
  expect(stderr).toMatch(/^Usage: theseus/);
});

test("Help has examples and exit codes, and the version is the package's", async () => {
  const help = await theseus(["--help"]);
  expect([help.code, help.stderr]).toEqual([0, ""]);
  expect(help.stdout).toContain("theseus dev examples/bank.ts");
  expect(help.stdout).toMatch(/Exit codes:\n {2}0 {2}done/);
  const { version } = JSON.parse(readFileSync("package.json", "utf8"));
  expect(await theseus(["--version"])).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
});

test("Where nobody answers, that is said, with the next move", async () => {
  const { code, stderr } = await theseus(["query", "bank/main", "total"], { url: "http://127.0.0.1:1" });
  expect(code).toBe(1);
  expect(stderr).toBe(
    "theseus: no Theseus answers at http://127.0.0.1:1: start one with `theseus dev FILE`, or give its address with --url\n",
  );
  const asJson = await theseus(["status", "--json"], { url: "http://127.0.0.1:1" });
  expect([asJson.code, asJson.stdout]).toEqual([1, ""]);
  expect(JSON.parse(asJson.stderr)).toMatchObject({ code: "unavailable", retryable: true });
});

test("Who answers without being Theseus is not believed", async () => {
  const server = createServer((_, answer) => answer.end("hello"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { code, stderr } = await theseus(["send", "bank/main", "{}"], { url });
  expect(code).toBe(1);
  expect(stderr).toContain(`no Theseus answers at ${url}`);
});

test("An unknown outcome has its own exit code, and names the key that asks for it again", async () => {
  const server = createServer((request, answer) => {
    if (request.url === "/v1/health") return answer.end('{"status":"ok"}');
    const problem = { code: "unknown_session", detail: "forgotten", retryable: true };
    return answer.writeHead(409, { "content-type": "application/problem+json" }).end(JSON.stringify(problem));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { code, stderr } = await theseus(["send", "bank/main", "{}", "--key", "k1"], { url });
  expect(code).toBe(3);
  expect(stderr).toBe("theseus: forgotten; send the same command with --key k1 to learn what became of it\n");
});
