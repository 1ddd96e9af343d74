/** Each function of AWS bundles into one file that needs nothing but Node, and starts from it. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { bundleFunction, JOBS } from "../bench/bundles.ts";

/** Of the packed file: what Lambda fetches before a cold start can begin. */
const PACKED_KB_MAX = 512;

test.each(JOBS)("%s", async (job) => {
  const folder = mkdtempSync(join(tmpdir(), "theseus-bundle-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const { file, bytes, packedBytes, external } = await bundleFunction(job, folder);
  console.log(`${job}: ${Math.round(bytes / 1024)} KB, packed ${Math.round(packedBytes / 1024)} KB`);
  expect(external).toEqual([]);
  expect(packedBytes / 1024).toBeLessThan(PACKED_KB_MAX);
  const program = `const { handler } = await import(${JSON.stringify(pathToFileURL(file).href)}); console.log(typeof handler)`;
  // Where there is no node_modules to find anything in.
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", program], {
    cwd: folder,
  });
  expect(stdout).toBe("function\n");
});
