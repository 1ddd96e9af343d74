/** The CDK's command, against an emulator: as a process with an environment of its own, and never near real AWS. */
import { spawn } from "node:child_process";
import { createRequire, findPackageJSON } from "node:module";
import { delimiter, dirname, join, relative } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { Invalid, Unavailable } from "../../shared/errors.ts";
import { EMULATOR_REGION } from "./where.ts";

export interface CdkOptions {
  /** The emulator's address. */
  readonly emulator: string;
  /** A folder of this run's own: what is synthesised, and what the CDK keeps in the home folder. */
  readonly home: string;
  /** What it says, line by line. */
  readonly said: (line: string) => void;
  readonly signal?: AbortSignal;
}

const ACCOUNT = "000000000000";
/** A custom resource that never answers would hold it for an hour. */
const CDK_MS_MAX = 300_000;
const LAST_LINES = 30;
const IS_SOURCE = import.meta.url.endsWith(".ts");
const NEEDS = "npm install --save-dev aws-cdk aws-cdk-lib constructs esbuild";

/** @throws Invalid when the packages that deploy are not installed. */
export function assertCdk(): void {
  for (const name of ["aws-cdk", "aws-cdk-lib", "constructs", "esbuild"])
    try {
      createRequire(import.meta.url).resolve(`${name}/package.json`);
    } catch (cause) {
      const message = `the package ${name}, which deploys to AWS, is not installed: ${NEEDS}`;
      throw new Invalid("invalid_request", message, { cause });
    }
}

export async function bootstrap(options: CdkOptions): Promise<void> {
  // In a folder without cdk.json, so that no app is synthesised for it.
  await cdk(["bootstrap", `aws://${ACCOUNT}/${EMULATOR_REGION}`], options.home, options);
}

/** `context` is the app's, beside the emulator's address. @throws Unavailable with its last lines. */
export async function deploy(context: Readonly<Record<string, string>>, options: CdkOptions): Promise<void> {
  const { emulator, home } = options;
  // Where cdk.json is.
  const root = dirname(findPackageJSON(import.meta.url) as string);
  const app = fileURLToPath(new URL(`../../infra/app.${IS_SOURCE ? "ts" : "js"}`, import.meta.url));
  const node = IS_SOURCE ? "node --conditions=source" : "node";
  const flags = [
    ...["--app", `${node} ${relative(root, app)}`, "--output", join(home, "cdk.out")],
    ...["--all", "--require-approval", "never", "--progress", "events"],
    ...Object.entries({ ...context, emulator }).flatMap(([key, value]) => ["--context", `${key}=${value}`]),
  ];
  await cdk(["deploy", ...flags], root, options);
}

async function cdk(
  args: readonly string[],
  cwd: string,
  { emulator, home, said, signal }: CdkOptions,
): Promise<void> {
  const bin = createRequire(import.meta.url).resolve("aws-cdk/bin/cdk");
  const timeout = AbortSignal.timeout(CDK_MS_MAX);
  const child = spawn(process.execPath, [bin, ...args, "--no-notices", "--no-color", "--ci"], {
    cwd,
    env: environment(emulator, home),
    stdio: ["ignore", "pipe", "pipe"],
    signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
  });
  const last: string[] = [];
  for (const input of [child.stdout, child.stderr])
    createInterface({ input }).on("line", (line) => {
      said(line);
      last.push(line);
      if (last.length > LAST_LINES) last.shift();
    });
  child.once("error", ({ message }) => last.push(message));
  // Also when it is told to stop: it writes into its folder until it is gone.
  const code = await new Promise((resolve) => child.once("close", resolve));
  if (code === 0) return;
  throw new Unavailable("unavailable", `cdk ${args[0]} failed (${code}):\n${last.join("\n")}`);
}

/** Nothing of the user's own: neither credentials nor a profile, which might lead to real AWS. */
function environment(emulator: string, home: string): NodeJS.ProcessEnv {
  return {
    PATH: [dirname(process.execPath), process.env.PATH].join(delimiter),
    HOME: home,
    TMPDIR: home,
    AWS_ENDPOINT_URL: emulator,
    AWS_ENDPOINT_URL_S3: emulator,
    AWS_ACCESS_KEY_ID: "test",
    AWS_SECRET_ACCESS_KEY: "test",
    AWS_REGION: EMULATOR_REGION,
    AWS_DEFAULT_REGION: EMULATOR_REGION,
    AWS_EC2_METADATA_DISABLED: "true",
    CDK_DISABLE_CLI_TELEMETRY: "true",
  };
}
