/** A leader's three programs as the stack makes them: each one file, side by side, and nothing else. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { build } from "esbuild";
import { temporaryFolder } from "../support/temporary.ts";

/** Some packages that are bundled require Node's own modules. */
const REQUIRE =
  'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);';

/** The folder, and in it leader.js. */
export async function bundleLeader(machines: string): Promise<string> {
  const folder = temporaryFolder();
  await Promise.all([
    bundle("functions/aws/leader.ts", join(folder, "leader.js")),
    bundle("shared/runtime/snapshots/snapshot.worker.ts", join(folder, "snapshot.worker.js")),
    bundle(machines, join(folder, "machines.js")),
    writeFile(join(folder, "package.json"), '{"type":"module"}'),
  ]);
  return folder;
}

async function bundle(entry: string, outfile: string): Promise<void> {
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node24",
    mainFields: ["module", "main"],
    conditions: ["source"],
    banner: { js: REQUIRE },
    logLevel: "error",
  });
}
