/** Rules that people forget and tests do not: who may import whom (DESIGN §3), what the pure core may use, leftovers. */
import { existsSync, globSync, readFileSync } from "node:fs";
import { describe, expect, it, test } from "vitest";
import { codeOf, importsOf } from "./support/source.ts";

/** Production folders: their imports are checked, and their files have to be in use. */
const PRODUCTION = ["shared", "functions", "cli", "infra", "console"];
const ALL = [...PRODUCTION, "examples", "bench", "test"];

interface Rule {
  /** The files it is about: a file, or a folder that ends in a slash. The first rule that fits counts. */
  readonly files: readonly string[];
  /** Files, folders or packages; the file's own folder goes without saying, except at the top of `shared`. */
  readonly may: readonly string[];
  /** What it may import with `import type` only. */
  readonly mayTypes?: readonly string[];
}

const COMMON = [
  "shared/backoff.ts",
  "shared/errors.ts",
  "shared/limits.ts",
  "shared/clock.ts",
  "shared/wire.ts",
  "shared/json-data.ts",
];
const NODE = "node:";
/** Interfaces that adapters implement. */
const PORTS = [
  "shared/storage/store.ts",
  "shared/storage/documents.ts",
  "shared/provision/queue.ts",
  "shared/provision/tables.ts",
  "shared/provision/launcher.ts",
];

/** How an address is dialled: leader processes call each other as clients call them. */
const CALLS = ["addresses", "exchange", "pinned"].map((name) => `shared/client/${name}.ts`);

const RULES: readonly Rule[] = [
  { files: ["shared/protocol/"], may: [] },
  { files: COMMON, may: COMMON, mayTypes: ["shared/protocol/"] },
  {
    files: ["shared/machine.ts"],
    may: ["shared/protocol/", ...COMMON, "node:v8", "@standard-schema/spec"],
  },
  {
    files: ["shared/index.ts"],
    may: ["shared/protocol/", ...COMMON, "shared/machine.ts", "shared/client/index.ts"],
  },
  // The clients' one factory is handed the SDK's classes, so that nobody loads an SDK who does not use it.
  {
    files: ["shared/aws/signed-fetch.ts"],
    may: [
      ...COMMON,
      NODE,
      "@aws-crypto/sha256-js",
      "@aws-sdk/credential-provider-node",
      "@smithy/signature-v4",
    ],
  },
  { files: ["shared/aws/"], may: [NODE] },
  // An SDK is used in its own adapter's files and nowhere else.
  {
    files: ["dynamodb", "dynamodb-table", "dynamodb-verbs", "dynamodb-items", "documents-dynamodb"].map(
      (name) => `shared/storage/${name}.ts`,
    ),
    may: ["shared/protocol/", ...COMMON, "shared/aws/", NODE, "@aws-sdk/client-dynamodb"],
  },
  {
    files: ["shared/provision/queue-sqs.ts"],
    may: ["shared/protocol/", ...COMMON, "shared/aws/", NODE, "@aws-sdk/client-sqs"],
  },
  {
    files: ["shared/provision/launcher-ecs.ts"],
    may: ["shared/protocol/", ...COMMON, "shared/aws/", NODE, "@aws-sdk/client-ecs"],
  },
  // A table is born where its file's form is known.
  {
    files: ["shared/provision/tables-sqlite.ts"],
    may: ["shared/protocol/", "shared/storage/sqlite.ts", NODE],
  },
  {
    files: ["shared/provision/tables-dynamodb.ts"],
    may: [
      "shared/protocol/",
      ...COMMON,
      "shared/aws/",
      "shared/storage/dynamodb.ts",
      NODE,
      "@aws-sdk/client-dynamodb",
    ],
  },
  {
    files: ["shared/storage/", "shared/provision/"],
    may: ["shared/protocol/", ...COMMON, "shared/aws/", NODE],
  },
  // The gateway carries requests as a client does.
  {
    files: ["shared/runtime/gateway/"],
    may: ["shared/protocol/", ...COMMON, "shared/client/", "shared/runtime/", NODE, "hono"],
  },
  // The one place that makes certificates.
  { files: ["shared/runtime/http/certificate.ts"], may: [NODE, "selfsigned"] },
  // A thread that opens tables for itself is put together as a process is.
  {
    files: ["shared/runtime/snapshots/snapshot.worker.ts"],
    may: ["shared/protocol/", ...COMMON, "shared/storage/", "shared/machine.ts", "shared/runtime/", NODE],
  },
  {
    files: ["shared/runtime/"],
    may: [
      "shared/protocol/",
      ...COMMON,
      ...PORTS,
      "shared/machine.ts",
      ...CALLS,
      NODE,
      "hono",
      "@hono/node-server",
      "pino",
      "ws",
    ],
  },
  {
    files: ["shared/client/"],
    may: ["shared/protocol/", ...COMMON, ...PORTS, "shared/machine.ts", NODE, "ws"],
  },
  // Behind Lambda's events stands the same interface as behind a server.
  {
    files: ["functions/aws/"],
    may: ["shared/", NODE, "hono", "pino", "@aws-lambda-powertools/batch"],
    mayTypes: ["aws-lambda"],
  },
  { files: ["functions/"], may: ["shared/", NODE, "pino"] },
  ...[
    { files: ["cli/aws/stack.ts", "cli/aws/destroy.ts"], sdk: "@aws-sdk/client-cloudformation" },
    { files: ["cli/aws/service.ts", "cli/aws/containers.ts"], sdk: "@aws-sdk/client-ecs" },
    { files: ["cli/aws/state.ts"], sdk: "@aws-sdk/client-dynamodb" },
  ].map(({ files, sdk }) => ({ files, may: ["cli/", "shared/", NODE, sdk] })),
  { files: ["cli/"], may: ["shared/", NODE, "commander", "pino"] },
  { files: ["infra/"], may: ["aws-cdk-lib", "constructs", "esbuild", NODE] },
  { files: ["console/"], may: [], mayTypes: ["shared/"] },
];

/** Files that something else than an import starts: package.json's exports and scripts, a thread, a test that is a user's. */
const ENTRY_POINTS = [
  "shared/index.ts",
  "shared/client/index.ts",
  "infra/index.ts",
  "infra/app.ts", // cdk.json's
  "shared/storage/sqlite.worker.ts", // a thread of sqlite.ts
  "shared/runtime/snapshots/snapshot.worker.ts", // a thread of in-thread.ts
  "shared/storage/memory.ts", // for tests: ours, and users'
  "shared/provision/tables-dynamodb.ts", // what the functions on AWS are put together of
  "shared/provision/queue-sqs.ts",
  "shared/provision/launcher-ecs.ts",
  "cli/main.ts",
  "cli/aws/aws-command.ts", // a command in a task's surroundings
  "functions/",
];

/** What the core may not touch: time, chance, I/O and whatever waits. Its imports are the table's business. */
const PROTOCOL_BANS: readonly RegExp[] = [
  /\b(?:async|await)\b/,
  /\bPromise(?:Like)?\b/,
  /\b(?:setTimeout|setInterval|setImmediate|queueMicrotask)\b/,
  /\bDate\b/,
  /\bMath\.random\b/,
  /(?<![.\w])process\s*\./,
  /(?<![.\w])(?:crypto|performance|console|fetch|globalThis)\b(?!\s*[?]?:)/,
];

const filesIn = (folders: readonly string[], extension = "ts") =>
  globSync(folders.map((folder) => `${folder}/**/*.${extension}`))
    .filter((path) => !path.includes("node_modules/"))
    .sort();
const read = (path: string) => readFileSync(path, "utf8");
const codeIn = (path: string) => codeOf(read(path));
const fits = (path: string, patterns: readonly string[]) =>
  patterns.some((pattern) => path === pattern || (/[/:]$/.test(pattern) && path.startsWith(pattern)));
const folderOf = (path: string) => path.slice(0, path.lastIndexOf("/") + 1);

/** Each line of code that matches, as `path:line: text`. */
function found(path: string, code: string, pattern: RegExp): string[] {
  const lines = read(path).split("\n");
  return code
    .split("\n")
    .flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}: ${lines[index]?.trim()}`] : []));
}

describe("imports", () => {
  function violations(path: string): string[] {
    const rule = RULES.find(({ files }) => fits(path, files));
    if (rule === undefined) return [`${path} has no rule: add one to the table`];
    const own =
      folderOf(path) === "shared/" ? [] : [rule.files.find((files) => path.startsWith(files)) ?? ""];
    return importsOf(path, read(path))
      .filter(({ from, isTypeOnly }) => {
        const allowed = fits(from, rule.may) || fits(from, own) || isSibling(path, from);
        return !allowed && !(isTypeOnly && fits(from, rule.mayTypes ?? []));
      })
      .map(({ from }) => `${path} may not import ${from}`);
  }
  /** A rule about one file does not take it out of its folder. */
  const isSibling = (path: string, from: string) =>
    folderOf(path) !== "shared/" && folderOf(path) === folderOf(from);

  it("follow DESIGN §3", () => {
    expect(filesIn(PRODUCTION).flatMap(violations)).toEqual([]);
  });
});

test("the protocol is pure", () => {
  const files = filesIn(["shared/protocol"]);
  expect(files.length).toBeGreaterThan(0);
  const impure = files.flatMap((path) => {
    const code = codeIn(path);
    return PROTOCOL_BANS.flatMap((ban) => found(path, code, ban));
  });
  expect(impure).toEqual([]);
});

test("every client of AWS comes from the one factory, which keeps it away from real AWS", () => {
  const made = filesIn(ALL).flatMap((path) =>
    found(
      path,
      codeIn(path),
      /\bnew (?:DynamoDB|SQS|ECS|SSM|S3|EC2|CloudFormation)(?:Document)?(?:Client)?\s*\(/,
    ),
  );
  expect(made).toEqual([]);
});

describe("leftovers", () => {
  it("are not in any source", () => {
    const notes = filesIn(ALL).flatMap((path) => found(path, read(path), /\b(?:TO[D]O|FIX[M]E|XX[X])\b/));
    expect(notes).toEqual([]);
  });

  it("do not narrow or skip tests", () => {
    const narrowed = filesIn(["test"]).flatMap((path) => found(path, codeIn(path), /\.only\s*\(/));
    expect(narrowed).toEqual([]);
  });

  it("do not escape the type checker", () => {
    const escapes = filesIn(ALL).flatMap((path) => [
      ...found(path, codeIn(path), /(?:\bas\s+|:\s*|<\s*)any\b/),
      ...found(path, read(path), /@ts-(?:ignore|nocheck)/),
    ]);
    expect(escapes).toEqual([]);
  });

  it("are not whole files: each is imported by something that is no test, or is an entry point", () => {
    const users = filesIn([...PRODUCTION, "examples", "bench"]);
    const used = new Set(users.flatMap((path) => importsOf(path, read(path)).map(({ from }) => from)));
    const dead = filesIn(["shared", "functions", "infra", "cli"]).filter(
      (path) => !used.has(path) && !fits(path, ENTRY_POINTS),
    );
    expect(dead).toEqual([]);
  });
});

test("no file of the library is too long to read at once", () => {
  const long = filesIn(["shared"]).filter((path) => read(path).split("\n").length > 500);
  expect(long).toEqual([]);
});

test("every dependency is pinned to one version", () => {
  const { dependencies = {}, devDependencies = {} } = JSON.parse(read("package.json")) as Record<
    string,
    Record<string, string>
  >;
  const loose = Object.entries({ ...dependencies, ...devDependencies }).filter(
    ([, version]) => !/^\d+\.\d+\.\d+(?:-[\w.]+)?$/.test(version),
  );
  expect(loose).toEqual([]);
});

test("the changelog has a place for what is next", () => {
  expect(existsSync("CHANGELOG.md")).toBe(true);
  expect(read("CHANGELOG.md")).toMatch(/^## \[?Unreleased\]?/m);
});

describe("how sources are read", () => {
  const BLANK_6 = " ".repeat(6);
  it.each([
    ["a // Date\nb /* Date\n */ c", "a        \nb        \n    c"],
    ['\'Date\' + "a\\"Date"', `${BLANK_6} + ${BLANK_6}   `],
    ["x = /[\"'/]Date/g; 4 / 2 / Date", `x = ${BLANK_6}${BLANK_6}; 4 / 2 / Date`],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the source that is read
    ["`Date ${ {a: `x${Date}`} } Date`; Date", "`     ${ {a: ` ${Date}`} }     `; Date"],
    ["`\\`$Date`Date", "`       `Date"],
  ])("blanks what is no code in %j", (source, code) => {
    expect(codeOf(source)).toBe(code);
  });

  it("finds imports in every form", () => {
    const source = `
      import { a, type B } from "./a.ts";
      import type { C } from "../c.ts";
      import { type D, type E } from "@scope/d/e";
      import f, * as g from "node:fs/promises";
      import "./side.ts";
      export * from "./h.ts";
      export type { I } from "./i.ts";
      // import "./comment.ts";
      const text = "no import";
      await import("./j.ts");
      import {
        k,
      } from './k.ts';`;
    expect(importsOf("shared/x/y.ts", source).map(({ from, isTypeOnly }) => [from, isTypeOnly])).toEqual([
      ["shared/x/a.ts", false],
      ["shared/c.ts", true],
      ["@scope/d", true],
      ["node:fs", false],
      ["shared/x/h.ts", false],
      ["shared/x/i.ts", true],
      ["shared/x/k.ts", false],
      ["shared/x/side.ts", false],
      ["shared/x/j.ts", false],
    ]);
  });

  it.each([
    "async",
    "await x",
    "Promise.all",
    "new Date()",
    "Date.now()",
    "Math.random()",
    "process.env",
    "crypto.x",
  ])("would ban %s", (code) => {
    expect(PROTOCOL_BANS.some((ban) => ban.test(code))).toBe(true);
  });
  it.each(["ballot.process.length", "update", "{ process: 1 }", "awaiting"])("would not ban %s", (code) => {
    expect(PROTOCOL_BANS.some((ban) => ban.test(code))).toBe(false);
  });
});
