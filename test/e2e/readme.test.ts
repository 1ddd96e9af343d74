/** The README's story, run as it is written: its own shell commands, one after another, with its own answers. */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { startDeployment } from "../support/deployment.ts";
import { temporaryFolder } from "../support/temporary.ts";

const README = readFileSync("README.md", "utf8");
const ADDRESS = "http://127.0.0.1:7707";

function blocks(section: string, language: string): readonly string[] {
  const [, from = ""] = README.split(`## ${section}\n`);
  const [text = ""] = from.split("\n## ");
  return [...text.matchAll(new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``, "g"))].map(
    ([, code = ""]) => code,
  );
}

/** Runs the block and gives back what it printed, and what its comments say that it prints. */
async function run(prelude: string, block: string, url: string) {
  const script = `${prelude}\n${block}`.replaceAll(ADDRESS, url);
  const { stdout } = await promisify(execFile)("bash", ["-euc", script]);
  const promised = [...block.matchAll(/^# (.*)$/gm)].map(([, line]) => line);
  return { printed: stdout.replaceAll("}{", "}\n{").trim().split("\n"), promised };
}

test("thirty seconds", async () => {
  const [start, check, first, kill, ask] = blocks("Thirty seconds", "sh");
  const { scripts } = JSON.parse(readFileSync("package.json", "utf8"));
  expect(start).toBe("npm install && npm start\n");
  expect(check).toBe("npm install && npm test\n");
  expect(scripts.start).toContain("dev examples/bank.ts");

  const dir = temporaryFolder();
  const deployment = await startDeployment({ file: "examples/bank.ts", dir });
  onTestFinished(async () => {
    await deployment.stop();
  });
  const prelude = (first ?? "").split("\n").slice(0, 2).join("\n");
  for (const block of [first, kill]) {
    const { printed, promised } = await run(prelude, block ?? "", deployment.url);
    expect(printed).toEqual(promised);
  }
  await deployment.stop();

  const again = await startDeployment({ file: "examples/bank.ts", dir });
  onTestFinished(async () => {
    await again.stop();
  });
  const { printed, promised } = await run(prelude, ask ?? "", again.url);
  expect(printed).toEqual(promised);
});
