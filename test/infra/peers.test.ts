/** What whoever deploys has to install beside the package is said before esbuild says it in eight other ways. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { assertPeers, PEERS } from "../../infra/peers.ts";
import { temporaryFolder } from "../support/temporary.ts";

test("the bundles' packages are the package's optional peers, but for the CDK's own and esbuild", () => {
  const { peerDependencies } = JSON.parse(readFileSync("package.json", "utf8"));
  const others = ["aws-cdk-lib", "constructs", "esbuild"];
  expect(Object.keys(peerDependencies).filter((name) => !others.includes(name))).toEqual(PEERS);
});

test("what is missing is named with the command that installs it", () => {
  expect(() => assertPeers()).not.toThrow();
  const elsewhere = pathToFileURL(join(temporaryFolder(), "app.js")).href;
  expect(() => assertPeers(elsewhere)).toThrow(`npm install --save-dev ${PEERS.join(" ")}`);
});
