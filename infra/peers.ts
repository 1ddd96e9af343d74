/**
 * What the bundles of functions and leaders are made of. They are optional peers of the package, since nobody needs them
 * who deploys nothing, and npm installs none of those by itself.
 */
import { findPackageJSON } from "node:module";

export const PEERS: readonly string[] = [
  "@aws-crypto/sha256-js",
  "@aws-lambda-powertools/batch",
  "@aws-sdk/client-dynamodb",
  "@aws-sdk/client-ecs",
  "@aws-sdk/client-sqs",
  "@aws-sdk/credential-provider-node",
  "@smithy/signature-v4",
  "selfsigned",
];

/** `from`: the module that imports them. @throws Error that says what to install. */
export function assertPeers(from: string = import.meta.url): void {
  const missing = PEERS.filter((name) => !isInstalled(name, from));
  if (missing.length > 0)
    throw new Error(
      `theseus/cdk bundles packages that are not installed: npm install --save-dev ${missing.join(" ")}`,
    );
}

function isInstalled(name: string, from: string): boolean {
  try {
    return findPackageJSON(name, from) !== undefined;
  } catch {
    return false;
  }
}
