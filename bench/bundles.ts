/** The functions as they are deployed: one file each, with everything in it. */
import { readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

export const JOBS = ["registry", "provisioner", "sweeper", "bootstrap", "gateway"] as const;
export type Job = (typeof JOBS)[number];

export interface Bundle {
  readonly job: Job;
  readonly file: string;
  readonly bytes: number;
  /** As it is uploaded and fetched. */
  readonly packedBytes: number;
  /** What it imports from outside, but for Node's own modules. */
  readonly external: readonly string[];
}

/** What is CommonJS in a bundle of modules asks for Node's modules in its own way. */
const REQUIRE_BANNER =
  'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);';

/** Into the folder, with a source map beside it. @throws Error as esbuild. */
export async function bundleFunction(job: Job, folder: string): Promise<Bundle> {
  const file = join(folder, `${job}.mjs`);
  const { metafile } = await build({
    entryPoints: [fileURLToPath(new URL(`../functions/aws/${job}.ts`, import.meta.url))],
    outfile: file,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node24",
    mainFields: ["module", "main"],
    banner: { js: REQUIRE_BANNER },
    minify: true,
    keepNames: true,
    sourcemap: true,
    metafile: true,
    logLevel: "error",
  });
  const imports = Object.values(metafile.outputs).flatMap((output) => output.imports);
  const external = imports.filter((each) => each.external).map(({ path }) => path);
  const content = readFileSync(file);
  return {
    job,
    file,
    bytes: content.length,
    packedBytes: gzipSync(content).length,
    external: [...new Set(external)].filter((path) => !isBuiltin(path)),
  };
}
